//! What a fine-tuning computes, made once of its configuration, a network and a device: the only way to its trainer.

use std::path::Path;

use burn::tensor::Device;
use electra_data::SpecialTokens;
use electra_kernels::side_by_side;
use electra_model::objective::{HeadWork, NetworkPlan, Positions, PretrainedHead, Work as NetworkWork};
use electra_model::{Alias, ElectraConfig, Layout, ParameterSpec, Parameters};
use electra_task::Kind;
use electra_task::batch::TaskBatch;

use super::config::FineTuneConfig;
use super::head::TaskHead;
use super::learner::TaskLearner;
use super::memory::FineTuneMemory;
use crate::error::Result;
use crate::estimate::ledger::{self, Place};
use crate::host::HostTensor;
use crate::run::Checkpoint;
use crate::step::optimizer::{Adam, LossScale};
use crate::step::schedule::layerwise_multiplier;
use crate::step::trainer::{StepSettings, Trainer};

/// Head, parameters, optimizer and how a step is computed.
#[derive(Debug, Clone)]
pub struct FineTunePlan {
    config: FineTuneConfig,
    network: ElectraConfig,
    head: TaskHead,
    layout: Layout,
    special: SpecialTokens,
    settings: StepSettings,
    device_name: String,
}

impl FineTunePlan {
    /// The plan of `config` for a task of `kind`, on the encoder of `network`.
    pub fn new(
        config: &FineTuneConfig,
        network: &ElectraConfig,
        kind: &Kind,
        special: SpecialTokens,
        device: &Device,
        device_name: &str,
    ) -> Self {
        let network = ElectraConfig {
            hidden_dropout_prob: config.dropout,
            attention_probs_dropout_prob: config.dropout,
            ..network.clone()
        };
        let head = TaskHead { kind: kind.clone(), style: config.head, dropout: config.dropout };
        let layout = Layout::new(head.specs(&network), Vec::<Alias>::new());
        let parts = side_by_side::width(device).max(1);
        let micro_batch = match config.micro_batch {
            0 => config.batch_size.div_ceil(parts),
            size => size,
        };
        let settings = StepSettings {
            seed: config.seed,
            micro_batch: micro_batch.max(1),
            precision: config.precision,
            device: device.clone(),
        };
        let device_name = device_name.to_owned();
        Self { config: config.clone(), network, head, layout, special, settings, device_name }
    }

    /// The configuration.
    pub fn config(&self) -> &FineTuneConfig {
        &self.config
    }

    /// The encoder's sizes, with the dropout of fine-tuning.
    pub fn network(&self) -> &ElectraConfig {
        &self.network
    }

    /// What is to be said.
    pub fn head(&self) -> &TaskHead {
        &self.head
    }

    /// Names, shapes and first values of the parameters.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The tokenizer's.
    pub fn special(&self) -> SpecialTokens {
        self.special
    }

    /// Where steps are computed.
    pub fn device(&self) -> &Device {
        &self.settings.device
    }

    pub(super) fn device_name(&self) -> &str {
        &self.device_name
    }

    pub(super) fn micro_batch(&self) -> usize {
        self.settings.micro_batch
    }

    /// A trainer at step 0: `encoder`'s tensors, and first values by the seed for what is not among them.
    pub(super) fn trainer(&self, encoder: &[HostTensor]) -> Trainer<TaskLearner> {
        let seed = self.settings.seed;
        let first = |spec: &ParameterSpec| match encoder.iter().find(|tensor| tensor.name == spec.name) {
            Some(tensor) if !self.config.from_scratch => tensor.values.clone(),
            _ => spec.initial_values(seed),
        };
        let parameters = Parameters::from_values(&self.layout, self.device(), first);
        let adam = Adam::new(self.config.adam(), &parameters).with_loss_scale(LossScale::of(self.settings.precision));
        self.assembled(parameters, adam)
    }

    /// A trainer with the weights and moments of `saved`, which is called `place` where something is wrong with it.
    ///
    /// # Errors
    /// A tensor is missing or does not fit.
    pub(super) fn restored(
        &self,
        saved: &mut Checkpoint<FineTuneMemory>,
        place: &Path,
    ) -> Result<Trainer<TaskLearner>> {
        let (parameters, adam) = saved.restore(&self.layout, self.config.adam(), place, self.device())?;
        Ok(self.assembled(parameters, adam))
    }

    fn assembled(&self, parameters: Parameters, adam: Adam) -> Trainer<TaskLearner> {
        let (layers, config) = (self.network.num_hidden_layers, &self.config);
        let rate = |name: &str| layerwise_multiplier(name, layers, config.layer_decay, config.layer_decay_exponent);
        let adam = adam.with_learning_rate_scales(parameters.layout(), rate);
        let learner =
            TaskLearner { head: self.head.clone(), config: self.network.clone(), recompute: config.recompute };
        Trainer::new(learner, parameters, adam, self.settings.clone())
    }

    /// Floating-point operations of a step on `batch`, by the exact rule; of the head what a dense layer over the tokens costs.
    pub(super) fn step_flops(&self, batch: &TaskBatch) -> f64 {
        let plan = NetworkPlan {
            role: "network",
            prefix: "",
            head: PretrainedHead::ReplacedTokenDetection,
            other_heads: &[],
            is_exported: false,
            config: self.network.clone(),
            work: NetworkWork::new(&[HeadWork::Binary(Positions::All)]),
        };
        let step = ledger::Step {
            batch_size: batch.rows,
            micro_batch: self.micro_batch().min(batch.rows.max(1)),
            sequence_length: batch.seq,
            masked: 0,
            recompute: self.config.recompute,
            place: Place::of(self.device()),
            parameters: self.layout.parameter_count() as f64,
        };
        ledger::exact(&[plan], &step).iter().map(|row| row.total().flops).sum()
    }
}
