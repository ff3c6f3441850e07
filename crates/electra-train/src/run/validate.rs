//! Held-out text: losses and detection, beside what a table of frequencies would detect.
//!
//! Every validation of a run judges the same examples with the same masks and the same noise, dropout off, the
//! run's own generator at temperature 1; only the weights differ. A discriminator that says less than the
//! unigram and bigram detectors on the very same corrupted tokens has learnt no more than frequencies.

use burn::tensor::Device;
use electra_data::{Batch, BatchSource, SpecialTokens};
use electra_kernels::DeviceFailure;
use electra_kernels::read::{self, Reads};
use electra_model::{DeviceBatch, NoiseKey, Objective, Parameters, StepContext};

use crate::baseline::FrequencyDetector;
use crate::step::metrics::{MetricWindow, MetricsRow, StepMetrics, roc_auc};
use crate::step::trainer::{Asked, judged_tokens};

/// What stays the same from validation to validation.
pub(crate) struct Validation {
    /// Examples of the held-out split.
    pub source: BatchSource,
    /// At most so many batches of `source.batch_size()`.
    pub batches: u64,
    /// The run's objective at temperature 1.
    pub objective: Box<dyn Objective>,
    /// The tokenizer's.
    pub special: SpecialTokens,
    /// The run's.
    pub seed: u64,
    /// Counts of the training text.
    pub baseline: Option<FrequencyDetector>,
}

/// A held-out token as the discriminator read it.
#[derive(Debug, Clone, PartialEq)]
pub struct JudgedToken {
    /// What the discriminator reads.
    pub id: u32,
    /// What the text has there.
    pub original_id: u32,
    /// Probability that it was replaced, as the discriminator sees it.
    pub probability: f32,
}

impl Validation {
    /// The first `count` held-out examples, corrupted by the run's own generator and judged; [CLS], [SEP] and padding
    /// left out. Empty for an objective without a discriminator.
    ///
    /// # Errors
    /// The device failed.
    pub(crate) async fn examples(
        &self,
        parameters: &Parameters,
        count: usize,
        device: &Device,
    ) -> Result<Vec<Vec<JudgedToken>>, DeviceFailure> {
        let batch = self.source.epoch_batch(0, 0, count);
        if batch.batch == 0 {
            return Ok(Vec::new());
        }
        let seen =
            self.objective.step(parameters, &DeviceBatch::new(&batch, device), &self.context(&batch, 0)).observations;
        let (Some(corrupted), Some(logits)) = (seen.corrupted_ids, seen.discriminator_logits) else {
            return Ok(Vec::new());
        };
        let mut reads = Reads::default();
        let (corrupted, logits) = (reads.ints(&corrupted), reads.floats(&logits));
        let found = reads.fetch().await?;
        let (corrupted, logits) = (read::ints_of(&found[corrupted]), read::floats_of(&found[logits]));
        let mut examples = vec![Vec::new(); batch.batch];
        for i in judged_tokens(&batch, self.special) {
            examples[i / batch.seq].push(JudgedToken {
                id: corrupted[i] as u32,
                original_id: batch.original_ids[i] as u32,
                probability: 1.0 / (1.0 + (-logits[i]).exp()),
            });
        }
        Ok(examples)
    }

    fn context(&self, batch: &Batch, number: u64) -> StepContext {
        StepContext {
            key: NoiseKey::new(self.seed).child_str("validation").child(number),
            training: false,
            total_masked: batch.masked_count() as f64,
            total_tokens: batch.token_count() as f64,
            recompute: false,
            samples: None,
        }
    }

    /// The row of `split` "validation" after `step` steps.
    ///
    /// # Errors
    /// The device failed.
    pub(crate) async fn run(
        &self,
        parameters: &Parameters,
        step: u64,
        device: &Device,
    ) -> Result<MetricsRow, DeviceFailure> {
        let mut window = MetricWindow::default();
        let (mut unigram, mut bigram, mut labels) = (Vec::new(), Vec::new(), Vec::new());
        for number in 0..self.batches {
            let batch = self.batch(number);
            if batch.batch == 0 {
                break;
            }
            let context = self.context(&batch, number);
            let seen = self.objective.step(parameters, &DeviceBatch::new(&batch, device), &context).observations;
            let mut reads = Reads::default();
            let asked = Asked::of(&seen, &mut reads);
            let corrupted = seen.corrupted_ids.as_ref().map(|ids| reads.ints(ids));
            let found = reads.fetch().await?;
            if let (Some(baseline), Some(corrupted)) = (&self.baseline, corrupted) {
                let corrupted = read::ints_of(&found[corrupted]);
                for i in judged_tokens(&batch, self.special) {
                    let token = corrupted[i] as u32;
                    let previous = corrupted[i - 1] as u32;
                    let at_start = previous == self.special.cls || previous == self.special.sep;
                    unigram.push(baseline.unigram_score(token));
                    bigram.push(baseline.bigram_score((!at_start).then_some(previous), token));
                    labels.push(corrupted[i] != batch.original_ids[i]);
                }
            }
            let mut metrics = StepMetrics::default();
            asked.observe(&mut metrics, &found, &batch, self.special);
            window.add(&metrics);
        }
        let mut row = window.row(step, "validation", None);
        if !labels.is_empty() {
            row.extra.insert("unigram_auc".to_owned(), roc_auc(&unigram, &labels));
            row.extra.insert("bigram_auc".to_owned(), roc_auc(&bigram, &labels));
        }
        Ok(row)
    }

    fn batch(&self, number: u64) -> Batch {
        let size = self.source.batch_size();
        self.source.epoch_batch(0, number * size as u64, size)
    }
}
