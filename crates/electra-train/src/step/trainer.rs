//! One training step: batch in, gradients, update, numbers out. No files, and no clock unless a caller sets one: a
//! page runs it too.
//!
//! The step reads like the paper; what surrounds it (when to log, validate and save) is `run/`. A batch
//! larger than what fits is taken in micro-batches whose losses are divided by the *whole* batch's counts, so
//! that their losses and gradients simply add up.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use electra_data::{Batch, SpecialTokens};
use electra_kernels::read::{self, Reads};
use electra_kernels::side_by_side::{self, side_by_side};
use electra_kernels::{DeviceFailure, Precision, with_precision};
use electra_model::objective::{Frequencies, Given};
use electra_model::{DeviceBatch, NoiseKey, Objective, Observations, Parameters, StepContext, Totals};

use crate::recording::RecordedStep;
use crate::step::metrics::StepMetrics;
use crate::step::optimizer::{Adam, PendingReport, StepReport};
use crate::step::part_clock::{PartClock, timed};

/// How a step is computed.
#[derive(Debug, Clone)]
pub(crate) struct StepSettings {
    /// The tokenizer's.
    pub(crate) special: SpecialTokens,
    /// Decides first values, dropout and sampling.
    pub(crate) seed: u64,
    /// Examples per forward pass, at least 1.
    pub(crate) micro_batch: usize,
    /// Keep each encoder layer's input alone for the backward pass: less memory on a graphics adapter, more time.
    pub(crate) recompute: bool,
    /// Share of the tokens that is chosen.
    pub(crate) masking_probability: f64,
    /// What matrix products read; half precision needs [`Adam::with_loss_scale`] and an adapter that has it.
    pub(crate) precision: Precision,
    /// Where parameters live.
    pub(crate) device: Device,
    /// Steps that are computed again, from the first.
    pub(crate) recorded: Arc<[RecordedStep]>,
}

/// Parameters, optimizer and what a step needs of the configuration. [`crate::Plan`] makes them.
pub struct Trainer {
    /// On the device, without autodiff; steps add it.
    pub parameters: Parameters,
    /// The optimizer and its state.
    pub adam: Adam,
    /// Frequencies of the training text, for generators that draw from them.
    pub frequencies: Option<Arc<Frequencies>>,
    /// Measures a step's parts, and makes it slower: the device is waited for between them.
    pub clock: Option<PartClock>,
    objective: Box<dyn Objective>,
    settings: StepSettings,
}

/// What a step did.
#[derive(Debug, Clone)]
pub struct TrainStep {
    /// Losses and counts.
    pub metrics: StepMetrics,
    /// Global norm of the gradient before clipping.
    pub gradient_norm: f64,
    /// False where a loss or the gradient was not finite: nothing changed then.
    pub applied: bool,
    /// What the loss had been multiplied by before its gradients were taken: 1 in full precision.
    pub loss_factor: f64,
}

impl TrainStep {
    /// Whether the update was skipped because gradients of the scaled loss went beyond half precision: the factor has
    /// been halved, and nothing is wrong.
    pub fn is_overflow(&self) -> bool {
        !self.applied && self.metrics.loss.is_finite() && self.loss_factor > 1.0
    }
}

impl Trainer {
    pub(crate) fn new(
        objective: Box<dyn Objective>,
        parameters: Parameters,
        adam: Adam,
        settings: StepSettings,
    ) -> Self {
        Self { parameters, adam, frequencies: None, clock: None, objective, settings }
    }

    /// What it trains.
    pub fn objective(&self) -> &dyn Objective {
        &*self.objective
    }

    /// Begins a phase of the objective with what the one before has left.
    pub(crate) fn enter_phase(&mut self, phase: &'static str) {
        self.parameters = self.objective.enter_phase(phase, std::mem::take(&mut self.parameters));
        self.take_rates(phase);
    }

    /// Goes on in a phase: which parameters learn, and how fast.
    pub(crate) fn take_rates(&mut self, phase: &'static str) {
        let layout = self.parameters.layout();
        self.adam.set_learning_rate_scales(layout, |name| self.objective.rate(phase, name));
    }

    /// Losses, gradients and one update on the whole of `batch`; `step` counts the steps done before it.
    ///
    /// # Errors
    /// The device failed; the trainer is of no use then.
    pub fn step(&mut self, batch: &Batch, step: u64, learning_rate: f64) -> Result<TrainStep, DeviceFailure> {
        self.submit(batch, step, learning_rate)?.resolve()
    }

    /// As [`Trainer::step`], without waiting for a graphics adapter: [`PendingStep::resolve`] does.
    ///
    /// # Errors
    /// As [`Trainer::step`].
    pub fn submit(&mut self, batch: &Batch, step: u64, learning_rate: f64) -> Result<PendingStep, DeviceFailure> {
        let (parameters, on_device) = self.adam.move_to_device(self.parameters.clone());
        self.parameters = parameters;
        let StepSettings {
            special,
            seed,
            micro_batch: examples,
            recompute,
            masking_probability,
            precision,
            device,
            recorded,
        } = self.settings.clone();
        let recorded = recorded.get(step as usize);
        let on_tape = device.clone().autodiff();
        let context = StepContext {
            key: NoiseKey::new(seed).child_str("step").child(step),
            step,
            training: true,
            special,
            totals: Totals::of(batch, special),
            masking_probability,
            recompute,
            frequencies: self.frequencies.clone(),
            given: Given::default(),
        };
        let factor = self.adam.loss_factor(&device);
        let micro_batch = |start| batch.slice(start..(start + examples).min(batch.batch));
        let micro_batches: Vec<Batch> = (0..batch.batch).step_by(examples).map(micro_batch).collect();
        let clock = self.clock.as_ref();
        let run = |micro_batch: &Batch, at_a_time: usize| {
            // A graph of its own: micro-batches that share leaves would share a lock.
            let tracked = self.parameters.map(|_, _, value| Tensor::from_inner(value.clone()).require_grad());
            let forward = || {
                let samples = recorded.map(|step| step.samples(micro_batch, &on_tape));
                let context = StepContext { given: Given { samples, ..Given::default() }, ..context.clone() };
                let mut output = self.objective.step(&tracked, &DeviceBatch::new(micro_batch, &on_tape), &context);
                if let Some(factor) = &factor {
                    output.loss = output.loss * Tensor::from_inner(factor.clone());
                }
                output
            };
            with_precision(precision, || {
                let output = timed(clock, |seconds| &mut seconds.forward, at_a_time, forward);
                let backward = || gradients_of(&tracked, &output.loss);
                let gradients = timed(clock, |seconds| &mut seconds.backward, at_a_time, backward);
                (gradients, output.observations)
            })
        };
        let mut gradients: Vec<Option<Tensor<1>>> = vec![None; self.parameters.values().len()];
        let mut seen = Vec::with_capacity(micro_batches.len());
        // As many at a time as run side by side, since each has gradients of its own; added in the batch's order.
        for wave in micro_batches.chunks(side_by_side::width(&device)) {
            for (found, observations) in side_by_side(wave, |micro_batch| run(micro_batch, wave.len())) {
                seen.push(observations);
                timed(
                    clock,
                    |seconds| &mut seconds.optimizer,
                    1,
                    || {
                        if on_device {
                            return self.adam.add_gradients(found);
                        }
                        for (sum, gradient) in gradients.iter_mut().zip(found) {
                            *sum = match (sum.take(), gradient) {
                                (Some(sum), Some(gradient)) => Some(sum + gradient),
                                (sum, gradient) => sum.or(gradient),
                            };
                        }
                    },
                );
            }
        }
        let seen: Vec<(Observations, Batch)> = seen.into_iter().zip(micro_batches).collect();

        if on_device {
            let losses = seen.iter().filter_map(|(observations, _)| observations.loss.clone()).map(Tensor::inner);
            let loss = losses.reduce(|sum, loss| sum + loss);
            let loss = loss.unwrap_or_else(|| Tensor::zeros([1], &device));
            let submit = || self.adam.submit(self.parameters.layout(), &loss, learning_rate);
            let report = timed(clock, |seconds| &mut seconds.optimizer, 1, submit);
            return Ok(PendingStep::OnDevice { seen, special, report });
        }
        let metrics = metrics_of(&seen, special)?;
        if !metrics.loss.is_finite() {
            let loss_factor = self.adam.known_loss_factor();
            let step = TrainStep { metrics, gradient_norm: f64::NAN, applied: false, loss_factor };
            return Ok(PendingStep::Ready(step));
        }
        // Moved out, so that nobody else holds them and they are changed in place.
        let parameters = std::mem::take(&mut self.parameters);
        let step = || self.adam.step(parameters, gradients, learning_rate);
        let (parameters, report) = timed(clock, |seconds| &mut seconds.optimizer, 1, step)?;
        self.parameters = parameters;
        let StepReport { gradient_norm, applied, loss_factor } = report;
        Ok(PendingStep::Ready(TrainStep { metrics, gradient_norm, applied, loss_factor }))
    }
}

/// A step whose numbers may still be on the device.
#[derive(Debug)]
pub enum PendingStep {
    /// They are known.
    Ready(TrainStep),
    /// They are yet to be read.
    OnDevice {
        /// What each micro-batch showed.
        seen: Vec<(Observations, Batch)>,
        /// The tokenizer's.
        special: SpecialTokens,
        /// What the optimizer did.
        report: PendingReport,
    },
}

impl PendingStep {
    /// Whether reading the numbers would wait for the device.
    pub fn is_on_device(&self) -> bool {
        matches!(self, Self::OnDevice { .. })
    }

    /// The step's numbers. Waits for the device, once.
    ///
    /// # Errors
    /// The device failed, in this step or in one submitted after it.
    pub fn resolve(self) -> Result<TrainStep, DeviceFailure> {
        let (reads, asked) = self.ask();
        Ok(self.told(&asked, &reads.read()?))
    }

    /// As [`PendingStep::resolve`], where waiting must not block (a browser).
    ///
    /// # Errors
    /// As [`PendingStep::resolve`].
    pub async fn resolve_async(self) -> Result<TrainStep, DeviceFailure> {
        let (reads, asked) = self.ask();
        Ok(self.told(&asked, &reads.fetch().await?))
    }

    /// All that is to be read from the device, in one.
    fn ask(&self) -> (Reads, (Vec<Asked>, Option<usize>)) {
        let mut reads = Reads::default();
        let Self::OnDevice { seen, report, .. } = self else { return (reads, (Vec::new(), None)) };
        let asked = seen.iter().map(|(observations, _)| Asked::of(observations, &mut reads)).collect();
        let report = report.ask(&mut reads);
        (reads, (asked, report))
    }

    fn told(self, (asked, number): &(Vec<Asked>, Option<usize>), found: &[TensorData]) -> TrainStep {
        match self {
            Self::Ready(step) => step,
            Self::OnDevice { seen, special, report } => {
                let mut metrics = StepMetrics::default();
                for (asked, (_, micro_batch)) in asked.iter().zip(&seen) {
                    asked.observe(&mut metrics, found, micro_batch, special);
                }
                let StepReport { gradient_norm, applied, loss_factor } = report.told(*number, found);
                // As where the loss is known before the update: its norm is not of interest.
                let gradient_norm = if metrics.loss.is_finite() { gradient_norm } else { f64::NAN };
                TrainStep { metrics, gradient_norm, applied, loss_factor }
            }
        }
    }
}

fn metrics_of(seen: &[(Observations, Batch)], special: SpecialTokens) -> Result<StepMetrics, DeviceFailure> {
    let mut reads = Reads::default();
    let asked: Vec<Asked> = seen.iter().map(|(observations, _)| Asked::of(observations, &mut reads)).collect();
    let found = reads.read()?;
    let mut metrics = StepMetrics::default();
    for (asked, (_, micro_batch)) in asked.iter().zip(seen) {
        asked.observe(&mut metrics, &found, micro_batch, special);
    }
    Ok(metrics)
}

/// Gradients of `loss`, in the order of the parameters' values, flat, without autodiff. `None` for a parameter that it does not
/// reach.
pub fn gradients_of(parameters: &Parameters, loss: &Tensor<1>) -> Vec<Option<Tensor<1>>> {
    let mut gradients = loss.backward();
    parameters.values().iter().map(|value| value.grad_remove(&mut gradients)).collect()
}

/// What was asked of a micro-batch's observations: numbers among the results of a read.
#[derive(Debug)]
pub(crate) struct Asked {
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
    pub(crate) fn of(seen: &Observations, reads: &mut Reads) -> Self {
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
    pub(crate) fn observe(
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
pub(crate) fn judged_tokens(batch: &Batch, special: SpecialTokens) -> impl Iterator<Item = usize> + '_ {
    (0..batch.original_ids.len()).filter(move |&i| {
        let id = batch.original_ids[i] as u32;
        batch.attention_mask[i] != 0 && id != special.cls && id != special.sep
    })
}
