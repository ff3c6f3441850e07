//! One training step: batch in, gradients, update, numbers out. No files, and no clock unless a caller sets one: a
//! page runs it too.
//!
//! The step reads like the paper; what surrounds it (when to log, validate and save) is `run/`. A batch
//! larger than what fits is taken in micro-batches whose losses are divided by the *whole* batch's counts, so
//! that their losses and gradients simply add up.

use burn::tensor::{Device, Tensor, TensorData};
use electra_kernels::adam::add_gradients;
use electra_kernels::read::Reads;
use electra_kernels::side_by_side::{self, side_by_side};
use electra_kernels::{DeviceFailure, Precision, with_precision};
use electra_model::{NoiseKey, Parameters};

use crate::step::learner::{Examples, Learner};
use crate::step::optimizer::{Adam, PendingReport, StepReport};
use crate::step::part_clock::{PartClock, timed};

/// How a step is computed.
#[derive(Debug, Clone)]
pub(crate) struct StepSettings {
    /// Decides first values, dropout and sampling.
    pub(crate) seed: u64,
    /// Examples per forward pass, at least 1.
    pub(crate) micro_batch: usize,
    /// What matrix products read; half precision needs [`Adam::with_loss_scale`] and an adapter that has it.
    pub(crate) precision: Precision,
    /// Where parameters live.
    pub(crate) device: Device,
}

/// Parameters, optimizer and what is learnt. A plan makes them.
pub struct Trainer<L> {
    /// On the device, without autodiff; steps add it.
    pub parameters: Parameters,
    /// The optimizer and its state.
    pub adam: Adam,
    /// What a step learns.
    pub learner: L,
    /// Measures a step's parts, and makes it slower: the device is waited for between them.
    pub clock: Option<PartClock>,
    settings: StepSettings,
}

/// What a step did.
#[derive(Debug, Clone)]
pub struct TrainStep<M> {
    /// Losses and counts.
    pub metrics: M,
    /// What was minimised.
    pub loss: f64,
    /// Global norm of the gradient before clipping.
    pub gradient_norm: f64,
    /// False where a loss or the gradient was not finite: nothing changed then.
    pub applied: bool,
    /// What the loss had been multiplied by before its gradients were taken: 1 in full precision.
    pub loss_factor: f64,
}

impl<M> TrainStep<M> {
    /// Whether the update was skipped because gradients of the scaled loss went beyond half precision: the factor has
    /// been halved, and nothing is wrong.
    pub fn is_overflow(&self) -> bool {
        !self.applied && self.loss.is_finite() && self.loss_factor > 1.0
    }
}

impl<L: Learner> Trainer<L> {
    pub(crate) fn new(learner: L, parameters: Parameters, adam: Adam, settings: StepSettings) -> Self {
        Self { parameters, adam, learner, clock: None, settings }
    }

    /// Where parameters live.
    pub fn device(&self) -> &Device {
        &self.settings.device
    }

    /// Losses, gradients and one update on the whole of `batch`; `step` counts the steps done before it.
    ///
    /// # Errors
    /// The device failed; the trainer is of no use then.
    pub fn step(
        &mut self,
        batch: &L::Batch,
        step: u64,
        learning_rate: f64,
    ) -> Result<TrainStep<L::Metrics>, DeviceFailure> {
        let pending = self.submit(batch, step, learning_rate)?;
        pending.resolve(&self.learner)
    }

    /// As [`Trainer::step`], without waiting for a graphics adapter: [`PendingStep::resolve`] does.
    ///
    /// # Errors
    /// As [`Trainer::step`].
    pub fn submit(&mut self, batch: &L::Batch, step: u64, learning_rate: f64) -> Result<PendingStep<L>, DeviceFailure> {
        let (parameters, on_device) = self.adam.move_to_device(self.parameters.clone());
        self.parameters = parameters;
        let StepSettings { seed, micro_batch: examples, precision, device } = self.settings.clone();
        let on_tape = device.clone().autodiff();
        let context = self.learner.context(batch, NoiseKey::new(seed).child_str("step").child(step), step);
        let factor = self.adam.loss_factor(&device);
        let part = |start| batch.part(start..(start + examples).min(batch.count()));
        let parts: Vec<L::Batch> = (0..batch.count()).step_by(examples).map(part).collect();
        let clock = self.clock.as_ref();
        let run = |part: &L::Batch, at_a_time: usize| {
            // A graph of its own: micro-batches that share leaves would share a lock.
            let tracked = self.parameters.map(|_, _, value| Tensor::from_inner(value.clone()).require_grad());
            let forward = || {
                let (loss, seen) = self.learner.learn(&tracked, part, &context, &on_tape);
                match &factor {
                    Some(factor) => (loss * Tensor::from_inner(factor.clone()), seen),
                    None => (loss, seen),
                }
            };
            with_precision(precision, || {
                let (loss, seen) = timed(clock, |seconds| &mut seconds.forward, at_a_time, forward);
                let backward = || gradients_of(&tracked, &loss);
                let gradients = timed(clock, |seconds| &mut seconds.backward, at_a_time, backward);
                (gradients, seen)
            })
        };
        let mut gradients: Vec<Option<Tensor<1>>> = vec![None; self.parameters.values().len()];
        let mut seen = Vec::with_capacity(parts.len());
        // As many at a time as run side by side, since each has gradients of its own; added in the batch's order.
        for wave in parts.chunks(side_by_side::width(&device)) {
            for (found, shown) in side_by_side(wave, |part| run(part, wave.len())) {
                seen.push(shown);
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
                                (Some(sum), Some(gradient)) => Some(add_gradients(sum, gradient)),
                                (sum, gradient) => sum.or(gradient),
                            };
                        }
                    },
                );
            }
        }
        let seen: Vec<(L::Seen, L::Batch)> = seen.into_iter().zip(parts).collect();

        if on_device {
            let losses = seen.iter().filter_map(|(seen, _)| L::loss(seen).cloned()).map(Tensor::inner);
            let loss = losses.reduce(|sum, loss| sum + loss);
            let loss = loss.unwrap_or_else(|| Tensor::zeros([1], &device));
            let submit = || self.adam.submit(self.parameters.layout(), &loss, learning_rate);
            let report = timed(clock, |seconds| &mut seconds.optimizer, 1, submit);
            return Ok(PendingStep::OnDevice { seen, report });
        }
        let metrics = self.metrics_of(&seen)?;
        let loss = L::loss_of(&metrics);
        if !loss.is_finite() {
            let loss_factor = self.adam.known_loss_factor();
            let step = TrainStep { metrics, loss, gradient_norm: f64::NAN, applied: false, loss_factor };
            return Ok(PendingStep::Ready(step));
        }
        // Moved out, so that nobody else holds them and they are changed in place.
        let parameters = std::mem::take(&mut self.parameters);
        let step = || self.adam.step(parameters, gradients, learning_rate);
        let (parameters, report) = timed(clock, |seconds| &mut seconds.optimizer, 1, step)?;
        self.parameters = parameters;
        let StepReport { gradient_norm, applied, loss_factor } = report;
        Ok(PendingStep::Ready(TrainStep { metrics, loss, gradient_norm, applied, loss_factor }))
    }

    fn metrics_of(&self, seen: &[(L::Seen, L::Batch)]) -> Result<L::Metrics, DeviceFailure> {
        let mut reads = Reads::default();
        let asked: Vec<L::Asked> = seen.iter().map(|(seen, _)| L::ask(seen, &mut reads)).collect();
        let found = reads.read()?;
        let mut metrics = L::Metrics::default();
        for (asked, (_, part)) in asked.iter().zip(seen) {
            self.learner.tell(asked, &found, part, &mut metrics);
        }
        Ok(metrics)
    }
}

/// A step whose numbers may still be on the device.
pub enum PendingStep<L: Learner> {
    /// They are known.
    Ready(TrainStep<L::Metrics>),
    /// They are yet to be read.
    OnDevice {
        /// What each micro-batch showed.
        seen: Vec<(L::Seen, L::Batch)>,
        /// What the optimizer did.
        report: PendingReport,
    },
}

impl<L: Learner> PendingStep<L> {
    /// Whether reading the numbers would wait for the device.
    pub fn is_on_device(&self) -> bool {
        matches!(self, Self::OnDevice { .. })
    }

    /// The step's numbers. Waits for the device, once.
    ///
    /// # Errors
    /// The device failed, in this step or in one submitted after it.
    pub fn resolve(self, learner: &L) -> Result<TrainStep<L::Metrics>, DeviceFailure> {
        let (reads, asked) = self.ask();
        Ok(self.told(learner, &asked, &reads.read()?))
    }

    /// As [`PendingStep::resolve`], where waiting must not block (a browser).
    ///
    /// # Errors
    /// As [`PendingStep::resolve`].
    pub async fn resolve_async(self, learner: &L) -> Result<TrainStep<L::Metrics>, DeviceFailure> {
        let (reads, asked) = self.ask();
        Ok(self.told(learner, &asked, &reads.fetch().await?))
    }

    /// All that is to be read from the device, in one.
    fn ask(&self) -> (Reads, (Vec<L::Asked>, Option<usize>)) {
        let mut reads = Reads::default();
        let Self::OnDevice { seen, report } = self else { return (reads, (Vec::new(), None)) };
        let asked = seen.iter().map(|(seen, _)| L::ask(seen, &mut reads)).collect();
        let report = report.ask(&mut reads);
        (reads, (asked, report))
    }

    fn told(
        self,
        learner: &L,
        (asked, number): &(Vec<L::Asked>, Option<usize>),
        found: &[TensorData],
    ) -> TrainStep<L::Metrics> {
        match self {
            Self::Ready(step) => step,
            Self::OnDevice { seen, report } => {
                let mut metrics = L::Metrics::default();
                for (asked, (_, part)) in asked.iter().zip(&seen) {
                    learner.tell(asked, found, part, &mut metrics);
                }
                let loss = L::loss_of(&metrics);
                let StepReport { gradient_norm, applied, loss_factor } = report.told(*number, found);
                // As where the loss is known before the update: its norm is not of interest.
                let gradient_norm = if loss.is_finite() { gradient_norm } else { f64::NAN };
                TrainStep { metrics, loss, gradient_norm, applied, loss_factor }
            }
        }
    }
}

/// Gradients of `loss`, in the order of the parameters' values, flat, without autodiff. `None` for a parameter that it does not
/// reach.
pub fn gradients_of(parameters: &Parameters, loss: &Tensor<1>) -> Vec<Option<Tensor<1>>> {
    let mut gradients = loss.backward();
    parameters.values().iter().map(|value| value.grad_remove(&mut gradients)).collect()
}
