//! Two stages: first the generator alone, then a discriminator that begins as a copy of its encoder. Paper, section 3.3.
//!
//! Steps before `generator_steps`: MLM(generator). From there on the generator is frozen, and
//! L = discriminator_loss_weight * RTD(discriminator), whose encoder and embeddings are the generator's at first and its own from
//! then on; its head is fresh. Both networks have the discriminator's sizes.

use burn::tensor::{Int, Tensor};
use electra_kernels::rtd_loss;
use serde::{Deserialize, Serialize};

use super::config::{Check, KeyTable, check_temperature, check_weight};
use super::corruption::{MlmGradient, Pair, discriminate, discriminator_plan, fill_masks, generator_plan, masked_output};
use super::{
    NetworkPlan, Objective, ObjectiveConfig, Positions, StepContext, StepOutput, Work,
};
use crate::{
    batch::DeviceBatch,
    network::Discriminator,
    parameters::{Layout, Parameters},
    pretraining::{DISCRIMINATOR, GENERATOR, PretrainingConfig, Sharing},
};

/// `[objective.two_stage]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Keys {
    /// Steps of the first stage; 0 stands for half of the run's, and is replaced by their number.
    pub generator_steps: u64,
    pub discriminator_loss_weight: f64,
    /// Temperature of the generator's samples.
    pub temperature: f64,
    /// Never sample the original token.
    pub disallow_correct: bool,
}

impl Default for Keys {
    fn default() -> Self {
        Self { generator_steps: 0, discriminator_loss_weight: 50.0, temperature: 1.0, disallow_correct: false }
    }
}

impl KeyTable for Keys {
    fn check(&self, check: &mut Check<'_>) {
        check_weight(check, "discriminator_loss_weight", self.discriminator_loss_weight);
        check_temperature(check, self.temperature);
    }

    fn draw_plainly(&mut self) {
        self.temperature = 1.0;
        self.disallow_correct = false;
    }
}

/// Phases.
const FIRST: &str = "generator";
const SECOND: &str = "discriminator";

pub(super) struct TwoStage {
    keys: Keys,
    pair: Pair,
}

pub(super) fn new(config: &ObjectiveConfig, networks: &PretrainingConfig) -> TwoStage {
    let keys = config.two_stage.clone();
    let both = networks.discriminator.clone();
    let networks = PretrainingConfig { generator: both.clone(), discriminator: both, sharing: Sharing::None };
    TwoStage { pair: Pair::new(config, &networks, keys.temperature, keys.disallow_correct), keys }
}

impl TwoStage {
    fn first_stage(&self, parameters: &Parameters, batch: &DeviceBatch, context: &StepContext) -> StepOutput {
        let filled = fill_masks(&self.pair.networks.generator, parameters, batch, context);
        let loss = filled.loss.clone();
        masked_output(filled, loss, batch)
    }

    fn second_stage(&self, parameters: &Parameters, batch: &DeviceBatch, context: &StepContext) -> StepOutput {
        // It draws as it would be used: without dropout.
        let drawing = StepContext { training: false, ..context.clone() };
        let corruption = self.pair.corrupt(&parameters.detached(), batch, &drawing, MlmGradient::None);
        let logits = discriminate(&self.pair.networks, parameters, batch, &corruption.corrupted_ids, context);
        let labels = corruption.is_replaced.clone();
        let detection = rtd_loss(logits.clone(), labels, batch.attention_mask.clone(), context.totals.tokens);
        let loss = detection.clone() * self.keys.discriminator_loss_weight;
        StepOutput { observations: corruption.observations(&loss, Some((detection, logits)), Vec::new()), loss }
    }
}

impl Objective for TwoStage {
    fn name(&self) -> &'static str {
        "two_stage"
    }

    fn layout(&self) -> Layout {
        self.pair.layout(Discriminator::specs(&self.pair.networks.discriminator, DISCRIMINATOR))
    }

    fn networks(&self) -> Vec<NetworkPlan> {
        self.pair.plans(discriminator_plan(&self.pair.networks, Work::detection()))
    }

    fn phase(&self, step: u64) -> &'static str {
        if step < self.keys.generator_steps { FIRST } else { SECOND }
    }

    fn networks_in(&self, phase: &str) -> Vec<NetworkPlan> {
        let generator = generator_plan(&self.pair.networks);
        if phase == FIRST {
            return vec![NetworkPlan { work: Work::vocabulary(Positions::Masked, false), ..generator }];
        }
        let frozen = Work { is_trained: false, ..generator.work.clone() };
        vec![discriminator_plan(&self.pair.networks, Work::detection()), NetworkPlan { work: frozen, ..generator }]
    }

    fn detect(
        &self,
        parameters: &Parameters,
        batch: &DeviceBatch,
        ids: &Tensor<2, Int>,
        context: &StepContext,
    ) -> Option<Tensor<2>> {
        (self.phase(context.step) == SECOND).then(|| discriminate(&self.pair.networks, parameters, batch, ids, context))
    }

    fn enter_phase(&self, phase: &str, parameters: Parameters) -> Parameters {
        if phase != SECOND {
            return parameters;
        }
        parameters.with_copies(&format!("{GENERATOR}electra."), &format!("{DISCRIMINATOR}electra."))
    }

    fn rate(&self, phase: &str, parameter: &str) -> f64 {
        let frozen = if phase == FIRST { DISCRIMINATOR } else { GENERATOR };
        if parameter.starts_with(frozen) { 0.0 } else { 1.0 }
    }

    fn step(&self, parameters: &Parameters, batch: &DeviceBatch, context: &StepContext) -> StepOutput {
        match self.phase(context.step) {
            FIRST => self.first_stage(parameters, batch, context),
            _ => self.second_stage(parameters, batch, context),
        }
    }
}
