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

/// The baselines of a kind, learned from the examples of `train` that have a target: [`constant`] first, then `bag_of_words` (for tags
/// `tag_of_word`: each word's most frequent tag). None for questions. Equal examples and seeds give equal models.
///
/// # Panics
/// If a target is not of the kind.
pub fn baselines(kind: &Kind, train: &[Example], seed: u64) -> Vec<Baseline> {
    let train = with_target(train);
    of_targets(kind, &train).into_iter().chain(of_words(kind, &train, seed)).collect()
}

/// What knows the targets of `train` alone, and says the same whatever the text: `majority`, `mean` or `most_frequent_tag`. None for
/// questions, nor where no example has a target.
///
/// # Panics
/// If a target is not of the kind.
pub fn constant(kind: &Kind, train: &[Example]) -> Option<Baseline> {
    of_targets(kind, &with_target(train))
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

/// What counts targets; `train` all have one.
fn of_targets(kind: &Kind, train: &[&Example]) -> Option<Baseline> {
    if train.is_empty() {
        return None;
    }
    let (name, model) = match kind {
        Kind::Classification { labels } => {
            let shares = shares(&targets(train, class), labels.len());
            ("majority", Model::Constant(Prediction::most_probable(shares)))
        }
        Kind::MultiLabel { labels } => {
            let shares = shares(&targets(train, classes), labels.len());
            ("majority", Model::Constant(Prediction::all_probable(shares)))
        }
        Kind::Regression { .. } => {
            let mean = train.iter().map(|example| value(&example.target)).sum::<f64>() / train.len() as f64;
            ("mean", Model::Constant(Prediction::Value(mean)))
        }
        Kind::Tagging { labels } => {
            let else_ = most_frequent_tag(train, labels.len());
            ("most_frequent_tag", Model::Tags { of_words: HashMap::new(), else_ })
        }
        Kind::QuestionAnswering { .. } => return None,
    };
    Some(Baseline { name, model })
}

/// What counts words; `train` all have targets.
fn of_words(kind: &Kind, train: &[&Example], seed: u64) -> Option<Baseline> {
    if train.is_empty() {
        return None;
    }
    let words = |targets: &[Vec<usize>], labels: usize, link: Link, kind: WordsKind| {
        let (features, rows) = features(train, labels);
        let weights = fit(&rows, targets, features.len(), labels, link, seed);
        Model::Words { features, weights, kind }
    };
    let (name, model) = match kind {
        Kind::Classification { labels } => {
            ("bag_of_words", words(&targets(train, class), labels.len(), Link::Softmax, WordsKind::Class))
        }
        Kind::MultiLabel { labels } => {
            ("bag_of_words", words(&targets(train, classes), labels.len(), Link::Sigmoid, WordsKind::Classes))
        }
        Kind::Regression { .. } => {
            let values: Vec<f64> = train.iter().map(|example| value(&example.target)).collect();
            let (features, rows) = features(train, 1);
            let weights = ridge(&rows, &values, features.len());
            let kind = WordsKind::Value {
                least: values.iter().copied().fold(f64::INFINITY, f64::min),
                most: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            };
            ("bag_of_words", Model::Words { features, weights, kind })
        }
        Kind::Tagging { labels } => {
            let mut counts: HashMap<&str, Vec<u64>> = HashMap::new();
            for (word, tag) in train.iter().flat_map(|example| tagged(example)) {
                counts.entry(word).or_insert_with(|| vec![0; labels.len()])[tag] += 1;
            }
            let of_words = counts.into_iter().map(|(word, counts)| (word.to_owned(), most(&counts))).collect();
            ("tag_of_word", Model::Tags { of_words, else_: most_frequent_tag(train, labels.len()) })
        }
        Kind::QuestionAnswering { .. } => return None,
    };
    Some(Baseline { name, model })
}

fn most_frequent_tag(train: &[&Example], labels: usize) -> usize {
    let mut counts = vec![0u64; labels];
    train.iter().flat_map(|example| tagged(example)).for_each(|(_, tag)| counts[tag] += 1);
    most(&counts)
}

/// Where the greatest count is: of equal ones the first.
fn most(counts: &[u64]) -> usize {
    let most = *counts.iter().max().unwrap_or(&0);
    counts.iter().position(|count| *count == most).unwrap_or(0)
}

/// The words of a sentence with their tags.
fn tagged(example: &Example) -> impl Iterator<Item = (&str, usize)> {
    let (Input::Words(words), Target::Tags(tags)) = (&example.input, &example.target) else {
        panic!("a sentence of words and tags, and not {example:?}")
    };
    words.iter().map(String::as_str).zip(tags.iter().copied())
}

fn with_target(train: &[Example]) -> Vec<&Example> {
    train.iter().filter(|example| example.target != Target::Unknown).collect()
}

fn targets(train: &[&Example], labels_of: fn(&Target) -> Vec<usize>) -> Vec<Vec<usize>> {
    train.iter().map(|example| labels_of(&example.target)).collect()
}

fn class(target: &Target) -> Vec<usize> {
    let Target::Class(label) = target else { panic!("a class, and not {target:?}") };
    vec![*label]
}

fn classes(target: &Target) -> Vec<usize> {
    let Target::Classes(labels) = target else { panic!("classes, and not {target:?}") };
    labels.clone()
}

fn value(target: &Target) -> f64 {
    let Target::Value(value) = target else { panic!("a number, and not {target:?}") };
    *value
}
