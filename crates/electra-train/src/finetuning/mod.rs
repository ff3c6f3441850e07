//! Fine-tuning: what a [`Run`](crate::run::Run) does to learn a task.

mod config;
mod data;
#[cfg(feature = "native")]
mod folder;
pub mod head;
pub mod learner;
mod memory;
mod plan;
pub(crate) mod read;
#[cfg(feature = "native")]
mod results;

use std::path::Path;

use electra_kernels::DeviceFailure;
use electra_model::Parameters;
use electra_task::batch::{Epochs, TaskBatch};
use electra_task::{Scores, score};
use serde_json::{Value, json};

pub use self::config::{FINETUNE_CONFIG, FineTuneConfig, OutOfRange};
pub use self::data::{DevSet, FineTuningData};
#[cfg(feature = "native")]
pub use self::folder::{FineTuneOptions, FineTuned, finetune};
pub use self::head::TaskHead;
use self::learner::TaskLearner;
pub use self::memory::{FineTuneMemory, FineTuneRow};
pub use self::plan::FineTunePlan;
use self::read::Reader;
#[cfg(feature = "native")]
pub use self::results::{Results, SeedResult, Spread};
use crate::error::{Error, Result};
use crate::host::HostTensor;
use crate::run::work::{Description, Pace, Row, Work};
use crate::run::{Checkpoint, Resumed, TrainState};
use crate::step::trainer::{TrainStep, Trainer};

/// What to do about numbers that are not finite.
const LOWER_RATE: &str = "lower --learning-rate, in another folder";

/// Steps in a row whose numbers are not finite, that end a fine-tuning.
const MAX_NONFINITE_IN_A_ROW: u64 = 10;

/// The fine-tuning of one run.
pub struct FineTuning {
    plan: FineTunePlan,
    trainer: Trainer<TaskLearner>,
    data: FineTuningData,
    epochs: Epochs,
    tokens_per_step: u64,
    memory: FineTuneMemory,
}

impl FineTuning {
    /// One that begins with `encoder`'s tensors.
    pub fn begin(plan: FineTunePlan, data: FineTuningData, encoder: &[HostTensor]) -> Self {
        let trainer = plan.trainer(encoder);
        Self::open(plan, trainer, data, FineTuneMemory::default())
    }

    /// One that goes on from `saved`, which is called `place` where something is wrong with it.
    ///
    /// # Errors
    /// It is of another run: of other data, another tokenizer or another configuration.
    pub fn resume(
        plan: FineTunePlan,
        data: FineTuningData,
        mut saved: Checkpoint<FineTuneMemory>,
        place: &Path,
    ) -> Result<Resumed<Self>> {
        let state = &saved.state;
        let other = |what: String| {
            let remedy = "give what it was begun with, or fine-tune in another folder";
            Error::invalid(place, format!("the checkpoint was written with {what}"), remedy)
        };
        if state.tokenizer_sha256 != data.tokenizer_sha256 {
            return Err(other("another tokenizer".to_owned()));
        }
        if state.data_fingerprint != data.fingerprint {
            return Err(other("other examples".to_owned()));
        }
        for (key, value) in plan.config().settings() {
            if let Some(was) = state.settings.get(&key).filter(|was| **was != value) {
                return Err(other(format!("{key} = {was}, and it is {value}")));
            }
        }
        let trainer = plan.restored(&mut saved, place)?;
        let state = saved.state;
        let work = Self::open(plan, trainer, data, state.window.clone());
        Ok(Resumed { work, state, place: place.to_owned(), notices: Vec::new() })
    }

    fn open(plan: FineTunePlan, trainer: Trainer<TaskLearner>, data: FineTuningData, memory: FineTuneMemory) -> Self {
        let config = plan.config();
        let mut epochs = Epochs::new(
            data.train.clone(),
            plan.head().kind.clone(),
            data.class_weights.clone(),
            plan.special(),
            config.batch_size,
            config.seed,
        );
        let tokens_per_step = epochs.mean_tokens().round() as u64;
        Self { plan, trainer, data, epochs, tokens_per_step, memory }
    }

    /// The weights as they are now.
    pub fn parameters(&self) -> &Parameters {
        &self.trainer.parameters
    }

    /// What it learns from.
    pub fn data(&self) -> &FineTuningData {
        &self.data
    }

    /// What is computed.
    pub fn plan(&self) -> &FineTunePlan {
        &self.plan
    }

    /// The network as it is now.
    fn reader(&self) -> Reader<'_> {
        Reader {
            head: self.plan.head(),
            config: self.plan.network(),
            parameters: &self.trainer.parameters,
            special: self.plan.special(),
            device: self.plan.device(),
        }
    }

    /// How good it is on each set that it is compared on.
    ///
    /// # Panics
    /// If tags are none, which reading them would have said.
    async fn judge(&self) -> Result<Vec<Scores>, DeviceFailure> {
        let mut judged = Vec::new();
        for dev in self.data.dev.iter() {
            let predictions = self.reader().predictions(&dev.examples, &dev.encoded, &mut |_| {}).await?;
            let scores = score(&self.plan.head().kind, &self.data.metrics, &dev.examples, &predictions);
            judged.push(scores.expect("tags were checked when they were read"));
        }
        Ok(judged)
    }

    /// How good its best weights were judged, on each set that it is compared on.
    pub fn best_scores(&self) -> &[Scores] {
        self.memory.best_scores()
    }

    fn steps_of_epoch(&self) -> u64 {
        self.epochs.batches()
    }

    fn epoch_of(&self, step: u64) -> f64 {
        step as f64 / self.steps_of_epoch() as f64
    }
}

impl Work for FineTuning {
    type Learner = TaskLearner;
    type Row = FineTuneRow;
    type Memory = FineTuneMemory;

    fn pace(&self) -> Pace {
        let config = self.plan.config();
        let steps = (config.epochs * self.steps_of_epoch() as f64).round().max(1.0) as u64;
        let every = (self.steps_of_epoch() / config.evaluations_per_epoch.max(1)).max(1);
        Pace {
            steps,
            warmup_steps: (config.warmup * steps as f64).round() as u64,
            learning_rate: config.learning_rate,
            log_every: config.log_every,
            probe_every: 0,
            validate_every: if self.data.dev.is_empty() { 0 } else { every },
            checkpoint_every: config.checkpoint_every.min(every),
            max_nonfinite_in_a_row: MAX_NONFINITE_IN_A_ROW,
            tokens_per_step: self.tokens_per_step,
        }
    }

    fn description(&self) -> Description {
        let network = self.plan.network();
        let config = self.plan.config();
        Description {
            networks: format!(
                "{}: {} layers of {}, {} head{}",
                config.task,
                network.num_hidden_layers,
                network.hidden_size,
                config.head.name(),
                if config.from_scratch { ", from random weights" } else { "" }
            ),
            device: self.plan.device_name().to_owned(),
            parameters: self.plan.layout().parameter_count(),
            micro_batch: self.plan.micro_batch(),
        }
    }

    fn identity(&self) -> TrainState<FineTuneMemory> {
        TrainState {
            settings: self.plan.config().settings(),
            tokenizer_sha256: self.data.tokenizer_sha256.clone(),
            data_fingerprint: self.data.fingerprint.clone(),
            ..TrainState::default()
        }
    }

    fn trainer(&self) -> &Trainer<TaskLearner> {
        &self.trainer
    }

    fn trainer_mut(&mut self) -> &mut Trainer<TaskLearner> {
        &mut self.trainer
    }

    fn batch(&mut self, step: u64) -> TaskBatch {
        self.epochs.batch(step)
    }

    fn step_flops(&self, batch: &TaskBatch) -> f64 {
        self.plan.step_flops(batch)
    }

    fn batch_json(&self, step: u64, batch: &TaskBatch) -> Value {
        json!({
            "step": step, "rows": batch.rows, "seq": batch.seq, "features": batch.features, "ids": batch.ids,
            "token_type_ids": batch.token_type_ids, "attention_mask": batch.attention_mask,
            "targets": format!("{:?}", batch.targets),
        })
    }

    fn take(&mut self, step: &TrainStep<f64>) {
        self.memory.add(step.metrics, step.gradient_norm);
    }

    fn row(&mut self, step: u64, learning_rate: f64, flops: f64) -> Option<FineTuneRow> {
        let epoch = self.epoch_of(step);
        self.memory.row(step, epoch, learning_rate, flops)
    }

    async fn validate(&mut self, step: u64) -> Result<FineTuneRow, DeviceFailure> {
        let judged = self.judge().await?;
        let names = self.data.dev.iter().map(|dev| dev.name.as_str());
        let row = FineTuneRow::of_scores(step, self.epoch_of(step), names.zip(&judged));
        self.memory.judge(step, judged, self.plan.config().patience);
        Ok(row)
    }

    fn best_step(&self) -> Option<u64> {
        self.memory.best_step()
    }

    fn is_done_early(&self) -> bool {
        self.memory.is_done_early()
    }

    fn memory(&self) -> (FineTuneMemory, Vec<HostTensor>) {
        (self.memory.clone(), Vec::new())
    }

    fn remedy(&self) -> &'static str {
        LOWER_RATE
    }
}

impl Row for FineTuneRow {
    fn step(&self) -> u64 {
        self.step
    }

    fn split(&self) -> &str {
        &self.split
    }
}
