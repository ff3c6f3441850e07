//! ELECTRA 15%: replaced token detection at the chosen positions alone. Paper, section 3.4.
//!
//! As `rtd`, but the discriminator's loss is the mean over the masked positions: how much of ELECTRA's gain comes of learning
//! from all tokens.

use electra_kernels::rtd_loss;

use super::corruption::{Corruption, MlmGradient, at_masked, generator_and_discriminator};
use super::{NetworkPlan, Objective, ObjectiveConfig, ParameterGroup, StepContext, StepOutput};
use crate::{
    batch::DeviceBatch,
    parameters::{Layout, Parameters},
    pretraining::PretrainingConfig,
};

pub(super) const NAME: &str = "electra_15";

pub(super) struct Electra15 {
    config: ObjectiveConfig,
    networks: PretrainingConfig,
}

impl Electra15 {
    pub(super) fn new(config: &ObjectiveConfig, networks: &PretrainingConfig) -> Self {
        Self { config: config.clone(), networks: networks.clone() }
    }
}

impl Objective for Electra15 {
    fn name(&self) -> &'static str {
        NAME
    }

    fn layout(&self) -> Layout {
        self.networks.layout()
    }

    fn networks(&self) -> Vec<NetworkPlan> {
        generator_and_discriminator(&self.networks)
    }

    fn step(&self, parameters: &Parameters, batch: &DeviceBatch, context: &StepContext) -> StepOutput {
        let Self { config, networks } = self;
        let corruption = Corruption::new(config, networks, parameters, batch, context, MlmGradient::Taken);
        let logits = corruption.discriminate(networks, parameters, batch, context);
        let (chosen, labels) = (at_masked(logits.clone(), batch), at_masked(corruption.is_replaced.clone(), batch));
        let detection = rtd_loss(chosen, labels, batch.mask_weights.clone(), context.total_masked);
        let loss = corruption.loss.clone() * config.generator_loss_weight
            + detection.clone() * config.discriminator_loss_weight;
        let observations = corruption.observations(&loss, Some((detection, logits)), Vec::new());
        StepOutput { observations, losses: vec![(loss, ParameterGroup::All)] }
    }
}
