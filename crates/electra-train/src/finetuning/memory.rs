//! What a fine-tuning remembers, and the rows that it writes.

use std::collections::BTreeMap;

use electra_task::Scores;
use serde::{Deserialize, Serialize};

/// Sums since the last row, and which step was judged best.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FineTuneMemory {
    steps: u64,
    loss: f64,
    gradient_norm: f64,
    best: Option<Best>,
    /// Evaluations since then.
    since_best: u64,
    is_done_early: bool,
}

/// The best evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Best {
    step: u64,
    /// What evaluations are compared by.
    score: f64,
    /// Of each set that it was made on.
    scores: Vec<Scores>,
}

/// One row of metrics.jsonl.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FineTuneRow {
    /// Updates done before and including this one.
    pub step: u64,
    /// `train`, or `validation`.
    pub split: String,
    /// Times that the training set was read.
    pub epoch: f64,
    /// A mean over the row's steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<f64>,
    /// At the row's step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
    /// Mean global norm of the gradient before clipping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gradient_norm: Option<f64>,
    /// Floating-point operations spent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flops: Option<f64>,
    /// Scores by name; those of sets behind the first with the set's name before them. Null where one has no value.
    #[serde(flatten)]
    pub scores: BTreeMap<String, Option<f64>>,
}

impl FineTuneRow {
    /// Scores of named sets after `step` steps.
    pub(super) fn of_scores<'a>(step: u64, epoch: f64, sets: impl Iterator<Item = (&'a str, &'a Scores)>) -> Self {
        let mut scores = BTreeMap::new();
        for (number, (set, of_set)) in sets.enumerate() {
            for (name, value) in of_set.iter() {
                let name = if number == 0 { name.to_owned() } else { format!("{set}_{name}") };
                scores.insert(name, value.is_finite().then_some(value));
            }
        }
        let split = "validation".to_owned();
        Self { step, split, epoch, loss: None, learning_rate: None, gradient_norm: None, flops: None, scores }
    }
}

impl FineTuneMemory {
    /// Adds a step whose update was made.
    pub(super) fn add(&mut self, loss: f64, gradient_norm: f64) {
        self.steps += 1;
        self.loss += loss;
        self.gradient_norm += gradient_norm;
    }

    /// The row of the steps since the last one, which are forgotten.
    pub(super) fn row(&mut self, step: u64, epoch: f64, learning_rate: f64, flops: f64) -> Option<FineTuneRow> {
        let steps = std::mem::take(&mut self.steps);
        let (loss, norm) = (std::mem::take(&mut self.loss), std::mem::take(&mut self.gradient_norm));
        (steps > 0).then(|| FineTuneRow {
            step,
            split: "train".to_owned(),
            epoch,
            loss: Some(loss / steps as f64),
            learning_rate: Some(learning_rate),
            gradient_norm: Some(norm / steps as f64),
            flops: Some(flops),
            scores: BTreeMap::new(),
        })
    }

    /// Takes in the scores of an evaluation, of which the first one of the first set counts; `patience` evaluations in a row that are no
    /// better are enough, 0: never.
    pub(super) fn judge(&mut self, step: u64, scores: Vec<Scores>, patience: u64) {
        // A run that is resumed at its end is judged again.
        if self.best_step() == Some(step) {
            return;
        }
        // What has no value is worse than anything; of equals the first stays.
        let first = scores.first().and_then(|scores| scores.primary()).map(|(_, value)| value);
        let score = first.filter(|value| !value.is_nan()).unwrap_or(f64::MIN);
        if self.best.as_ref().is_none_or(|best| score > best.score) {
            self.best = Some(Best { step, score, scores });
            self.since_best = 0;
        } else {
            self.since_best += 1;
        }
        self.is_done_early |= patience > 0 && self.since_best >= patience;
    }

    pub(super) fn best_step(&self) -> Option<u64> {
        self.best.as_ref().map(|best| best.step)
    }

    pub(super) fn best_scores(&self) -> &[Scores] {
        self.best.as_ref().map_or(&[], |best| &best.scores)
    }

    pub(super) fn is_done_early(&self) -> bool {
        self.is_done_early
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equal_scores_is_best_and_patience_ends_it() {
        let mut memory = FineTuneMemory::default();
        for (step, score) in [(1, f64::NAN), (2, 0.5), (3, 0.5), (4, 0.4)] {
            assert!(!memory.is_done_early());
            memory.judge(step, vec![Scores::default().with("accuracy", score)], 2);
        }
        assert_eq!((memory.best_step(), memory.is_done_early()), (Some(2), true));
    }

    #[test]
    fn a_row_is_the_mean_of_its_steps_and_is_forgotten() {
        let mut memory = FineTuneMemory::default();
        memory.add(1.0, 2.0);
        memory.add(2.0, 4.0);
        let row = memory.row(2, 0.5, 1e-4, 1e9).unwrap();
        assert_eq!((row.loss, row.gradient_norm), (Some(1.5), Some(3.0)));
        assert_eq!(memory.row(3, 0.5, 1e-4, 1e9), None);
    }
}
