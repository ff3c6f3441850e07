//! Held-out text: losses and detection, beside what a table of frequencies would detect.
//!
//! Every validation of a run judges the same examples with the same masks and the same noise, dropout off, the
//! run's own generator at temperature 1; only the weights differ. A discriminator that says less than the
//! unigram and bigram detectors on the very same corrupted tokens has learnt no more than frequencies.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use electra_data::{Batch, BatchSource, SpecialTokens, Swapped, WordSwaps};
use electra_kernels::DeviceFailure;
use electra_kernels::read::{self, Reads};
use electra_model::objective::{Frequencies, Given};
use electra_model::{DeviceBatch, NoiseKey, Objective, Parameters, StepContext, Totals};

use super::frequency_detector::FrequencyDetector;
use super::learner::{Asked, judged_tokens};
use super::metrics::{MetricWindow, MetricsRow, StepMetrics};
use crate::step::roc_auc::roc_auc;

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
    /// Share of the tokens that is chosen.
    pub masking_probability: f64,
    /// Of the training text, for generators that draw from them.
    pub frequencies: Option<Arc<Frequencies>>,
    /// Counts of the training text.
    pub baseline: Option<FrequencyDetector>,
    /// Of the training text's words.
    pub swaps: Option<WordSwaps>,
}

/// Which words are swapped is the same for all runs on a text.
const SWAP_SEED: u64 = 0;

/// How well a network finds one swapped word in each example, whatever its own generator is.
#[derive(Default)]
struct SwapMetrics {
    logits: Vec<f32>,
    is_swapped: Vec<bool>,
    examples: u64,
    /// Examples where no other token looks as much swapped; one of k at the top counts 1 / k.
    first: f64,
}

impl SwapMetrics {
    fn add(&mut self, batch: &Batch, special: SpecialTokens, logits: &[f32], swaps: &Swapped) {
        let judged: Vec<usize> = judged_tokens(batch, special).collect();
        for of_example in judged.chunk_by(|a, b| a / batch.seq == b / batch.seq) {
            let row = of_example[0] / batch.seq;
            let Some(position) = swaps.positions[row] else { continue };
            let swapped = row * batch.seq + position;
            self.logits.extend(of_example.iter().map(|&at| logits[at]));
            self.is_swapped.extend(of_example.iter().map(|&at| at == swapped));
            let above = of_example.iter().filter(|&&at| logits[at] > logits[swapped]).count();
            let level = of_example.iter().filter(|&&at| logits[at] == logits[swapped]).count();
            self.examples += 1;
            self.first += if above == 0 { 1.0 / level.max(1) as f64 } else { 0.0 };
        }
    }

    fn write(&self, row: &mut MetricsRow) {
        if self.examples > 0 {
            row.extra.insert("swap_auc".to_owned(), roc_auc(&self.logits, &self.is_swapped));
            row.extra.insert("swap_first".to_owned(), Some(self.first / self.examples as f64));
        }
    }
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
        step: u64,
        count: usize,
        device: &Device,
    ) -> Result<Vec<Vec<JudgedToken>>, DeviceFailure> {
        let batch = self.source.epoch_batch(0, 0, count);
        if batch.batch == 0 {
            return Ok(Vec::new());
        }
        let seen = self
            .objective
            .step(parameters, &DeviceBatch::new(&batch, device), &self.context(&batch, 0, step))
            .observations;
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

    fn context(&self, batch: &Batch, number: u64, step: u64) -> StepContext {
        StepContext {
            key: NoiseKey::new(self.seed).child_str("validation").child(number),
            step,
            training: false,
            special: self.special,
            totals: Totals::of(batch, self.special),
            masking_probability: self.masking_probability,
            recompute: false,
            frequencies: self.frequencies.clone(),
            similar_words: None,
            given: Given::default(),
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
        let mut swapped = SwapMetrics::default();
        for number in 0..self.batches {
            let batch = self.batch(number);
            if batch.batch == 0 {
                break;
            }
            // As the last step that was done.
            let context = self.context(&batch, number, step.saturating_sub(1));
            let on_device = DeviceBatch::new(&batch, device);
            let seen = self.objective.step(parameters, &on_device, &context).observations;
            let swaps = self.swaps.as_ref().map(|swaps| swaps.swap(&batch, SWAP_SEED));
            let judged = swaps.and_then(|swaps| {
                let ids = TensorData::new(swaps.corrupted_ids.clone(), [batch.batch, batch.seq]);
                let ids = Tensor::from_data(ids, device);
                Some((self.objective.detect(parameters, &on_device, &ids, &context)?, swaps))
            });
            let mut reads = Reads::default();
            let asked = Asked::of(&seen, &mut reads);
            let judged = judged.map(|(logits, swaps)| (reads.floats(&logits), swaps));
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
            if let Some((logits, swaps)) = judged {
                swapped.add(&batch, self.special, &read::floats_of(&found[logits]), &swaps);
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
        swapped.write(&mut row);
        Ok(row)
    }

    fn batch(&self, number: u64) -> Batch {
        let size = self.source.batch_size();
        self.source.epoch_batch(0, number * size as u64, size)
    }
}
