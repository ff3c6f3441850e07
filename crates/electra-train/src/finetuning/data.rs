//! A task's examples to what a fine-tuning reads.

use std::collections::BTreeMap;
use std::sync::Arc;

use electra_data::Tokenizer;
use electra_data::random::Draws;
use electra_task::baseline::{Baseline, baselines, constant};
use electra_task::encode::{Encoded, Wanted, encode};
use electra_task::task::{TaskData, in_both_orders};
use electra_task::{Example, Kind, Prediction, Scores, Target, score};
use sha2::{Digest, Sha256};

use super::config::FineTuneConfig;
use crate::error::Result;

/// Keeps these draws apart from those of other purposes.
const PURPOSE: u64 = 0x006c_696d_6974; // "limit"

/// A set that a network is compared on.
#[derive(Debug, Clone)]
pub struct DevSet {
    /// Such as `dev`.
    pub name: String,
    /// As the task's files have them.
    pub examples: Vec<Example>,
    /// What the network reads.
    pub encoded: Encoded,
}

/// What a network is fine-tuned on.
#[derive(Debug, Clone)]
pub struct FineTuningData {
    /// What is to be said.
    pub kind: Kind,
    /// Examples to train on, as the task's files have them.
    pub examples: Arc<Vec<Example>>,
    /// What it reads in training.
    pub train: Arc<Encoded>,
    /// What each label counts; empty: all the same.
    pub class_weights: Vec<f32>,
    /// What it is compared on, the one that counts first.
    pub dev: Arc<Vec<DevSet>>,
    /// Names of the scores, the one that counts first.
    pub metrics: Vec<&'static str>,
    /// Tells the tokenizer from any other.
    pub tokenizer_sha256: String,
    /// Tells what is read from anything else.
    pub fingerprint: String,
    /// What a user should hear, a sentence each.
    pub notes: Vec<String>,
}

impl FineTuningData {
    /// Encodes `data`, whose training set must not be empty.
    ///
    /// # Errors
    /// `config.max_length` leaves no room.
    pub fn prepare(data: &TaskData, config: &FineTuneConfig, tokenizer: &Tokenizer) -> Result<Self> {
        let mut notes = Vec::new();
        let options = config.encode_options();
        let all = data.train.as_ref().map_or(&[][..], |train| train.examples.as_slice());
        let mut examples: Vec<Example> =
            all.iter().filter(|example| example.target != Target::Unknown).cloned().collect();
        if config.limit > 0 && examples.len() > config.limit {
            notes.push(format!("{} of {} training examples are taken (limit)", config.limit, examples.len()));
            // The same ones whatever the seed of the run.
            Draws::new(&[PURPOSE]).shuffle(&mut examples);
            examples.truncate(config.limit);
        }
        let to_encode = if config.both_orders { &in_both_orders(&examples) } else { &examples };
        let mut train = encode(to_encode, &data.kind, tokenizer, &options)?;
        note_lengths("train", to_encode.len(), &train, config.max_length, &mut notes);
        // Nothing is to be learnt from what nobody has said.
        if !train.misplaced.is_empty() {
            let count = train.misplaced.len();
            notes.push(format!("train: {count} questions whose answer is nowhere in the context are left out"));
        }
        let known: Vec<bool> = train.features.iter().map(|feature| feature.wanted != Wanted::Unknown).collect();
        let mut of_features = known.iter();
        train.features.retain(|_| *of_features.next().expect("one for each"));
        if !train.windows.is_empty() {
            let mut of_windows = known.iter();
            train.windows.retain(|_| *of_windows.next().expect("one for each"));
        }
        let mut dev = Vec::new();
        for split in &data.dev {
            let encoded = encode(&split.examples, &data.kind, tokenizer, &options)?;
            note_lengths(&split.name, split.examples.len(), &encoded, config.max_length, &mut notes);
            dev.push(DevSet { name: split.name.clone(), examples: split.examples.clone(), encoded });
        }
        Ok(Self {
            fingerprint: fingerprint(std::iter::once(&train).chain(dev.iter().map(|dev| &dev.encoded))),
            kind: data.kind.clone(),
            class_weights: if config.class_weights { class_weights(&examples, &data.kind) } else { Vec::new() },
            examples: Arc::new(examples),
            train: Arc::new(train),
            dev: Arc::new(dev),
            metrics: data.metrics.to_vec(),
            tokenizer_sha256: tokenizer.sha256().to_owned(),
            notes,
        })
    }

    /// What each baseline scores on the set that counts first, by its name: what a result is shown beside.
    pub fn baselines(&self, seed: u64) -> BTreeMap<String, Scores> {
        let scored = |baseline: Baseline| Some((baseline.name().to_owned(), self.scores_of(&baseline)?));
        baselines(&self.kind, &self.examples, seed).into_iter().filter_map(scored).collect()
    }

    /// What is scored by who knows no text, and only what training's targets are.
    pub fn constant_baseline(&self) -> Option<Scores> {
        self.scores_of(&constant(&self.kind, &self.examples)?)
    }

    fn scores_of(&self, baseline: &Baseline) -> Option<Scores> {
        let dev = self.dev.first()?;
        let said: Vec<Prediction> = dev.examples.iter().map(|example| baseline.predict(&example.input)).collect();
        score(&self.kind, &self.metrics, &dev.examples, &said).ok()
    }
}

fn fingerprint<'a>(sets: impl Iterator<Item = &'a Encoded>) -> String {
    let mut hash = Sha256::new();
    for feature in sets.flat_map(|encoded| &encoded.features) {
        feature.ids.iter().for_each(|id| hash.update(id.to_le_bytes()));
        hash.update(format!("{}{:?}", feature.start_of_b, feature.wanted));
    }
    crate::hex(&hash.finalize())[..32].to_owned()
}

fn note_lengths(set: &str, examples: usize, encoded: &Encoded, max_length: usize, notes: &mut Vec<String>) {
    if encoded.cut > 0 {
        notes.push(format!("{set}: {} of {examples} texts are cut at {max_length} tokens", encoded.cut));
    }
    if encoded.windowed > 0 {
        let windows = encoded.features.len();
        notes.push(format!("{set}: {} of {examples} texts are read in windows, {windows} in all", encoded.windowed));
    }
}

/// The inverse of each label's frequency, 1 on average over the examples.
fn class_weights(examples: &[Example], kind: &Kind) -> Vec<f32> {
    let mut counts = vec![0u64; kind.labels().len()];
    for example in examples {
        match &example.target {
            Target::Class(label) => counts[*label] += 1,
            Target::Tags(tags) => tags.iter().for_each(|tag| counts[*tag] += 1),
            _ => return Vec::new(),
        }
    }
    let (all, present) = (counts.iter().sum::<u64>() as f64, counts.iter().filter(|count| **count > 0).count());
    let weight = |count: &u64| if *count == 0 { 1.0 } else { (all / (present as f64 * *count as f64)) as f32 };
    counts.iter().map(weight).collect()
}

#[cfg(test)]
mod tests {
    use electra_task::Input;
    use electra_task::task::Split;

    use super::*;

    fn data(labels: &[usize]) -> TaskData {
        let example = |(number, label): (usize, &usize)| Example {
            id: number.to_string(),
            input: Input::Pair(format!("a {}", ["a", "b"][number % 2]), "b b b".into()),
            target: Target::Class(*label),
        };
        let examples = labels.iter().enumerate().map(example).collect();
        TaskData {
            train: Some(Split { name: "train".into(), examples, ..Split::default() }),
            metrics: &["accuracy"],
            ..TaskData::of(Kind::Classification { labels: vec!["x".into(), "y".into()] })
        }
    }

    fn tokenizer() -> Tokenizer {
        Tokenizer::from_vocab_bytes(b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb", true).unwrap()
    }

    #[test]
    fn weights_make_labels_count_the_same_together() {
        let config = FineTuneConfig { class_weights: true, both_orders: true, ..FineTuneConfig::default() };
        let prepared = FineTuningData::prepare(&data(&[0, 0, 0, 1]), &config, &tokenizer()).unwrap();
        assert_eq!(prepared.class_weights, [4.0 / 6.0, 2.0]);
        assert_eq!((prepared.train.features.len(), prepared.examples.len()), (8, 4));
    }

    #[test]
    fn cuts_and_limits_are_said_and_change_the_fingerprint() {
        let whole = FineTuneConfig::default();
        let short = FineTuneConfig { max_length: 6, limit: 3, ..FineTuneConfig::default() };
        let [whole, short] =
            [whole, short].map(|config| FineTuningData::prepare(&data(&[0, 1, 0, 1]), &config, &tokenizer()).unwrap());
        assert!(whole.notes.is_empty(), "{:?}", whole.notes);
        assert_eq!(
            short.notes,
            ["3 of 4 training examples are taken (limit)", "train: 3 of 3 texts are cut at 6 tokens"]
        );
        assert_ne!(whole.fingerprint, short.fingerprint);
    }
}
