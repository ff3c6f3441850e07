//! Pre-training: what a [`Run`](crate::run::Run) does to learn an objective.

mod batches;
pub mod card;
#[cfg(feature = "native")]
mod folder;
mod frequency_detector;
pub mod learner;
pub(crate) mod metrics;
mod plan;
pub(crate) mod probe;
mod recording;
mod report;
mod resume;
mod unused_rows;
mod validate;
mod words;

use std::path::Path;
use std::sync::Arc;

use electra_data::Batch;
use electra_kernels::DeviceFailure;
use electra_model::context_detector::ContextShape;
use electra_model::objective::Frequencies;
use electra_model::{NoiseKey, Objective, Parameters};
use serde_json::Value;

use self::batches::Batches;
#[cfg(feature = "native")]
pub use self::folder::{Outcome, RunOptions, pretrain};
pub use self::frequency_detector::FrequencyDetector;
use self::learner::ObjectiveLearner;
pub use self::metrics::WindowSums;
use self::metrics::{MetricWindow, MetricsRow, StepMetrics};
pub use self::plan::{Plan, objective_of};
pub use self::probe::Probe;
pub use self::recording::{RecordedStep, Recording};
use self::report::{batch_json, describe};
use self::unused_rows::close_unused_rows;
pub use self::validate::JudgedToken;
use self::validate::Validation;
use self::words::Words;
use crate::config::WordInitializer;
use crate::data::TrainingData;
use crate::error::Result;
use crate::host::HostTensor;
use crate::run::work::{Description, Pace, Row, Work};
use crate::run::{Checkpoint, Resumed, TrainState};
use crate::step::trainer::{TrainStep, Trainer};

/// What to do about numbers that are not finite. --resume would go the same way again: a run keeps its learning rate.
const LOWER_RATE: &str = "lower train.learning_rate or lengthen train.warmup_steps in another run; \"electra export\" and \
                          --init-from start it from this one's last checkpoint";

/// The pre-training of one run.
pub struct Pretraining {
    plan: Plan,
    trainer: Trainer<ObjectiveLearner>,
    /// What the run's checkpoints say of its data.
    identity: TrainState,
    batches: Batches,
    validation: Validation,
    probe: Option<Probe>,
    window: MetricWindow,
    /// Operations of a step of the phase.
    step_flops: f64,
}

impl Pretraining {
    /// One that begins, with the first values that its seed gives.
    pub fn begin(plan: Plan, data: TrainingData) -> Self {
        Self::begin_and_tell(plan, data, &mut |_| {})
    }

    /// As [`Pretraining::begin`]. What takes time before the first step is told in words.
    pub(crate) fn begin_and_tell(plan: Plan, data: TrainingData, tell: &mut dyn FnMut(String)) -> Self {
        let is_informed = plan.config().model.word_initializer == WordInitializer::ContextDetector;
        let words = (is_informed || draws_similar_words(&plan)).then(|| {
            tell("counting which words stand among the same others".to_owned());
            words_of(&data)
        });
        let trainer = match &words {
            Some(words) if is_informed => informed_trainer(&plan, words, tell),
            _ => plan.trainer(),
        };
        Self::begin_with(plan, trainer, data, words)
    }

    /// One that begins with `trainer`'s values.
    pub(crate) fn begin_from(plan: Plan, trainer: Trainer<ObjectiveLearner>, data: TrainingData) -> Self {
        let words = draws_similar_words(&plan).then(|| words_of(&data));
        Self::begin_with(plan, trainer, data, words)
    }

    fn begin_with(
        plan: Plan,
        mut trainer: Trainer<ObjectiveLearner>,
        data: TrainingData,
        words: Option<Words>,
    ) -> Self {
        trainer.parameters = close_unused_rows(trainer.parameters, data.vocab_size);
        Self::open(plan, trainer, MetricWindow::default(), 0, data, words)
    }

    /// One that goes on from `saved`, which is called `place` where something is wrong with it.
    ///
    /// # Errors
    /// It is of another run: of other data, another tokenizer or another configuration.
    pub fn resume(plan: Plan, data: TrainingData, mut saved: Checkpoint, place: &Path) -> Result<Resumed<Self>> {
        let notices = resume::take_over(place, &mut saved, plan.config(), &data)?;
        let trainer = plan.restored(&mut saved, place)?;
        let Checkpoint { state, window_scores, .. } = saved;
        let window = MetricWindow::restore(state.window.clone(), &window_scores, place)?;
        let words = draws_similar_words(&plan).then(|| words_of(&data));
        let work = Self::open(plan, trainer, window, state.step, data, words);
        Ok(Resumed { work, state, place: place.to_owned(), notices })
    }

    fn open(
        plan: Plan,
        mut trainer: Trainer<ObjectiveLearner>,
        window: MetricWindow,
        step: u64,
        data: TrainingData,
        words: Option<Words>,
    ) -> Self {
        let config = plan.config();
        let never = [data.special.pad, data.special.cls, data.special.sep, data.special.mask];
        let frequencies = data.baseline.as_ref().and_then(|baseline| Frequencies::new(baseline.counts(), &never));
        let frequencies = frequencies.map(Arc::new);
        trainer.learner.frequencies.clone_from(&frequencies);
        trainer.learner.similar_words = words.map(|words| Arc::new(words.into_similar()));
        let phase = trainer.learner.objective().phase(step.saturating_sub(1));
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
        let identity = TrainState {
            settings: config.settings(),
            tokenizer_sha256: data.tokenizer_sha256,
            data_fingerprint: data.fingerprint,
            corpus: Some(data.corpus),
            ..TrainState::default()
        };
        Self {
            step_flops: plan.step_flops(trainer.learner.objective(), phase),
            batches: Batches::from(data.train, step),
            plan,
            trainer,
            identity,
            validation,
            probe: data.probe,
            window,
        }
    }

    /// What it learns.
    pub fn objective(&self) -> &dyn Objective {
        self.trainer.learner.objective()
    }

    /// The weights as they are now.
    pub fn parameters(&self) -> &Parameters {
        &self.trainer.parameters
    }

    /// The first `count` held-out examples, corrupted and judged.
    ///
    /// # Errors
    /// The device failed.
    pub async fn examples(&self, step: u64, count: usize) -> Result<Vec<Vec<JudgedToken>>, DeviceFailure> {
        self.validation.examples(&self.trainer.parameters, step.saturating_sub(1), count, self.plan.device()).await
    }
}

/// Whether every step needs to know which words are similar. What a discriminator begins as is needed before the first alone.
fn draws_similar_words(plan: &Plan) -> bool {
    plan.config().objective.draws_similar_words()
}

fn words_of(data: &TrainingData) -> Words {
    Words::of(&data.train, data.vocab_size, data.special)
}

/// A trainer at step 0 whose discriminator begins as a context detector that has read the text.
fn informed_trainer(plan: &Plan, words: &Words, tell: &mut dyn FnMut(String)) -> Trainer<ObjectiveLearner> {
    tell(format!(
        "before the first step a context detector reads the {} tokens of the text several times, which takes a few minutes",
        words.tokens()
    ));
    let shape = ContextShape::of(&plan.networks().discriminator).expect("checked with the configuration");
    let (detector, lesson) =
        words.context_detector(shape, NoiseKey::new(plan.config().seed).child_str("context detector"));
    tell(format!(
        "the context detector told words of the text from similar ones in {:.1} % of its last tenth ({} rounds); the \
         discriminator begins with what it knows",
        100.0 * lesson.right,
        lesson.rounds
    ));
    plan.trainer_knowing(&detector, words.counts())
}

impl Work for Pretraining {
    type Learner = ObjectiveLearner;
    type Row = MetricsRow;
    type Memory = WindowSums;

    fn pace(&self) -> Pace {
        let train = &self.plan.config().train;
        Pace {
            steps: train.steps,
            warmup_steps: train.warmup_steps,
            learning_rate: train.learning_rate,
            log_every: train.log_every,
            validate_every: train.validate_every,
            probe_every: self.probe.as_ref().map_or(0, Probe::every),
            checkpoint_every: train.checkpoint_every,
            max_nonfinite_in_a_row: train.max_nonfinite_in_a_row,
            tokens_per_step: self.plan.tokens_per_step(),
        }
    }

    fn description(&self) -> Description {
        Description {
            networks: describe(self.trainer.learner.objective()),
            device: self.plan.device_name().to_owned(),
            parameters: self.plan.layout().parameter_count(),
            micro_batch: self.plan.micro_batch(),
        }
    }

    fn identity(&self) -> TrainState {
        self.identity.clone()
    }

    fn trainer(&self) -> &Trainer<ObjectiveLearner> {
        &self.trainer
    }

    fn trainer_mut(&mut self) -> &mut Trainer<ObjectiveLearner> {
        &mut self.trainer
    }

    fn phase(&self, step: u64) -> &'static str {
        self.trainer.learner.objective().phase(step)
    }

    fn enter_phase(&mut self, phase: &'static str) {
        self.trainer.enter_phase(phase);
        self.step_flops = self.plan.step_flops(self.trainer.learner.objective(), phase);
    }

    fn batch(&mut self, step: u64) -> Batch {
        let drawn = self.batches.next();
        self.plan.recorded_step(step).map_or(drawn, |recorded| recorded.batch.clone())
    }

    fn step_flops(&self, _: &Batch) -> f64 {
        self.step_flops
    }

    fn batch_json(&self, step: u64, batch: &Batch) -> Value {
        batch_json(step, batch)
    }

    fn take(&mut self, step: &TrainStep<StepMetrics>) {
        self.window.add(&step.metrics);
        self.window.add_gradient_norm(step.gradient_norm);
    }

    fn row(&mut self, step: u64, learning_rate: f64, flops: f64) -> Option<MetricsRow> {
        let window = std::mem::take(&mut self.window);
        (!window.is_empty()).then(|| {
            let mut row = window.row(step, "train", Some(learning_rate));
            row.extra.insert("flops".to_owned(), Some(flops));
            row
        })
    }

    async fn validate(&mut self, step: u64) -> Result<MetricsRow, DeviceFailure> {
        self.validation.run(&self.trainer.parameters, step, self.plan.device()).await
    }

    async fn probe(&mut self, step: u64) -> Result<Option<MetricsRow>> {
        let Some(probe) = &self.probe else { return Ok(None) };
        let (objective, parameters) = (self.trainer.learner.objective(), &self.trainer.parameters);
        let row = probe.row(step, objective, parameters, self.plan.device(), self.plan.device_name());
        // Another run within this one: not part of every step's future.
        Ok(Some(Box::pin(row).await?))
    }

    fn memory(&self) -> (WindowSums, Vec<HostTensor>) {
        self.window.save()
    }

    fn remedy(&self) -> &'static str {
        LOWER_RATE
    }
}

impl Row for MetricsRow {
    fn step(&self) -> u64 {
        self.step
    }

    fn split(&self) -> &str {
        &self.split
    }
}
