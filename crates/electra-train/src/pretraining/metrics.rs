//! What a run reports about learning: losses, how well replaced tokens are found, how good the samples are.
//!
//! Sums are kept in f64 and exact counts, over the steps between two rows, and are saved with a checkpoint, so
//! that a resumed run writes the row that an uninterrupted one would have written. The area under the ROC
//! curve is exact, from ranks: binned estimates hide the small gains that matter early on.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::host::HostTensor;
use crate::step::roc_auc::roc_auc;

/// Scores that a window keeps for its area under the curve; beyond that, the oldest are forgotten.
///
/// 262,144 tokens bound the standard error of an area to about .002 even at 9 % positives, and memory and
/// checkpoint to 2 MB.
pub(crate) const AUC_CAPACITY: usize = 1 << 18;

/// What one step, or one batch of validation, has to say.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StepMetrics {
    /// The weighted sum that is minimised.
    pub loss: f64,
    /// Mean over masked positions, in nats.
    pub generator_loss: Option<f64>,
    /// Mean over all non-padding tokens, in nats.
    pub discriminator_loss: Option<f64>,
    /// Masked positions of the batch for which a network said what stands there.
    pub masked: u64,
    /// Masked positions of the batch for which something was drawn.
    pub drawn: u64,
    /// Masked positions where the generator's likeliest token is the original.
    pub generator_correct: u64,
    /// Masked positions where the sample is the original.
    pub sampled_correct: u64,
    /// Discriminator logits of the tokens judged …
    pub logits: Vec<f32>,
    /// … and whether each is replaced.
    pub is_replaced: Vec<bool>,
    /// Metrics of an objective's own, averaged over steps.
    pub extra: BTreeMap<String, f64>,
}

/// One row of metrics.jsonl. A value that is not defined (an area without positives) is null.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricsRow {
    /// Updates done before and including this one.
    pub step: u64,
    /// `train` or `validation`.
    pub split: String,
    /// The joint loss, a mean over the window's steps.
    pub loss: Option<f64>,
    /// Per masked position.
    pub generator_loss: Option<f64>,
    /// Per token.
    pub discriminator_loss: Option<f64>,
    /// Area under the ROC curve of replaced against original tokens.
    pub discriminator_auc: Option<f64>,
    /// Share of tokens that are judged rightly.
    pub discriminator_accuracy: Option<f64>,
    /// Share of replaced ones among those that are called so.
    pub discriminator_precision: Option<f64>,
    /// Share of those that are called so among the replaced ones.
    pub discriminator_recall: Option<f64>,
    /// Share of masked positions where the generator's likeliest token is the original.
    pub generator_accuracy: Option<f64>,
    /// Share of masked positions where the sample is the original.
    pub sampled_accuracy: Option<f64>,
    /// Share of the judged tokens that are replaced.
    pub replaced_rate: Option<f64>,
    /// At the row's step; none where nothing is trained.
    pub learning_rate: Option<f64>,
    /// Mean global norm of the gradient before clipping.
    pub gradient_norm: Option<f64>,
    /// An objective's own metrics, and the baselines of validation.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Option<f64>>,
}

/// Sums over the steps since the last row.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct MetricWindow {
    sums: WindowSums,
    logits: VecDeque<f32>,
    is_replaced: VecDeque<bool>,
}

/// The part of a window that goes into a checkpoint's JSON; the scores go into a tensor file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowSums {
    steps: u64,
    loss: f64,
    generator_loss: f64,
    generator_steps: u64,
    discriminator_loss: f64,
    discriminator_steps: u64,
    masked: u64,
    generator_correct: u64,
    /// Windows of earlier releases do not say: where there was a discriminator, it was all that were masked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    drawn: Option<u64>,
    sampled_correct: u64,
    true_positives: u64,
    false_positives: u64,
    true_negatives: u64,
    false_negatives: u64,
    gradient_norm: f64,
    gradient_norms: u64,
    extra: BTreeMap<String, (f64, u64)>,
}

impl WindowSums {
    fn drawn(&self) -> u64 {
        let judged = self.true_positives + self.false_positives + self.true_negatives + self.false_negatives;
        self.drawn.unwrap_or(if judged > 0 { self.masked } else { 0 })
    }
}

impl MetricWindow {
    /// Whether nothing was added since the last row.
    pub(crate) fn is_empty(&self) -> bool {
        self.sums.steps == 0
    }

    /// Adds a step. Call it for finite losses only: a skipped step has nothing to report.
    ///
    /// # Panics
    /// If `logits` and `is_replaced` differ in length.
    pub(crate) fn add(&mut self, step: &StepMetrics) {
        assert_eq!(step.logits.len(), step.is_replaced.len(), "one label per logit");
        let sums = &mut self.sums;
        sums.steps += 1;
        sums.loss += step.loss;
        if let Some(loss) = step.generator_loss {
            sums.generator_loss += loss;
            sums.generator_steps += 1;
        }
        if let Some(loss) = step.discriminator_loss {
            sums.discriminator_loss += loss;
            sums.discriminator_steps += 1;
        }
        sums.drawn = Some(sums.drawn() + step.drawn);
        sums.masked += step.masked;
        sums.generator_correct += step.generator_correct;
        sums.sampled_correct += step.sampled_correct;
        for (logit, replaced) in step.logits.iter().zip(&step.is_replaced) {
            *match (*logit > 0.0, *replaced) {
                (true, true) => &mut sums.true_positives,
                (true, false) => &mut sums.false_positives,
                (false, false) => &mut sums.true_negatives,
                (false, true) => &mut sums.false_negatives,
            } += 1;
        }
        for (name, value) in &step.extra {
            let (sum, count) = sums.extra.entry(name.clone()).or_default();
            *sum += value;
            *count += 1;
        }
        self.logits.extend(&step.logits);
        self.is_replaced.extend(&step.is_replaced);
        let excess = self.logits.len().saturating_sub(AUC_CAPACITY);
        self.logits.drain(..excess);
        self.is_replaced.drain(..excess);
    }

    /// Adds the gradient's norm of an update.
    pub(crate) fn add_gradient_norm(&mut self, norm: f64) {
        self.sums.gradient_norm += norm;
        self.sums.gradient_norms += 1;
    }

    /// The window's row.
    ///
    /// Losses are means over steps, each of which is a mean over its batch; the rest are shares of counts.
    pub(crate) fn row(&self, step: u64, split: &str, learning_rate: Option<f64>) -> MetricsRow {
        let sums = &self.sums;
        let share = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
        let mean = |sum: f64, count: u64| (count > 0).then(|| sum / count as f64);
        let positives = sums.true_positives + sums.false_negatives;
        let tokens = positives + sums.true_negatives + sums.false_positives;
        let (logits, labels): (Vec<f32>, Vec<bool>) = self.logits.iter().zip(&self.is_replaced).unzip();
        MetricsRow {
            step,
            split: split.to_owned(),
            loss: mean(sums.loss, sums.steps),
            generator_loss: mean(sums.generator_loss, sums.generator_steps),
            discriminator_loss: mean(sums.discriminator_loss, sums.discriminator_steps),
            discriminator_auc: roc_auc(&logits, &labels),
            discriminator_accuracy: share(sums.true_positives + sums.true_negatives, tokens),
            discriminator_precision: share(sums.true_positives, sums.true_positives + sums.false_positives),
            discriminator_recall: share(sums.true_positives, positives),
            generator_accuracy: share(sums.generator_correct, sums.masked),
            sampled_accuracy: share(sums.sampled_correct, sums.drawn()),
            replaced_rate: share(positives, tokens),
            learning_rate,
            gradient_norm: mean(sums.gradient_norm, sums.gradient_norms),
            extra: sums.extra.iter().map(|(name, (sum, count))| (name.clone(), mean(*sum, *count))).collect(),
        }
    }

    /// The window as a checkpoint keeps it: sums for its JSON, scores for a tensor file.
    pub(crate) fn save(&self) -> (WindowSums, Vec<HostTensor>) {
        let len = self.logits.len();
        let labels = self.is_replaced.iter().map(|replaced| f32::from(u8::from(*replaced))).collect();
        let tensors = vec![
            HostTensor::new("logits", [len], self.logits.iter().copied().collect()),
            HostTensor::new("is_replaced", [len], labels),
        ];
        (self.sums.clone(), tensors)
    }

    /// The window that [`MetricWindow::save`] took apart.
    ///
    /// # Errors
    /// Says which tensor is missing or does not fit; `path` is the checkpoint that they came from.
    pub(crate) fn restore(sums: WindowSums, tensors: &[HostTensor], path: &Path) -> Result<Self> {
        let invalid =
            |problem: String| Error::invalid(path, problem, "remove this checkpoint to resume from an older one");
        let find = |name: &str| {
            let found = tensors.iter().find(|tensor| tensor.name == name);
            found.ok_or_else(|| invalid(format!("tensor \"{name}\" is missing")))
        };
        let (logits, labels) = (find("logits")?, find("is_replaced")?);
        if logits.values.len() != labels.values.len() || logits.values.len() > AUC_CAPACITY {
            return Err(invalid(format!("{} logits and {} labels", logits.values.len(), labels.values.len())));
        }
        Ok(Self {
            sums,
            logits: logits.values.iter().copied().collect(),
            is_replaced: labels.values.iter().map(|label| *label != 0.0).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By definition: every pair of a positive and a negative.
    fn step(seed: u32) -> StepMetrics {
        let logits: Vec<f32> = (0..40).map(|i| ((i * 37 + seed * 11) % 17) as f32 * 0.3 - 2.0).collect();
        StepMetrics {
            loss: 10.1 / f64::from(seed + 3),
            generator_loss: Some(7.7 / f64::from(seed + 1)),
            discriminator_loss: Some(0.3),
            masked: 6,
            drawn: 5,
            generator_correct: 2,
            sampled_correct: 1,
            is_replaced: (0..40).map(|i| (i + seed).is_multiple_of(8)).collect(),
            logits,
            extra: BTreeMap::from([("copy_rate".to_owned(), 0.1 * f64::from(seed))]),
        }
    }

    #[test]
    fn a_window_saved_and_restored_writes_the_same_row() {
        let mut whole = MetricWindow::default();
        (1..4).for_each(|seed| whole.add(&step(seed)));
        whole.add_gradient_norm(1.0 / 3.0);
        let (sums, tensors) = whole.save();
        let text = serde_json::to_string(&sums).unwrap();
        let path = Path::new("step_000001");
        let mut restored = MetricWindow::restore(serde_json::from_str(&text).unwrap(), &tensors, path).unwrap();
        assert_eq!(restored, whole);
        whole.add(&step(9));
        restored.add(&step(9));
        let row = |window: &MetricWindow| serde_json::to_string(&window.row(7, "train", Some(1e-3))).unwrap();
        assert_eq!(row(&restored), row(&whole));
        assert!(MetricWindow::restore(WindowSums::default(), &tensors[..1], path).is_err());
    }

    #[test]
    fn sums_return_from_json_bit_for_bit() {
        let mut state = 0x9E37_79B9_7F4A_7C15u64;
        for _ in 0..20_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let value = f64::from_bits(state);
            if value.is_finite() {
                let text = serde_json::to_string(&value).unwrap();
                assert_eq!(serde_json::from_str::<f64>(&text).unwrap().to_bits(), value.to_bits(), "{text}");
            }
        }
    }

    #[test]
    fn counts_become_shares() {
        let mut window = MetricWindow::default();
        window.add(&StepMetrics {
            loss: 3.0,
            discriminator_loss: Some(1.0),
            masked: 4,
            drawn: 4,
            generator_correct: 3,
            sampled_correct: 2,
            logits: vec![1.0, 1.0, -1.0, -1.0, 0.0],
            is_replaced: vec![true, false, false, true, false],
            ..StepMetrics::default()
        });
        let row = window.row(1, "train", None);
        assert_eq!(row.discriminator_accuracy, Some(0.6));
        assert_eq!(row.discriminator_precision, Some(0.5));
        assert_eq!(row.discriminator_recall, Some(0.5));
        assert_eq!(row.replaced_rate, Some(0.4));
        assert_eq!((row.generator_accuracy, row.sampled_accuracy), (Some(0.75), Some(0.5)));
        let text = serde_json::to_string(&row).unwrap();
        assert!(text.starts_with(r#"{"step":1,"split":"train","loss":3.0,"generator_loss":null,"#), "{text}");
        assert_eq!(serde_json::from_str::<MetricsRow>(&text).unwrap(), row);
    }

    #[test]
    fn the_auc_keeps_the_newest_scores() {
        let mut window = MetricWindow::default();
        let many = |logit: f32, replaced| StepMetrics {
            logits: vec![logit; AUC_CAPACITY / 2],
            is_replaced: vec![replaced; AUC_CAPACITY / 2],
            ..StepMetrics::default()
        };
        window.add(&many(5.0, false));
        window.add(&many(1.0, true));
        assert_eq!(window.row(1, "train", None).discriminator_auc, Some(0.0));
        window.add(&many(0.0, false));
        let row = window.row(1, "train", None);
        assert_eq!(row.discriminator_auc, Some(1.0), "the first half is forgotten");
        assert_eq!(row.replaced_rate, Some(1.0 / 3.0), "counts are not");
    }
}
