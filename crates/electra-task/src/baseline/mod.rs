//! What a network must beat: the majority class, the mean, the most frequent tags, and a linear model of words. A result without these
//! beside it says little: four of five sentences of a set may have one label.

mod features;
mod linear;

use std::collections::HashMap;

use features::{Features, Rows};
use linear::{Link, Weights, fit, ridge};

use crate::{Example, Input, Kind, Prediction, Target};

/// A model that learns in seconds.
#[derive(Debug, Clone)]
pub struct Baseline {
    name: &'static str,
    model: Model,
}

#[derive(Debug, Clone)]
enum Model {
    /// The same for every text.
    Constant(Prediction),
    /// The same tag for every word, unless a word has one of its own.
    Tags { of_words: HashMap<String, usize>, else_: usize },
    /// Sums of weights of words, pairs of words, and what two texts share.
    Words { features: Features, weights: Weights, kind: WordsKind },
}

#[derive(Debug, Clone, Copy)]
enum WordsKind {
    Class,
    Classes,
    /// With bounds that training's numbers keep.
    Value {
        least: f64,
        most: f64,
    },
}

/// The baselines of a kind, learned from the examples of `train` that have a target: `majority`, `mean` or `most_frequent_tag` first, then
/// `bag_of_words` (for tags `tag_of_word`: each word's most frequent tag). None for questions. Equal examples and seeds give equal models.
///
/// # Panics
/// If a target is not of the kind.
pub fn baselines(kind: &Kind, train: &[Example], seed: u64) -> Vec<Baseline> {
    let train: Vec<&Example> = train.iter().filter(|example| example.target != Target::Unknown).collect();
    if train.is_empty() {
        return Vec::new();
    }
    match kind {
        Kind::Classification { labels } => {
            let targets: Vec<Vec<usize>> = train.iter().map(|example| vec![class(&example.target)]).collect();
            let constant = Prediction::most_probable(shares(&targets, labels.len()));
            let words = words(&train, &targets, labels.len(), WordsKind::Class, seed);
            vec![Baseline { name: "majority", model: Model::Constant(constant) }, words]
        }
        Kind::MultiLabel { labels } => {
            let targets: Vec<Vec<usize>> = train.iter().map(|example| classes(&example.target).to_vec()).collect();
            let constant = Prediction::all_probable(shares(&targets, labels.len()));
            let words = words(&train, &targets, labels.len(), WordsKind::Classes, seed);
            vec![Baseline { name: "majority", model: Model::Constant(constant) }, words]
        }
        Kind::Regression { .. } => {
            let values: Vec<f64> = train.iter().map(|example| value(&example.target)).collect();
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let (features, rows) = features(&train, 1);
            let weights = ridge(&rows, &values, features.len());
            let kind = WordsKind::Value {
                least: values.iter().copied().fold(f64::INFINITY, f64::min),
                most: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            };
            vec![
                Baseline { name: "mean", model: Model::Constant(Prediction::Value(mean)) },
                Baseline { name: "bag_of_words", model: Model::Words { features, weights, kind } },
            ]
        }
        Kind::Tagging { labels } => tags(&train, labels.len()),
        Kind::QuestionAnswering { .. } => Vec::new(),
    }
}

impl Baseline {
    /// `majority`, `mean`, `most_frequent_tag`, `tag_of_word` or `bag_of_words`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What it says of a text.
    pub fn predict(&self, input: &Input) -> Prediction {
        match &self.model {
            Model::Constant(prediction) => prediction.clone(),
            Model::Tags { of_words, else_ } => {
                let Input::Words(words) = input else { panic!("tags are of words, and this is {input:?}") };
                let labels = words.iter().map(|word| of_words.get(word).copied().unwrap_or(*else_)).collect();
                Prediction::Tags { labels, probabilities: Vec::new() }
            }
            Model::Words { features, weights, kind } => {
                let row = features.row(input);
                match kind {
                    WordsKind::Class => Prediction::most_probable(weights.probabilities(&row, Link::Softmax)),
                    WordsKind::Classes => Prediction::all_probable(weights.probabilities(&row, Link::Sigmoid)),
                    WordsKind::Value { least, most } => {
                        Prediction::Value(f64::from(weights.scores(&row)[0]).clamp(*least, *most))
                    }
                }
            }
        }
    }
}

/// The share of examples that each label has.
fn shares(targets: &[Vec<usize>], labels: usize) -> Vec<f32> {
    let mut counts = vec![0u64; labels];
    targets.iter().flatten().for_each(|label| counts[*label] += 1);
    counts.into_iter().map(|count| count as f32 / targets.len() as f32).collect()
}

fn features(train: &[&Example], outputs: usize) -> (Features, Rows) {
    let features = Features::of(train.iter().map(|example| &example.input), outputs);
    let rows = features.rows(train.iter().map(|example| &example.input));
    (features, rows)
}

fn words(train: &[&Example], targets: &[Vec<usize>], labels: usize, kind: WordsKind, seed: u64) -> Baseline {
    let (features, rows) = features(train, labels);
    let link = if matches!(kind, WordsKind::Class) { Link::Softmax } else { Link::Sigmoid };
    let weights = fit(&rows, targets, features.len(), labels, link, seed);
    Baseline { name: "bag_of_words", model: Model::Words { features, weights, kind } }
}

fn tags(train: &[&Example], labels: usize) -> Vec<Baseline> {
    let mut counts = vec![0u64; labels];
    let mut of_words: HashMap<&str, Vec<u64>> = HashMap::new();
    for example in train {
        let (Input::Words(words), Target::Tags(tags)) = (&example.input, &example.target) else {
            panic!("a sentence of words and tags, and not {example:?}")
        };
        for (word, tag) in words.iter().zip(tags) {
            counts[*tag] += 1;
            of_words.entry(word).or_insert_with(|| vec![0; labels])[*tag] += 1;
        }
    }
    let most = |counts: &[u64]| {
        // Of equal counts the first.
        let most = *counts.iter().max().unwrap_or(&0);
        counts.iter().position(|count| *count == most).unwrap_or(0)
    };
    let else_ = most(&counts);
    let of_words = of_words.into_iter().map(|(word, counts)| (word.to_owned(), most(&counts))).collect();
    vec![
        Baseline { name: "most_frequent_tag", model: Model::Tags { of_words: HashMap::new(), else_ } },
        Baseline { name: "tag_of_word", model: Model::Tags { of_words, else_ } },
    ]
}

fn class(target: &Target) -> usize {
    let Target::Class(label) = target else { panic!("a class, and not {target:?}") };
    *label
}

fn classes(target: &Target) -> &[usize] {
    let Target::Classes(labels) = target else { panic!("classes, and not {target:?}") };
    labels
}

fn value(target: &Target) -> f64 {
    let Target::Value(value) = target else { panic!("a number, and not {target:?}") };
    *value
}
