//! Features to batches: of about one length, so that padding costs little, in an order that is a function of (seed, epoch).

use std::ops::Range;
use std::sync::Arc;

use electra_data::SpecialTokens;
use electra_data::random::Draws;

use crate::Kind;
use crate::encode::{Encoded, Feature, Wanted};

/// Keeps these draws apart from those of other purposes.
const PURPOSE: u64 = 0x6275_636b; // "buck"
/// Batches whose features are sorted by their lengths together: enough for lengths to be about equal, few enough for the order to stay one of chance.
const BATCHES_IN_A_POOL: usize = 64;

/// A batch on the host; all arrays row-major, rows padded with [PAD].
#[derive(Debug, Clone, PartialEq)]
pub struct TaskBatch {
    /// Rows.
    pub rows: usize,
    /// Tokens in a row.
    pub seq: usize,
    /// `[rows]` number of each row in the whole batch.
    pub example_numbers: Vec<u32>,
    /// `[rows]` numbers of the features.
    pub features: Vec<usize>,
    /// `[rows, seq]`
    pub ids: Vec<i32>,
    /// `[rows, seq]` 1 for segment B and its [SEP], else 0.
    pub token_type_ids: Vec<i32>,
    /// `[rows, seq]` 1 = token, 0 = padding.
    pub attention_mask: Vec<u8>,
    /// What is right.
    pub targets: Targets,
}

/// What is right for a batch's rows, as arrays. Where a weight is 0 nothing is known, and the number beside it is 0.
#[derive(Debug, Clone, PartialEq)]
pub enum Targets {
    /// One label a row.
    Classes {
        /// `[rows]`
        labels: Vec<i32>,
        /// `[rows]`
        weights: Vec<f32>,
    },
    /// One number a row.
    Values {
        /// `[rows]`
        values: Vec<f32>,
        /// `[rows]`
        weights: Vec<f32>,
    },
    /// Any labels a row.
    ManyLabels {
        /// `[rows, count]`, 1 for a label that is right.
        right: Vec<f32>,
        /// `[rows, count]`
        weights: Vec<f32>,
        /// How many labels there are.
        count: usize,
    },
    /// A label for some tokens.
    Tags {
        /// `[rows, seq]`
        labels: Vec<i32>,
        /// `[rows, seq]`
        weights: Vec<f32>,
    },
    /// A part of each row.
    Spans {
        /// `[rows]` position of the first token.
        starts: Vec<i32>,
        /// `[rows]` position of the last.
        ends: Vec<i32>,
        /// `[rows]` 1 where the question has no answer.
        is_impossible: Vec<f32>,
        /// `[rows]`
        weights: Vec<f32>,
        /// `[rows, seq]` 1 where an answer may begin or end: the context, and [CLS].
        allowed: Vec<f32>,
    },
}

impl Targets {
    /// Sum of the weights: what a loss is divided by.
    pub fn total(&self) -> f64 {
        let (Self::Classes { weights, .. }
        | Self::Values { weights, .. }
        | Self::ManyLabels { weights, .. }
        | Self::Tags { weights, .. }
        | Self::Spans { weights, .. }) = self;
        weights.iter().map(|weight| f64::from(*weight)).sum()
    }
}

impl TaskBatch {
    /// The features numbered `numbers` as a batch. `class_weights`: what each label of a classification counts; empty: all the same.
    ///
    /// # Panics
    /// If a feature is not of the kind.
    pub fn new(
        features: &[Feature],
        numbers: &[usize],
        kind: &Kind,
        class_weights: &[f32],
        special: SpecialTokens,
    ) -> Self {
        let (rows, seq) = (numbers.len(), longest(features, numbers));
        let mut batch = Self {
            rows,
            seq,
            example_numbers: (0..rows as u32).collect(),
            features: numbers.to_vec(),
            ids: Vec::with_capacity(rows * seq),
            token_type_ids: Vec::with_capacity(rows * seq),
            attention_mask: Vec::with_capacity(rows * seq),
            targets: empty_targets(kind, rows, seq),
        };
        for (row, number) in numbers.iter().enumerate() {
            let feature = &features[*number];
            let tokens = feature.ids.len();
            batch.ids.extend(feature.ids.iter().map(|id| *id as i32));
            batch.ids.resize((row + 1) * seq, special.pad as i32);
            batch.token_type_ids.extend((0..seq).map(|at| i32::from(at >= feature.start_of_b && at < tokens)));
            batch.attention_mask.extend((0..seq).map(|at| u8::from(at < tokens)));
            set_target(&mut batch.targets, row, seq, feature, class_weights);
        }
        batch
    }

    /// Rows `rows` as a batch of their own, which keep their numbers in the whole batch.
    #[must_use]
    pub fn slice(&self, rows: Range<usize>) -> Self {
        let tokens = rows.start * self.seq..rows.end * self.seq;
        let of_rows = |values: &[f32]| values[rows.clone()].to_vec();
        let of_tokens = |values: &[f32]| values[tokens.clone()].to_vec();
        let targets = match &self.targets {
            Targets::Classes { labels, weights } => {
                Targets::Classes { labels: labels[rows.clone()].to_vec(), weights: of_rows(weights) }
            }
            Targets::Values { values, weights } => {
                Targets::Values { values: of_rows(values), weights: of_rows(weights) }
            }
            Targets::ManyLabels { right, weights, count } => {
                let cells = rows.start * count..rows.end * count;
                Targets::ManyLabels {
                    right: right[cells.clone()].to_vec(),
                    weights: weights[cells].to_vec(),
                    count: *count,
                }
            }
            Targets::Tags { labels, weights } => {
                Targets::Tags { labels: labels[tokens.clone()].to_vec(), weights: of_tokens(weights) }
            }
            Targets::Spans { starts, ends, is_impossible, weights, allowed } => Targets::Spans {
                starts: starts[rows.clone()].to_vec(),
                ends: ends[rows.clone()].to_vec(),
                is_impossible: of_rows(is_impossible),
                weights: of_rows(weights),
                allowed: of_tokens(allowed),
            },
        };
        Self {
            rows: rows.len(),
            seq: self.seq,
            example_numbers: self.example_numbers[rows.clone()].to_vec(),
            features: self.features[rows].to_vec(),
            ids: self.ids[tokens.clone()].to_vec(),
            token_type_ids: self.token_type_ids[tokens.clone()].to_vec(),
            attention_mask: self.attention_mask[tokens].to_vec(),
            targets,
        }
    }

    /// Tokens that are not padding.
    pub fn token_count(&self) -> usize {
        self.attention_mask.iter().filter(|&&mask| mask != 0).count()
    }
}

/// Tokens of the longest of the features numbered `numbers`.
fn longest(features: &[Feature], numbers: &[usize]) -> usize {
    numbers.iter().map(|number| features[*number].ids.len()).max().unwrap_or(0)
}

fn empty_targets(kind: &Kind, rows: usize, seq: usize) -> Targets {
    match kind {
        Kind::Classification { .. } => Targets::Classes { labels: vec![0; rows], weights: vec![0.0; rows] },
        Kind::Regression { .. } => Targets::Values { values: vec![0.0; rows], weights: vec![0.0; rows] },
        Kind::MultiLabel { labels } => {
            let cells = rows * labels.len();
            Targets::ManyLabels { right: vec![0.0; cells], weights: vec![0.0; cells], count: labels.len() }
        }
        Kind::Tagging { .. } => Targets::Tags { labels: vec![0; rows * seq], weights: vec![0.0; rows * seq] },
        Kind::QuestionAnswering { .. } => Targets::Spans {
            starts: vec![0; rows],
            ends: vec![0; rows],
            is_impossible: vec![0.0; rows],
            weights: vec![0.0; rows],
            allowed: vec![0.0; rows * seq],
        },
    }
}

fn set_target(targets: &mut Targets, row: usize, seq: usize, feature: &Feature, class_weights: &[f32]) {
    if let Targets::Spans { allowed, .. } = targets {
        let of_row = &mut allowed[row * seq..(row + 1) * seq];
        of_row[0] = 1.0;
        // The [SEP] behind the context, too: the original's mask is that of segment B.
        of_row[feature.start_of_b..feature.ids.len()].fill(1.0);
    }
    match (targets, &feature.wanted) {
        (_, Wanted::Unknown) => {}
        (Targets::Classes { labels, weights }, Wanted::Class(label)) => {
            labels[row] = *label as i32;
            weights[row] = class_weights.get(*label).copied().unwrap_or(1.0);
        }
        (Targets::Values { values, weights }, Wanted::Value(value)) => {
            (values[row], weights[row]) = (*value as f32, 1.0);
        }
        (Targets::ManyLabels { right, weights, count }, Wanted::Classes(labels)) => {
            let cells = row * *count..(row + 1) * *count;
            weights[cells.clone()].fill(1.0);
            labels.iter().for_each(|label| right[cells.start + label] = 1.0);
        }
        (Targets::Tags { labels, weights }, Wanted::Tags(tags)) => {
            for (position, label) in tags {
                labels[row * seq + position] = *label as i32;
                weights[row * seq + position] = class_weights.get(*label).copied().unwrap_or(1.0);
            }
        }
        (
            Targets::Spans { starts, ends, is_impossible: none, weights, .. },
            Wanted::Span { start, end, is_impossible },
        ) => {
            (starts[row], ends[row], weights[row]) = (*start as i32, *end as i32, 1.0);
            none[row] = f32::from(u8::from(*is_impossible));
        }
        (targets, wanted) => panic!("{wanted:?} among {targets:?}"),
    }
}

/// A training set in batches, epoch after epoch.
#[derive(Debug, Clone)]
pub struct Epochs {
    encoded: Arc<Encoded>,
    kind: Kind,
    class_weights: Vec<f32>,
    special: SpecialTokens,
    batch_size: usize,
    seed: u64,
    /// The epoch whose order is known, and the features of each of its batches.
    order: Option<(u64, Vec<Vec<usize>>)>,
}

impl Epochs {
    /// Batches of `batch_size` features.
    ///
    /// # Panics
    /// Without features, or for batches of none.
    pub fn new(
        encoded: Arc<Encoded>,
        kind: Kind,
        class_weights: Vec<f32>,
        special: SpecialTokens,
        batch_size: usize,
        seed: u64,
    ) -> Self {
        assert!(
            !encoded.features.is_empty() && batch_size > 0,
            "{} features, {batch_size} a batch",
            encoded.features.len()
        );
        Self { encoded, kind, class_weights, special, batch_size, seed, order: None }
    }

    /// Batches of an epoch.
    pub fn batches(&self) -> u64 {
        self.encoded.features.len().div_ceil(self.batch_size) as u64
    }

    /// Tokens of a batch, padding included, on average over the first epoch.
    pub fn mean_tokens(&mut self) -> f64 {
        let batches = self.batches();
        let places = |numbers: &Vec<usize>| (numbers.len() * longest(&self.encoded.features, numbers)) as f64;
        self.order_of(0).iter().map(places).sum::<f64>() / batches as f64
    }

    /// The batch of the step after `step` steps: a pure function of it.
    pub fn batch(&mut self, step: u64) -> TaskBatch {
        let (epoch, number) = (step / self.batches(), step % self.batches());
        if self.order.as_ref().is_none_or(|(known, _)| *known != epoch) {
            self.order = Some((epoch, self.order_of(epoch)));
        }
        let (_, order) = self.order.as_ref().expect("it was just made");
        TaskBatch::new(&self.encoded.features, &order[number as usize], &self.kind, &self.class_weights, self.special)
    }

    fn order_of(&self, epoch: u64) -> Vec<Vec<usize>> {
        let mut draws = Draws::new(&[PURPOSE, self.seed, epoch]);
        let mut numbers: Vec<usize> = (0..self.encoded.features.len()).collect();
        draws.shuffle(&mut numbers);
        let mut batches = Vec::new();
        for pool in numbers.chunks_mut(BATCHES_IN_A_POOL * self.batch_size) {
            // Of equal lengths in the order of chance: the sort is stable.
            pool.sort_by_key(|number| self.encoded.features[*number].ids.len());
            batches.extend(pool.chunks(self.batch_size).map(<[usize]>::to_vec));
        }
        draws.shuffle(&mut batches);
        batches
    }
}

/// Numbers of features in batches for a network that only reads them, by their lengths: at most `tokens` tokens each when padded to the
/// longest, but never empty; like lengths together, the longest first, so that what does not fit is known at once.
pub fn reading_order(lengths: &[usize], tokens: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    // Of equal lengths in their order: the sort is stable.
    order.sort_by_key(|&number| std::cmp::Reverse(lengths[number]));
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for number in order {
        match batches.last_mut() {
            Some(batch) if (batch.len() + 1) * lengths[batch[0]] <= tokens => batch.push(number),
            _ => batches.push(vec![number]),
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPECIAL: SpecialTokens = SpecialTokens { pad: 0, unknown: 1, cls: 2, sep: 3, mask: 4 };

    fn feature(example: usize, tokens: usize, wanted: Wanted) -> Feature {
        let ids = vec![9; tokens];
        Feature { example, ids, start_of_b: tokens / 2, wanted, words: Vec::new(), first_word: 0 }
    }

    fn epochs(count: usize) -> Epochs {
        let features = (0..count).map(|i| feature(i, 3 + (i * 7) % 40, Wanted::Class(i % 2))).collect();
        let kind = Kind::Classification { labels: vec!["a".into(), "b".into()] };
        Epochs::new(Arc::new(Encoded { features, ..Encoded::default() }), kind, Vec::new(), SPECIAL, 4, 7)
    }

    #[test]
    fn an_epoch_takes_every_feature_once_in_an_order_of_its_own() {
        let mut epochs = epochs(103);
        let mut order = |epoch: u64| -> Vec<usize> {
            (0..26).flat_map(|batch| epochs.batch(epoch * 26 + batch).features).collect()
        };
        let (first, second) = (order(0), order(1));
        assert_ne!(first, second);
        for mut order in [first.clone(), second] {
            order.sort_unstable();
            assert_eq!(order, (0..103).collect::<Vec<_>>());
        }
        assert_eq!(order(0), first, "whatever was asked before");
    }

    #[test]
    fn batches_are_of_about_one_length() {
        let mut epochs = epochs(1000);
        let tokens: usize = (0..1000).map(|i| 3 + (i * 7) % 40).sum();
        let padded: usize = (0..250).map(|step| epochs.batch(step)).map(|batch| batch.rows * batch.seq).sum();
        assert!((padded as f64) < 1.05 * tokens as f64, "{padded} places for {tokens} tokens");
        assert!((epochs.mean_tokens() * 250.0 - padded as f64).abs() < 1e-6);
    }

    #[test]
    fn reading_takes_every_feature_once_with_little_padding() {
        let lengths: Vec<usize> = (0..500).map(|i| 3 + i * 7919 % 126).collect();
        let batches = reading_order(&lengths, 1024);
        let mut all: Vec<usize> = batches.concat();
        all.sort_unstable();
        assert_eq!(all, (0..500).collect::<Vec<_>>());
        let padded: usize = batches.iter().map(|batch| batch.len() * lengths[batch[0]]).sum();
        assert!(batches.iter().all(|batch| batch.len() * lengths[batch[0]] <= 1024));
        let tokens: usize = lengths.iter().sum();
        assert!(padded * 100 < tokens * 110, "{padded} with padding, {tokens} without");
        assert_eq!(reading_order(&[5000, 3], 1024), [vec![0], vec![1]]);
        assert!(reading_order(&[], 1024).is_empty());
    }

    #[test]
    fn a_slice_keeps_rows_targets_and_numbers() {
        let features = [
            feature(0, 5, Wanted::Span { start: 3, end: 4, is_impossible: false }),
            feature(1, 9, Wanted::Unknown),
            feature(2, 6, Wanted::Span { start: 0, end: 0, is_impossible: true }),
        ];
        let kind = Kind::QuestionAnswering { unanswerable: true };
        let batch = TaskBatch::new(&features, &[2, 0, 1], &kind, &[], SPECIAL);
        assert_eq!((batch.rows, batch.seq, batch.targets.total()), (3, 9, 2.0));
        let part = batch.slice(1..3);
        assert_eq!((part.example_numbers.as_slice(), part.features.as_slice()), (&[1, 2][..], &[0, 1][..]));
        let Targets::Spans { starts, ends, weights, allowed, .. } = &part.targets else { panic!("spans") };
        assert_eq!(
            (starts.as_slice(), ends.as_slice(), weights.as_slice()),
            (&[3, 0][..], &[4, 0][..], &[1.0, 0.0][..])
        );
        let places: Vec<usize> = (0..9).filter(|at| allowed[*at] > 0.0).collect();
        assert_eq!(places, [0, 2, 3, 4]);
    }

    #[test]
    fn classes_weigh_what_they_are_told() {
        let features = [feature(0, 4, Wanted::Class(1)), feature(1, 4, Wanted::Class(0))];
        let kind = Kind::Classification { labels: vec!["a".into(), "b".into()] };
        let batch = TaskBatch::new(&features, &[0, 1], &kind, &[0.5, 2.0], SPECIAL);
        assert_eq!(batch.targets, Targets::Classes { labels: vec![1, 0], weights: vec![2.0, 0.5] });
    }
}
