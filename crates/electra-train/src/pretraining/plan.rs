//! What a run computes, made once of its configuration, its data's special tokens and its device.
//!
//! A plan is the only way to a trainer, so that a dry run and a benchmark time the very step that a run makes.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use electra_data::SpecialTokens;
use electra_model::context_detector::{ContextDetector, ContextInitializer};
use electra_model::objective::{self, NetworkPlan};
use electra_model::pretraining::DISCRIMINATOR;
use electra_model::{Initializer, Layout, Neighbours, Objective, ObjectiveConfig, Parameters, PretrainingConfig};

use crate::config::{MicroBatch, PositionInitializer, RUN_CONFIG, RunConfig};
use crate::error::{Error, Result};
use crate::estimate::ledger;
use crate::run::Checkpoint;
use crate::step::optimizer::{Adam, AdamConfig, LossScale};
use crate::step::trainer::{StepSettings, Trainer};

use super::learner::ObjectiveLearner;
use super::recording::{RecordedStep, Recording};

/// Objective, parameters, optimizer and how a step is computed.
#[derive(Debug, Clone)]
pub struct Plan {
    config: RunConfig,
    networks: PretrainingConfig,
    layout: Layout,
    adam: AdamConfig,
    settings: StepSettings,
    special: SpecialTokens,
    recorded: Arc<[RecordedStep]>,
    device_name: String,
}

impl Plan {
    /// The plan of `config` on `device`, for text whose special tokens are `special`.
    ///
    /// # Errors
    /// The networks cannot be built; the configuration is named.
    ///
    /// # Panics
    /// Unless `config.train.micro_batch` is a number ([`crate::estimate::resolve_micro_batch`]).
    pub fn new(config: &RunConfig, special: SpecialTokens, device: &Device) -> Result<Self> {
        let unrecorded = Recording { networks: config.model.networks(), steps: Vec::new() };
        Self::of_recording(config, unrecorded, special, device)
    }

    /// The plan of a run that computes `recording` again: its networks, and in its steps its batches and samples in place of
    /// those that would be drawn. Steps beyond it are the run's own.
    ///
    /// # Errors
    /// As [`Plan::new`].
    ///
    /// # Panics
    /// As [`Plan::new`].
    pub fn of_recording(
        config: &RunConfig,
        recording: Recording,
        special: SpecialTokens,
        device: &Device,
    ) -> Result<Self> {
        let Recording { networks, steps } = recording;
        let MicroBatch::Size(micro_batch) = config.train.micro_batch else {
            panic!("micro_batch must be resolved before there is a plan");
        };
        let settings = StepSettings {
            seed: config.seed,
            micro_batch: micro_batch.max(1),
            precision: config.train.precision,
            device: device.clone(),
        };
        let layout = layout_of(config, objective_for(&networks, &config.objective)?.as_ref());
        Ok(Self {
            config: config.clone(),
            networks,
            layout,
            adam: AdamConfig::from(&config.train),
            settings,
            special,
            recorded: Arc::from(steps),
            device_name: String::new(),
        })
    }

    /// The configuration, whose micro-batch is a number.
    pub fn config(&self) -> &RunConfig {
        &self.config
    }

    /// The parameters that are trained, with their first values.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The networks that are trained.
    pub(super) fn networks(&self) -> &PretrainingConfig {
        &self.networks
    }

    /// Where steps are computed.
    pub fn device(&self) -> &Device {
        &self.settings.device
    }

    /// Examples of a forward pass.
    pub fn micro_batch(&self) -> usize {
        self.settings.micro_batch
    }

    /// Says what the device is called.
    #[must_use]
    pub fn on(mut self, device_name: &str) -> Self {
        self.device_name = device_name.to_owned();
        self
    }

    pub(crate) fn device_name(&self) -> &str {
        &self.device_name
    }

    /// Tokens of a step, padding included.
    pub(crate) fn tokens_per_step(&self) -> u64 {
        (self.config.train.batch_size * self.config.train.sequence_length) as u64
    }

    /// The step that follows after so many, where it was recorded.
    pub(crate) fn recorded_step(&self, step: u64) -> Option<&RecordedStep> {
        self.recorded.get(step as usize)
    }

    /// Operations of a step of `phase` on the plan's device.
    pub(crate) fn step_flops(&self, objective: &dyn Objective, phase: &str) -> f64 {
        ledger::flops_of_phase(&self.config, objective, phase, ledger::Place::of(self.device()))
    }

    fn learner(&self) -> ObjectiveLearner {
        ObjectiveLearner {
            objective: self.objective(),
            frequencies: None,
            similar_words: None,
            special: self.special,
            masking_probability: self.config.data.masking_probability,
            recompute: self.config.train.recompute,
            recorded: self.recorded.clone(),
        }
    }

    fn objective(&self) -> Box<dyn Objective> {
        objective_for(&self.networks, &self.config.objective).expect("it was made once already")
    }

    /// The objective that held-out text is judged with: the run's own, its generator at temperature 1.
    pub(crate) fn judging_objective(&self) -> Box<dyn Objective> {
        let config = self.config.objective.judging();
        objective_for(&self.networks, &config).expect("it differs from one that was made in its numbers alone")
    }

    /// A trainer at step 0.
    pub fn trainer(&self) -> Trainer<ObjectiveLearner> {
        self.trainer_of(Parameters::initialize(&self.layout, self.settings.seed, self.device()))
    }

    /// A trainer at step 0 whose discriminator begins as `detector`, learnt from text in which each entry stands `counts` times.
    pub(super) fn trainer_knowing(&self, detector: &ContextDetector, counts: &[u64]) -> Trainer<ObjectiveLearner> {
        let initializer = ContextInitializer::new(detector, &self.networks.discriminator, counts);
        self.trainer_of(Parameters::from_values(&self.layout, self.device(), |spec| {
            let mut values = spec.initial_values(self.settings.seed);
            if let Some(name) = spec.name.strip_prefix(DISCRIMINATOR) {
                initializer.apply(name, &mut values);
            }
            values
        }))
    }

    fn trainer_of(&self, parameters: Parameters) -> Trainer<ObjectiveLearner> {
        let adam = Adam::new(self.adam, &parameters).with_loss_scale(LossScale::of(self.settings.precision));
        Trainer::new(self.learner(), parameters, adam, self.settings.clone())
    }

    /// A trainer with the weights and moments of `saved`, which is called `place` where something is wrong with it.
    ///
    /// # Errors
    /// A tensor is missing or does not fit.
    pub(super) fn restored(&self, saved: &mut Checkpoint, place: &Path) -> Result<Trainer<ObjectiveLearner>> {
        let (parameters, adam) = saved.restore(&self.layout, self.adam, place, self.device())?;
        Ok(Trainer::new(self.learner(), parameters, adam, self.settings.clone()))
    }
}

/// The objective that `config` names.
///
/// # Errors
/// The networks cannot be built; the configuration is named.
pub fn objective_of(config: &RunConfig, objective: &ObjectiveConfig) -> Result<Box<dyn Objective>> {
    objective_for(&config.model.networks(), objective)
}

fn objective_for(networks: &PretrainingConfig, objective: &ObjectiveConfig) -> Result<Box<dyn Objective>> {
    let invalid = |problem: String| Error::invalid(Path::new(RUN_CONFIG), problem, "change [model] or [objective]");
    networks.validate().map_err(|error| invalid(error.to_string()))?;
    objective::from_config(objective, networks).map_err(|error| invalid(error.to_string()))
}

/// The parameters that `objective` trains, with the first values that `config` asks for.
fn layout_of(config: &RunConfig, objective: &dyn Objective) -> Layout {
    let layout = objective.layout();
    match config.model.position_initializer {
        PositionInitializer::Normal => layout,
        PositionInitializer::Sinusoidal => layout.with_initializer(
            "embeddings.position_embeddings.weight",
            Initializer::Sinusoidal(config.model.initializer_range),
        ),
        PositionInitializer::Neighbours => looking_at_neighbours(layout, &objective.networks()[..1]),
        PositionInitializer::NeighboursInBoth => looking_at_neighbours(layout, &objective.networks()),
    }
}

/// `layout` with such first values for `networks`. Where there is one alone it is the one to keep: a generator looks at the same
/// positions, but has to find out where.
fn looking_at_neighbours(layout: Layout, networks: &[NetworkPlan]) -> Layout {
    networks.iter().fold(layout, |layout, network| {
        let neighbours = Neighbours::new(&network.config).expect("checked with the configuration");
        neighbours.initialize(layout, network.prefix)
    })
}

#[cfg(test)]
mod tests {
    use electra_model::ParameterSpec;
    use electra_model::pretraining::GENERATOR;

    use super::*;
    use crate::config::resolve;

    #[test]
    fn neighbours_are_looked_at_by_the_network_to_keep_or_by_both() {
        for (objective, initializer, kept) in [
            ("rtd", "neighbours", &[DISCRIMINATOR][..]),
            ("replace_mlm", "neighbours", &[DISCRIMINATOR]),
            ("mlm", "neighbours", &[GENERATOR]),
            ("rtd", "neighbours_in_both", &[DISCRIMINATOR, GENERATOR]),
        ] {
            let sets = [
                format!("objective.name={objective}"),
                format!("model.position_initializer={initializer}"),
                "model.sharing=none".to_owned(),
                "train.micro_batch=1".to_owned(),
            ];
            let config = resolve(Some("first"), None, &sets).unwrap();
            let special = SpecialTokens { pad: 0, unknown: 1, cls: 2, sep: 3, mask: 4 };
            let plan = Plan::new(&config, special, &Device::flex()).unwrap();
            let changed = |spec: &&ParameterSpec| matches!(spec.initializer, Initializer::Neighbours(..));
            let names: Vec<&str> =
                plan.layout().specs().iter().filter(changed).map(|spec| spec.name.as_str()).collect();
            assert_eq!(names.len(), 5 * kept.len(), "three tables, queries and keys: {names:?}");
            assert!(names.iter().all(|name| kept.iter().any(|kept| name.starts_with(kept))), "{names:?}");
        }
    }
}
