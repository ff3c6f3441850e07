//! An objective as what a trainer's steps learn.

use std::ops::Range;
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use electra_data::{Batch, SpecialTokens};
use electra_kernels::read::{self, Reads};
use electra_model::objective::{Frequencies, Given, SimilarWords};
use electra_model::{DeviceBatch, NoiseKey, Objective, Observations, Parameters, StepContext, Totals};

use super::metrics::StepMetrics;
use super::recording::RecordedStep;
use crate::step::learner::{Examples, Learner};
use crate::step::trainer::Trainer;

/// An objective, and what its steps need of the run's configuration and data.
pub struct ObjectiveLearner {
    /// Frequencies of the training text, for generators that draw from them.
    pub frequencies: Option<Arc<Frequencies>>,
    /// Which words of the training text are similar, for objectives that replace words by such.
    pub similar_words: Option<Arc<SimilarWords>>,
    pub(super) objective: Box<dyn Objective>,
    /// The tokenizer's.
    pub(super) special: SpecialTokens,
    /// Share of the tokens that is chosen.
    pub(super) masking_probability: f64,
    /// Keep each encoder layer's input alone for the backward pass: less memory on a graphics adapter, more time.
    pub(super) recompute: bool,
    /// Steps that are computed again, from the first.
    pub(super) recorded: Arc<[RecordedStep]>,
}

impl ObjectiveLearner {
    /// What is learnt.
    pub fn objective(&self) -> &dyn Objective {
        &*self.objective
    }
}

impl Trainer<ObjectiveLearner> {
    /// Begins a phase of the objective with what the one before has left.
    pub(super) fn enter_phase(&mut self, phase: &'static str) {
        self.parameters = self.learner.objective.enter_phase(phase, std::mem::take(&mut self.parameters));
        self.take_rates(phase);
    }

    /// Goes on in a phase: which parameters learn, and how fast.
    pub(super) fn take_rates(&mut self, phase: &'static str) {
        let (layout, objective) = (self.parameters.layout(), &self.learner.objective);
        self.adam.set_learning_rate_scales(layout, |name| objective.rate(phase, name));
    }
}

impl Examples for Batch {
    fn count(&self) -> usize {
        self.batch
    }

    fn part(&self, examples: Range<usize>) -> Self {
        self.slice(examples)
    }

    fn tokens(&self) -> u64 {
        self.token_count() as u64
    }
}

impl Learner for ObjectiveLearner {
    type Batch = Batch;
    type Context = StepContext;
    type Seen = Observations;
    type Asked = Asked;
    type Metrics = StepMetrics;

    fn context(&self, whole: &Batch, key: NoiseKey, step: u64) -> StepContext {
        StepContext {
            key,
            step,
            training: true,
            special: self.special,
            totals: Totals::of(whole, self.special),
            masking_probability: self.masking_probability,
            recompute: self.recompute,
            frequencies: self.frequencies.clone(),
            similar_words: self.similar_words.clone(),
            given: Given::default(),
        }
    }

    fn learn(
        &self,
        parameters: &Parameters,
        part: &Batch,
        context: &StepContext,
        device: &Device,
    ) -> (Tensor<1>, Observations) {
        let samples = self.recorded.get(context.step as usize).map(|recorded| recorded.samples(part, device));
        let context = StepContext { given: Given { samples, ..Given::default() }, ..context.clone() };
        let output = self.objective.step(parameters, &DeviceBatch::new(part, device), &context);
        (output.loss, output.observations)
    }

    fn loss(seen: &Observations) -> Option<&Tensor<1>> {
        seen.loss.as_ref()
    }

    fn ask(seen: &Observations, reads: &mut Reads) -> Asked {
        Asked::of(seen, reads)
    }

    fn tell(&self, asked: &Asked, found: &[TensorData], part: &Batch, metrics: &mut StepMetrics) {
        asked.observe(metrics, found, part, self.special);
    }

    fn loss_of(metrics: &StepMetrics) -> f64 {
        metrics.loss
    }
}

/// What was asked of a micro-batch's observations: numbers among the results of a read.
#[derive(Debug)]
pub struct Asked {
    loss: Option<usize>,
    generator_loss: Option<usize>,
    discriminator_loss: Option<usize>,
    predicted: Option<usize>,
    sampled: Option<usize>,
    logits: Option<usize>,
    is_replaced: Option<usize>,
    parts: Vec<(&'static str, usize)>,
}

impl Asked {
    pub(super) fn of(seen: &Observations, reads: &mut Reads) -> Self {
        let [loss, generator_loss, discriminator_loss] = [&seen.loss, &seen.generator_loss, &seen.discriminator_loss]
            .map(|loss| loss.as_ref().map(|loss| reads.floats(loss)));
        let [predicted, sampled] =
            [&seen.predicted_ids, &seen.sampled_ids].map(|ids| ids.as_ref().map(|ids| reads.ints(ids)));
        let [logits, is_replaced] = [&seen.discriminator_logits, &seen.is_replaced]
            .map(|values| values.as_ref().map(|values| reads.floats(values)));
        let parts = seen.parts.iter().map(|(name, part)| (*name, reads.floats(part))).collect();
        Self { loss, generator_loss, discriminator_loss, predicted, sampled, logits, is_replaced, parts }
    }

    /// Adds what a micro-batch showed to the step's metrics.
    ///
    /// Tokens are judged except padding, [CLS] and [SEP]: those are never replaced, and would flatter every rate.
    pub(super) fn observe(
        &self,
        metrics: &mut StepMetrics,
        found: &[TensorData],
        batch: &Batch,
        special: SpecialTokens,
    ) {
        let number = |at: usize| f64::from(read::floats_of(&found[at])[0]);
        metrics.loss += self.loss.map_or(0.0, number);
        if let Some(loss) = self.generator_loss {
            *metrics.generator_loss.get_or_insert(0.0) += number(loss);
        }
        if let Some(loss) = self.discriminator_loss {
            *metrics.discriminator_loss.get_or_insert(0.0) += number(loss);
        }
        let correct = |at: usize| {
            let ids = read::ints_of(&found[at]);
            let slots = batch.mask_weights.iter().zip(&batch.masked_original_ids).zip(&ids);
            slots.filter(|((weight, original), id)| **weight > 0.0 && original == id).count() as u64
        };
        for (name, part) in &self.parts {
            *metrics.extra.entry((*name).to_owned()).or_default() += number(*part);
        }
        let masked = batch.masked_count() as u64;
        metrics.masked += self.predicted.map_or(0, |_| masked);
        metrics.drawn += self.sampled.map_or(0, |_| masked);
        metrics.generator_correct += self.predicted.map_or(0, correct);
        metrics.sampled_correct += self.sampled.map_or(0, correct);
        if let (Some(logits), Some(is_replaced)) = (self.logits, self.is_replaced) {
            let (logits, is_replaced) = (read::floats_of(&found[logits]), read::floats_of(&found[is_replaced]));
            for i in judged_tokens(batch, special) {
                metrics.logits.push(logits[i]);
                metrics.is_replaced.push(is_replaced[i] > 0.0);
            }
        }
    }
}

/// Flat indices of the tokens that metrics judge: all but padding, [CLS] and [SEP].
pub(super) fn judged_tokens(batch: &Batch, special: SpecialTokens) -> impl Iterator<Item = usize> + '_ {
    (0..batch.original_ids.len()).filter(move |&i| {
        let id = batch.original_ids[i] as u32;
        batch.attention_mask[i] != 0 && id != special.cls && id != special.sep
    })
}
