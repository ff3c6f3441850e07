//! A run, one step at a time, whoever drives it: the terminal, a page, an experiment among others.
//!
//! A [`Run`] names no file and knows no clock, and does not know what is learnt: that is its [`Work`]. What must last goes to its
//! [`Sink`], in one order at a step that is due for several things: rows, validation, checkpoint. So a checkpoint vouches for
//! every row up to its step, and a resumed run writes the rest as it would have been.

pub(crate) mod checkpoint;
pub(crate) mod event;
#[cfg(feature = "native")]
pub mod folder;
mod memory;
mod profile;
mod progress;
pub(crate) mod sink;
pub mod work;

use std::collections::VecDeque;
use std::path::PathBuf;

pub use self::checkpoint::{CHECKPOINT_FILES, Checkpoint, TrainState};
use self::event::TrainEvent;
pub use self::memory::MemorySink;
use self::profile::profiled;
use self::progress::{Progress, Speed};
pub use self::sink::{Sink, TimingsRow};
use self::work::{Description, Work};
use crate::error::{During, Error, Result};
use crate::host;
use crate::step::learner::{Examples, Learner};
use crate::step::schedule::lr_at;
use crate::step::trainer::PendingStep;

/// Steps whose numbers may wait on a graphics adapter: the host runs ahead of it by so many, and no further, so that a
/// run that breaks is stopped soon and Ctrl-C is answered.
const STEPS_AHEAD: usize = 16;

/// Steps before the one that is profiled: the first ones compile shaders and allocate.
const STEPS_BEFORE_PROFILE: u64 = 2;

/// A step in flight, with its examples.
type InFlight<L> = (PendingStep<L>, <L as Learner>::Batch);

/// A run in progress.
pub struct Run<W: Work, S> {
    work: W,
    progress: Progress,
    /// What all checkpoints of the run have in common.
    common: TrainState<W::Memory>,
    pending: VecDeque<InFlight<W::Learner>>,
    phase: &'static str,
    first_step: u64,
    began_at: f64,
    saved_at: Option<u64>,
    last_validation: Option<W::Row>,
    profile_at: Option<u64>,
    sink: S,
}

/// A work that was taken up again where a checkpoint left it.
pub struct Resumed<W: Work> {
    pub(crate) work: W,
    /// Of the checkpoint.
    pub(crate) state: TrainState<W::Memory>,
    /// What messages call the checkpoint.
    pub(crate) place: PathBuf,
    /// What has changed meanwhile, in words.
    pub(crate) notices: Vec<String>,
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
pub struct Ended<W: Work, S> {
    /// With the weights to keep: the last step's, or those that were judged best.
    pub work: W,
    /// What a model card says of the run.
    pub state: TrainState<W::Memory>,
    /// The last validation since the run was begun or resumed.
    pub last_validation: Option<W::Row>,
    /// Whether it ended before its last step, without having learnt enough.
    pub interrupted: bool,
    /// What has been kept.
    pub sink: S,
    began_at: f64,
}

impl<W: Work, S: Sink<W>> Run<W, S> {
    /// A run at step 0.
    ///
    /// # Errors
    /// The sink cannot be written to.
    pub fn begin(work: W, sink: S) -> Result<Self> {
        Self::open(work, Progress::default(), sink)
    }

    /// A run that goes on.
    ///
    /// # Errors
    /// As [`Run::begin`].
    pub fn resume(resumed: Resumed<W>, mut sink: S) -> Result<Self> {
        let Resumed { work, state, place, notices } = resumed;
        for message in notices {
            sink.event(&TrainEvent::Notice { message });
        }
        sink.event(&TrainEvent::Resumed { step: state.step, path: place });
        let mut run = Self::open(work, Progress::of(&state), sink)?;
        run.common.changes = state.changes;
        // As it was called at the first step.
        run.common.corpus = state.corpus.or(run.common.corpus);
        Ok(run)
    }

    fn open(work: W, mut progress: Progress, mut sink: S) -> Result<Self> {
        let (pace, first_step) = (work.pace(), progress.step);
        progress.rows = sink.open(first_step, progress.rows)?;
        let Description { networks, device, parameters, micro_batch } = work.description();
        sink.event(&TrainEvent::Started {
            description: networks,
            device,
            parameters,
            first_step,
            steps: pace.steps,
            tokens_per_step: pace.tokens_per_step,
            micro_batch,
        });
        Ok(Self {
            // A checkpoint is of the phase of its last step; the next one may begin another.
            phase: work.phase(first_step.saturating_sub(1)),
            common: work.identity(),
            began_at: sink.seconds(),
            saved_at: (first_step > 0).then_some(first_step),
            pending: VecDeque::new(),
            last_validation: None,
            profile_at: None,
            work,
            progress,
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

    /// What is done in its steps.
    pub fn work(&self) -> &W {
        &self.work
    }

    /// Hands the sink a checkpoint between two steps, so that the run can be left and taken up again.
    ///
    /// # Errors
    /// As [`Run::advance`].
    pub async fn checkpoint(&mut self) -> Result<()> {
        self.settle().await?;
        self.save().await
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
        let pace = self.work.pace();
        if self.progress.step >= pace.steps || self.work.is_done_early() {
            return Ok(Advance::Done);
        }
        let learning_rate = lr_at(self.progress.step, pace.learning_rate, pace.warmup_steps, pace.steps);
        self.submit(learning_rate).await?;

        let step = self.progress.step;
        let is_last = step == pace.steps;
        let is_due = |every: u64| every > 0 && (is_last || step.is_multiple_of(every));
        let every = [pace.log_every, pace.validate_every, pace.probe_every, pace.checkpoint_every];
        let is_boundary = every.into_iter().any(is_due);
        let patience = if self.pending.iter().any(|(step, _)| step.is_on_device()) { STEPS_AHEAD } else { 1 };
        if is_boundary || self.pending.len() >= patience {
            self.settle().await?;
        }

        let seconds = self.sink.seconds() - self.began_at;
        let speed = Speed::of(seconds, step - self.first_step, pace.steps - step, pace.tokens_per_step);
        let Speed { steps_per_second, tokens_per_second, seconds_left } = speed;
        self.sink.event(&TrainEvent::Progress { step, steps_per_second, tokens_per_second, seconds_left });
        if is_due(pace.log_every) {
            let row = self.work.row(step, learning_rate, self.progress.flops.unwrap_or_default());
            if let Some(row) = row {
                self.sink.row(&row, &TimingsRow { step, seconds, steps_per_second, tokens_per_second })?;
                self.progress.rows += 1;
                let row = Box::new(row);
                self.sink.event(&TrainEvent::Metrics { row, steps_per_second, tokens_per_second, seconds_left });
            }
        }
        if is_due(pace.validate_every) {
            let row = self.work.validate(step).await.during(format!("the validation after step {step}"))?;
            self.sink.validation(&row)?;
            self.progress.rows += 1;
            self.sink.event(&TrainEvent::Validation { row: Box::new(row.clone()) });
            self.last_validation = Some(row);
        }
        if is_due(pace.probe_every)
            && let Some(row) = self.work.probe(step).await?
        {
            self.sink.validation(&row)?;
            self.progress.rows += 1;
            self.sink.event(&TrainEvent::Validation { row: Box::new(row) });
        }
        if is_due(pace.checkpoint_every) || self.work.best_step() == Some(step) {
            self.save().await?;
        }
        Ok(if is_last || self.work.is_done_early() { Advance::Done } else { Advance::Stepped })
    }

    /// Ends the run, at its last step or before: takes in all numbers and saves what is not saved.
    ///
    /// # Errors
    /// As [`Run::advance`].
    pub async fn finish(mut self) -> Result<Ended<W, S>> {
        self.settle().await?;
        if self.saved_at != Some(self.progress.step) {
            self.save().await?;
        }
        let step = self.progress.step;
        let interrupted = step < self.work.pace().steps && !self.work.is_done_early();
        if self.last_validation.is_none() && !interrupted {
            // Resumed at its end: there was no step to validate after, but there is something to say.
            let row = self.work.validate(step).await;
            self.last_validation = Some(row.during("the validation at the end")?);
        }
        if let Some(best) = self.work.best_step().filter(|best| *best != step && !interrupted) {
            let Checkpoint { parameters, .. } = self.sink.load(best).await?;
            let trainer = self.work.trainer_mut();
            let (layout, device) = (trainer.parameters.layout().clone(), trainer.device().clone());
            trainer.parameters = host::parameters_from_host(&layout, parameters, &self.sink.place(), &device)?;
        }
        let Progress { tokens_seen, flops, .. } = self.progress;
        let best_step = self.work.best_step();
        Ok(Ended {
            work: self.work,
            state: TrainState { step, tokens_seen, flops, best_step, ..self.common },
            last_validation: self.last_validation,
            interrupted,
            sink: self.sink,
            began_at: self.began_at,
        })
    }

    /// Asks the device for the next step, without waiting for it.
    async fn submit(&mut self, learning_rate: f64) -> Result<()> {
        let step = self.progress.step;
        let phase = self.work.phase(step);
        if phase != self.phase {
            self.settle().await?;
            self.work.enter_phase(phase);
            self.sink.event(&TrainEvent::Notice { message: format!("step {step}: the phase \"{phase}\" begins") });
            self.phase = phase;
        }
        let batch = self.work.batch(step);
        let flops = self.work.step_flops(&batch);
        let doing = format!("step {}", step + 1);
        let submitted = if self.profile_at == Some(step) {
            // By itself: steps in flight would be timed with it.
            self.settle().await?;
            let trainer = self.work.trainer_mut();
            let (submitted, profile) = profiled(step, || trainer.submit(&batch, step, learning_rate));
            let submitted = submitted.during(doing)?;
            let place = self.sink.profile(&profile)?;
            self.sink.event(&TrainEvent::Notice { message: format!("step {step}, kernel by kernel: {place}") });
            submitted
        } else {
            self.work.trainer_mut().submit(&batch, step, learning_rate).during(doing)?
        };
        self.pending.push_back((submitted, batch));
        self.progress.step += 1;
        // Checkpoints of earlier releases do not say what was spent before them: as much a step as now.
        *self.progress.flops.get_or_insert(step as f64 * flops) += flops;
        Ok(())
    }

    /// Takes in what steps in flight have to say, in their order.
    async fn settle(&mut self) -> Result<()> {
        let limit = self.work.pace().max_nonfinite_in_a_row;
        let first = self.progress.step - self.pending.len() as u64;
        let mut number = first;
        while let Some((step, batch)) = self.pending.pop_front() {
            number += 1;
            let learner = &self.work.trainer().learner;
            let result = step.resolve_async(learner).await.during(format!("step {number}"))?;
            let progress = &mut self.progress;
            progress.tokens_seen += batch.tokens();
            if result.applied {
                progress.nonfinite_in_a_row = 0;
                self.work.take(&result);
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
            let what = if result.loss.is_finite() { "gradient norm" } else { "loss" };
            self.sink.event(&TrainEvent::NonFinite { step: number, what: what.to_owned(), in_a_row, limit });
            if in_a_row >= limit {
                let place = self.sink.broken_batch(number, &self.work.batch_json(number, &batch))?;
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
        let (trainer, progress) = (self.work.trainer(), &self.progress);
        let saving = || format!("the checkpoint of step {}", progress.step);
        let (window, window_scores) = self.work.memory();
        let (updates, loss_scale) = trainer.adam.counters().await.during(saving())?;
        let checkpoint = Checkpoint {
            state: TrainState {
                step: progress.step,
                tokens_seen: progress.tokens_seen,
                flops: progress.flops,
                nonfinite_steps: progress.nonfinite_steps,
                nonfinite_in_a_row: progress.nonfinite_in_a_row,
                updates,
                loss_scale: loss_scale.map(|scale| [scale.factor, scale.good_steps as f64]),
                rows: progress.rows,
                best_step: self.work.best_step(),
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
        Error::Diverged { path: self.sink.place(), problem, remedy: self.work.remedy().to_owned() }
    }
}

impl<W: Work, S: Sink<W>> Ended<W, S> {
    /// Since the run was begun or resumed.
    pub fn seconds(&self) -> f64 {
        self.sink.seconds() - self.began_at
    }
}
