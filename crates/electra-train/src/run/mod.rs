//! A pre-training run, one step at a time, whoever drives it: the terminal, a page, an experiment among others.
//!
//! A [`Run`] names no file and knows no clock. What must last goes to its [`Sink`], in one order at a step that is due for
//! several things: rows, validation, checkpoint. So a checkpoint vouches for every row up to its step, and a resumed run
//! writes the rest as it would have been.

mod batches;
pub(crate) mod checkpoint;
pub(crate) mod event;
#[cfg(feature = "native")]
pub mod folder;
mod memory;
mod progress;
mod report;
mod resume;
pub(crate) mod sink;
mod unused_rows;
pub(crate) mod validate;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use electra_data::Batch;
use electra_model::objective::Frequencies;

use self::batches::Batches;
pub use self::checkpoint::{Checkpoint, TrainState};
use self::event::TrainEvent;
pub use self::memory::MemorySink;
use self::progress::{Progress, Speed};
use self::report::{batch_json, describe, profiled};
pub use self::sink::{Sink, TimingsRow};
use self::unused_rows::close_unused_rows;
pub use self::validate::JudgedToken;
use self::validate::Validation;
use crate::data::TrainingData;
use crate::error::{During, Error, Result};
use crate::host;
use crate::plan::Plan;
use crate::step::metrics::MetricsRow;
use crate::step::optimizer::LossScale;
use crate::step::schedule::lr_at;
use crate::step::trainer::{PendingStep, Trainer};

/// Steps whose numbers may wait on a graphics adapter: the host runs ahead of it by so many, and no further, so that a
/// run that breaks is stopped soon and Ctrl-C is answered.
const STEPS_AHEAD: usize = 16;

/// Steps before the one that is profiled: the first ones compile shaders and allocate.
const STEPS_BEFORE_PROFILE: u64 = 2;

/// What to do about numbers that are not finite. --resume would go the same way again: a run keeps its learning rate.
const LOWER_RATE: &str = "lower train.learning_rate or lengthen train.warmup_steps in another run; \"electra export\" and \
                          --init-from start it from this one's last checkpoint";

/// A run in progress.
pub struct Run<S> {
    plan: Plan,
    trainer: Trainer,
    progress: Progress,
    /// What all checkpoints of the run have in common.
    common: TrainState,
    batches: Batches,
    validation: Validation,
    /// Steps in flight, with their batches.
    pending: VecDeque<(PendingStep, Batch)>,
    phase: &'static str,
    /// Operations of a step of the phase.
    step_flops: f64,
    first_step: u64,
    began_at: f64,
    saved_at: Option<u64>,
    last_validation: Option<MetricsRow>,
    profile_at: Option<u64>,
    sink: S,
}

/// What [`Run::advance`] came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advance {
    /// There are more steps to do.
    Stepped,
    /// The last step is done.
    Done,
}

/// A run that has ended, at its last step or before.
pub struct Ended<S> {
    /// With the last step's weights.
    pub trainer: Trainer,
    /// What a model card says of the run.
    pub state: TrainState,
    /// The last validation since the run was begun or resumed.
    pub last_validation: Option<MetricsRow>,
    /// Whether it ended before its last step.
    pub interrupted: bool,
    /// What has been kept.
    pub sink: S,
    began_at: f64,
    validation: Validation,
    plan: Plan,
}

impl<S: Sink> Run<S> {
    /// A run at step 0, with the first values that its seed gives.
    ///
    /// # Errors
    /// The device failed, or the sink cannot be written to.
    pub fn begin(plan: Plan, data: TrainingData, sink: S) -> Result<Self> {
        let trainer = plan.trainer();
        Self::begin_with(plan, trainer, data, sink)
    }

    /// As [`Run::begin`], with values from elsewhere.
    pub(crate) fn begin_with(plan: Plan, mut trainer: Trainer, data: TrainingData, sink: S) -> Result<Self> {
        trainer.parameters = close_unused_rows(trainer.parameters, data.vocab_size);
        Self::open(plan, trainer, Progress::default(), data, sink)
    }

    /// Goes on from `saved`, which is called `place` where something is wrong with it.
    ///
    /// # Errors
    /// It is of another run: of other data, another tokenizer or another configuration; or as [`Run::begin`].
    pub fn resume(plan: Plan, data: TrainingData, mut saved: Checkpoint, place: &Path, mut sink: S) -> Result<Self> {
        for notice in resume::take_over(place, &mut saved, plan.config(), &data)? {
            sink.event(&TrainEvent::Notice { message: notice });
        }
        let (parameters, moments) = (std::mem::take(&mut saved.parameters), std::mem::take(&mut saved.optimizer));
        let scale = saved.state.loss_scale;
        let scale = scale.map(|[factor, good_steps]| LossScale { factor, good_steps: good_steps as u64 });
        let trainer = plan.restored(parameters, moments, saved.state.updates, scale, place)?;
        let progress = Progress::restore(saved, place)?;
        sink.event(&TrainEvent::Resumed { step: progress.step, path: place.to_owned() });
        Self::open(plan, trainer, progress, data, sink)
    }

    fn open(plan: Plan, mut trainer: Trainer, mut progress: Progress, data: TrainingData, mut sink: S) -> Result<Self> {
        let (config, first_step) = (plan.config(), progress.step);
        let never = [data.special.pad, data.special.cls, data.special.sep, data.special.mask];
        let frequencies = data.baseline.as_ref().and_then(|baseline| Frequencies::new(baseline.counts(), &never));
        let frequencies = frequencies.map(Arc::new);
        trainer.frequencies.clone_from(&frequencies);
        // A checkpoint is of the phase of its last step; the next one may begin another.
        let phase = trainer.objective().phase(first_step.saturating_sub(1));
        trainer.take_rates(phase);
        let validation = Validation {
            source: data.validation,
            batches: config.train.validation_batches,
            objective: plan.judging_objective(),
            special: data.special,
            seed: config.seed,
            masking_probability: config.data.masking_probability,
            frequencies,
            baseline: data.baseline,
            swaps: data.swaps,
        };
        let step_flops = plan.step_flops(trainer.objective(), phase);
        progress.flops.get_or_insert(first_step as f64 * step_flops);
        let common = TrainState {
            settings: config.settings(),
            tokenizer_sha256: data.tokenizer_sha256,
            data_fingerprint: data.fingerprint,
            // As it was called at the first step.
            corpus: progress.corpus.take().or(Some(data.corpus)),
            ..TrainState::default()
        };
        progress.rows = sink.open(first_step, progress.rows)?;
        sink.event(&TrainEvent::Started {
            description: describe(&trainer),
            device: plan.device_name().to_owned(),
            parameters: plan.layout().parameter_count(),
            first_step,
            steps: config.train.steps,
            tokens_per_step: plan.tokens_per_step(),
            micro_batch: plan.micro_batch(),
        });
        Ok(Self {
            phase,
            step_flops,
            batches: Batches::from(data.train, first_step),
            began_at: sink.seconds(),
            saved_at: (first_step > 0).then_some(first_step),
            pending: VecDeque::new(),
            last_validation: None,
            profile_at: None,
            plan,
            trainer,
            progress,
            common,
            validation,
            first_step,
            sink,
        })
    }

    /// Steps done.
    pub fn step(&self) -> u64 {
        self.progress.step
    }

    /// What has been kept so far.
    pub fn sink(&self) -> &S {
        &self.sink
    }

    /// Times every launch of one of the next steps on a graphics adapter, for [`Sink::profile`].
    pub fn profile_a_step(&mut self) {
        self.profile_at = Some(self.first_step + STEPS_BEFORE_PROFILE);
    }

    /// One step: submitted, its numbers taken in where it is time to, and what is due after it done.
    ///
    /// # Errors
    /// The device failed, the sink cannot be written to, or the loss stays non-finite. The run is of no use then: resume it.
    pub async fn advance(&mut self) -> Result<Advance> {
        let train = self.plan.config().train.clone();
        if self.progress.step >= train.steps {
            return Ok(Advance::Done);
        }
        let learning_rate = lr_at(self.progress.step, train.learning_rate, train.warmup_steps, train.steps);
        self.submit(learning_rate).await?;

        let step = self.progress.step;
        let is_last = step == train.steps;
        let is_due = |every: u64| every > 0 && (is_last || step.is_multiple_of(every));
        let is_boundary = is_due(train.log_every) || is_due(train.validate_every) || is_due(train.checkpoint_every);
        let patience = if self.pending.iter().any(|(step, _)| step.is_on_device()) { STEPS_AHEAD } else { 1 };
        if is_boundary || self.pending.len() >= patience {
            self.settle().await?;
        }

        let seconds = self.sink.seconds() - self.began_at;
        let speed = Speed::of(seconds, step - self.first_step, train.steps - step, self.plan.tokens_per_step());
        let Speed { steps_per_second, tokens_per_second, seconds_left } = speed;
        self.sink.event(&TrainEvent::Progress { step, steps_per_second, tokens_per_second, seconds_left });
        if is_due(train.log_every) && !self.progress.window.is_empty() {
            let mut row = self.progress.window.row(step, "train", Some(learning_rate));
            row.extra.insert("flops".to_owned(), self.progress.flops);
            self.progress.window.clear();
            self.sink.row(&row, &TimingsRow { step, seconds, steps_per_second, tokens_per_second })?;
            self.progress.rows += 1;
            let row = Box::new(row);
            self.sink.event(&TrainEvent::Metrics { row, steps_per_second, tokens_per_second, seconds_left });
        }
        if is_due(train.validate_every) {
            let row = self.validation.run(&self.trainer.parameters, step, self.plan.device()).await;
            let row = row.during(format!("the validation after step {step}"))?;
            self.sink.validation(&row)?;
            self.progress.rows += 1;
            self.sink.event(&TrainEvent::Validation { row: Box::new(row.clone()) });
            self.last_validation = Some(row);
        }
        if is_due(train.checkpoint_every) {
            self.save().await?;
        }
        Ok(if is_last { Advance::Done } else { Advance::Stepped })
    }

    /// Ends the run, at its last step or before: takes in all numbers and saves what is not saved.
    ///
    /// # Errors
    /// As [`Run::advance`].
    pub async fn finish(mut self) -> Result<Ended<S>> {
        self.settle().await?;
        if self.saved_at != Some(self.progress.step) {
            self.save().await?;
        }
        let interrupted = self.progress.step < self.plan.config().train.steps;
        if self.last_validation.is_none() && !interrupted {
            // Resumed at its end: there was no step to validate after, but there is something to say.
            let row = self.validation.run(&self.trainer.parameters, self.progress.step, self.plan.device()).await;
            self.last_validation = Some(row.during("the validation at the end")?);
        }
        let Progress { step, tokens_seen, flops, changes, .. } = self.progress;
        Ok(Ended {
            trainer: self.trainer,
            state: TrainState { step, tokens_seen, flops, changes, ..self.common },
            last_validation: self.last_validation,
            interrupted,
            sink: self.sink,
            began_at: self.began_at,
            validation: self.validation,
            plan: self.plan,
        })
    }

    /// Asks the device for the next step, without waiting for it.
    async fn submit(&mut self, learning_rate: f64) -> Result<()> {
        let step = self.progress.step;
        let phase = self.trainer.objective().phase(step);
        if phase != self.phase {
            self.settle().await?;
            self.trainer.enter_phase(phase);
            self.sink.event(&TrainEvent::Notice { message: format!("step {step}: the phase \"{phase}\" begins") });
            self.phase = phase;
            self.step_flops = self.plan.step_flops(self.trainer.objective(), phase);
        }
        let drawn = self.batches.next();
        let batch = self.plan.recorded_step(step).map_or(drawn, |recorded| recorded.batch.clone());
        let doing = format!("step {}", step + 1);
        let submitted = if self.profile_at == Some(step) {
            // By itself: steps in flight would be timed with it.
            self.settle().await?;
            let (submitted, profile) = profiled(step, || self.trainer.submit(&batch, step, learning_rate));
            let submitted = submitted.during(doing)?;
            let place = self.sink.profile(&profile)?;
            self.sink.event(&TrainEvent::Notice { message: format!("step {step}, kernel by kernel: {place}") });
            submitted
        } else {
            self.trainer.submit(&batch, step, learning_rate).during(doing)?
        };
        self.pending.push_back((submitted, batch));
        self.progress.step += 1;
        *self.progress.flops.get_or_insert_default() += self.step_flops;
        Ok(())
    }

    /// Takes in what steps in flight have to say, in their order.
    async fn settle(&mut self) -> Result<()> {
        let limit = self.plan.config().train.max_nonfinite_in_a_row;
        let first = self.progress.step - self.pending.len() as u64;
        let mut number = first;
        while let Some((step, batch)) = self.pending.pop_front() {
            number += 1;
            let result = step.resolve_async().await.during(format!("step {number}"))?;
            let progress = &mut self.progress;
            progress.tokens_seen += batch.token_count() as u64;
            if result.applied {
                progress.nonfinite_in_a_row = 0;
                progress.window.add(&result.metrics);
                progress.window.add_gradient_norm(result.gradient_norm);
                continue;
            }
            if result.is_overflow() {
                // How half precision finds its factor: not a step gone wrong.
                progress.nonfinite_in_a_row = 0;
                self.sink.event(&TrainEvent::Overflow { step: number, loss_factor: result.loss_factor / 2.0 });
                continue;
            }
            progress.nonfinite_steps += 1;
            progress.nonfinite_in_a_row += 1;
            let in_a_row = progress.nonfinite_in_a_row;
            let what = if result.metrics.loss.is_finite() { "gradient norm" } else { "loss" };
            self.sink.event(&TrainEvent::NonFinite { step: number, what: what.to_owned(), in_a_row, limit });
            if in_a_row >= limit {
                let place = self.sink.broken_batch(number, &batch_json(number, &batch))?;
                return Err(self.diverged(format!(
                    "the {what} was not finite for {in_a_row} steps in a row, the last of them step {number}; its batch is in \
                     {place}"
                )));
            }
        }
        Ok(())
    }

    /// Hands the sink a checkpoint. No step may be in flight.
    pub(crate) async fn save(&mut self) -> Result<()> {
        let (trainer, progress) = (&self.trainer, &self.progress);
        let saving = || format!("the checkpoint of step {}", progress.step);
        let (window, window_scores) = progress.window.save();
        let (updates, loss_scale) = trainer.adam.counters().await.during(saving())?;
        let checkpoint = Checkpoint {
            state: TrainState {
                step: progress.step,
                changes: progress.changes.clone(),
                tokens_seen: progress.tokens_seen,
                flops: progress.flops,
                nonfinite_steps: progress.nonfinite_steps,
                nonfinite_in_a_row: progress.nonfinite_in_a_row,
                updates,
                loss_scale: loss_scale.map(|scale| [scale.factor, scale.good_steps as f64]),
                rows: progress.rows,
                window,
                ..self.common.clone()
            },
            parameters: host::parameters_to_host(&trainer.parameters).await.during(saving())?,
            optimizer: trainer.adam.to_host(trainer.parameters.layout()).await.during(saving())?,
            window_scores,
        };
        let mut tensors = checkpoint.parameters.iter().chain(&checkpoint.optimizer);
        if let Some(tensor) = tensors.find(|tensor| tensor.values.iter().any(|value| !value.is_finite())) {
            // A finite loss can be followed by an update that is not. Resuming from that would be of no use.
            let problem = format!("\"{}\" holds values that are not finite after step {}", tensor.name, progress.step);
            return Err(self.diverged(problem));
        }
        self.sink.save(checkpoint).await?;
        self.saved_at = Some(self.progress.step);
        Ok(())
    }

    fn diverged(&self, problem: String) -> Error {
        Error::Diverged { path: self.sink.place(), problem, remedy: LOWER_RATE.to_owned() }
    }
}

impl<S: Sink> Ended<S> {
    /// Since the run was begun or resumed.
    pub fn seconds(&self) -> f64 {
        self.sink.seconds() - self.began_at
    }

    /// The first `count` held-out examples, corrupted and judged.
    ///
    /// # Errors
    /// The device failed.
    pub async fn examples(&self, count: usize) -> Result<Vec<Vec<JudgedToken>>> {
        let last = self.state.step.saturating_sub(1);
        let examples = self.validation.examples(&self.trainer.parameters, last, count, self.plan.device()).await;
        examples.during("the examples at the end")
    }
}
