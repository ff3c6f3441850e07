//! What a run does in its steps.

use std::fmt::Debug;

use electra_kernels::DeviceFailure;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::checkpoint::TrainState;
use crate::error::Result as TrainResult;
use crate::host::HostTensor;
use crate::step::learner::Learner;
use crate::step::trainer::{TrainStep, Trainer};

/// How long a run is, and how often it does what beside its steps; 0: never.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// Of the whole run.
    pub steps: u64,
    /// Steps in which the learning rate rises.
    pub warmup_steps: u64,
    /// At its highest.
    pub learning_rate: f64,
    /// Steps between rows.
    pub log_every: u64,
    /// Steps between validations.
    pub validate_every: u64,
    /// Steps between probes.
    pub probe_every: u64,
    /// Steps between checkpoints.
    pub checkpoint_every: u64,
    /// So many steps in a row whose numbers are not finite end the run.
    pub max_nonfinite_in_a_row: u64,
    /// Padding included; a mean where it differs.
    pub tokens_per_step: u64,
}

/// A run before its first step, in words.
#[derive(Debug, Clone, PartialEq)]
pub struct Description {
    /// What is learnt, by which networks of which sizes.
    pub networks: String,
    /// The device.
    pub device: String,
    /// Trainable values, shared ones once.
    pub parameters: usize,
    /// Examples per forward pass.
    pub micro_batch: usize,
}

/// A row of metrics, as it is written.
pub trait Row: Clone + Debug + PartialEq + Serialize {
    /// Steps done.
    fn step(&self) -> u64;
    /// `train`, or the name of what was held out.
    fn split(&self) -> &str;
}

/// What a run's work must remember, beside parameters and optimizer: part of a checkpoint's JSON.
pub trait Memory: Clone + Debug + Default + PartialEq + Serialize + DeserializeOwned {}

impl<M: Clone + Debug + Default + PartialEq + Serialize + DeserializeOwned> Memory for M {}

/// What a run does in its steps: pre-training ([`crate::pretraining::Pretraining`]) or fine-tuning.
///
/// [`super::Run`] calls it in one order: [`Work::batch`] for each step, once; [`Work::take`] with the numbers of each step, in
/// their order, a little later; [`Work::row`], [`Work::validate`] and [`Work::memory`] when no step is in flight.
pub trait Work {
    /// What a step learns.
    type Learner: Learner;
    /// What is written of it.
    type Row: Row;
    /// What it must remember, beside parameters and optimizer.
    type Memory: Memory;

    /// Its length and rhythm.
    fn pace(&self) -> Pace;

    /// In words.
    fn description(&self) -> Description;

    /// What all its checkpoints have in common: settings, tokenizer, data.
    fn identity(&self) -> TrainState<Self::Memory>;

    /// Parameters, optimizer, learner.
    fn trainer(&self) -> &Trainer<Self::Learner>;

    /// As [`Work::trainer`], to be changed.
    fn trainer_mut(&mut self) -> &mut Trainer<Self::Learner>;

    /// The phase that the step after `step` steps belongs to.
    fn phase(&self, _step: u64) -> &'static str {
        electra_model::objective::JOINT
    }

    /// Begins a phase with what the one before has left.
    fn enter_phase(&mut self, _phase: &'static str) {}

    /// The examples of the step after `step` steps.
    fn batch(&mut self, step: u64) -> <Self::Learner as Learner>::Batch;

    /// Floating-point operations of a step on `batch`.
    fn step_flops(&self, batch: &<Self::Learner as Learner>::Batch) -> f64;

    /// A batch whose numbers were not finite, to be looked at by hand.
    fn batch_json(&self, step: u64, batch: &<Self::Learner as Learner>::Batch) -> Value;

    /// Takes in the numbers of a step whose update was made.
    fn take(&mut self, step: &TrainStep<<Self::Learner as Learner>::Metrics>);

    /// The row of what was taken in since the last one, which is forgotten; `None` where that is nothing.
    fn row(&mut self, step: u64, learning_rate: f64, flops: f64) -> Option<Self::Row>;

    /// Judges what was held out.
    ///
    /// # Errors
    /// The device failed.
    fn validate(&mut self, step: u64) -> impl Future<Output = Result<Self::Row, DeviceFailure>>;

    /// Looks closer at what has been learnt than a validation does, and leaves it as it is; `None`: there is nothing to look with.
    ///
    /// # Errors
    /// The device failed.
    fn probe(&mut self, _step: u64) -> impl Future<Output = TrainResult<Option<Self::Row>>> {
        async { Ok(None) }
    }

    /// The step whose weights were judged best so far, where they are compared: its checkpoint is kept, and its weights are
    /// those that the run ends with.
    fn best_step(&self) -> Option<u64> {
        None
    }

    /// Whether it has learnt enough before its last step.
    fn is_done_early(&self) -> bool {
        false
    }

    /// What it must remember, and tensors of it.
    fn memory(&self) -> (Self::Memory, Vec<HostTensor>);

    /// What to do about numbers that are not finite.
    fn remedy(&self) -> &'static str;
}
