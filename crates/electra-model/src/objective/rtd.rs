//! Replaced token detection, ELECTRA's own objective. Paper, sections 2 and 3.
//!
//! A generator fills masked positions by masked-language modelling; its samples replace the originals; the
//! discriminator says of every token whether it was replaced. Both are trained jointly on
//! L = generator_loss_weight * MLM + discriminator_loss_weight * RTD; no gradient passes through the sample.

use electra_kernels::rtd_loss;

use super::corruption::{Corruption, MlmGradient, at_masked, generator_and_discriminator};
use super::{NetworkPlan, Objective, ObjectiveConfig, ParameterGroup, StepContext, StepOutput};
use crate::{
    batch::DeviceBatch,
    parameters::{Layout, Parameters},
    pretraining::PretrainingConfig,
};

pub(super) const NAME: &str = "rtd";

/// Where the discriminator's loss is taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Positions {
    /// At every token.
    All,
    /// At the masked positions alone.
    Masked,
}

pub(super) struct ReplacedTokenDetection {
    name: &'static str,
    positions: Positions,
    config: ObjectiveConfig,
    networks: PretrainingConfig,
}

impl ReplacedTokenDetection {
    pub(super) fn new(
        name: &'static str,
        positions: Positions,
        config: &ObjectiveConfig,
        networks: &PretrainingConfig,
    ) -> Self {
        Self { name, positions, config: config.clone(), networks: networks.clone() }
    }
}

pub(super) fn new(config: &ObjectiveConfig, networks: &PretrainingConfig) -> ReplacedTokenDetection {
    ReplacedTokenDetection::new(NAME, Positions::All, config, networks)
}

impl Objective for ReplacedTokenDetection {
    fn name(&self) -> &'static str {
        self.name
    }

    fn layout(&self) -> Layout {
        self.networks.layout()
    }

    fn networks(&self) -> Vec<NetworkPlan> {
        generator_and_discriminator(&self.networks)
    }

    fn step(&self, parameters: &Parameters, batch: &DeviceBatch, context: &StepContext) -> StepOutput {
        let Self { positions, config, networks, .. } = self;
        let corruption = Corruption::new(config, networks, parameters, batch, context, MlmGradient::Taken);
        let logits = corruption.discriminate(networks, parameters, batch, context);
        let labels = corruption.is_replaced.clone();
        let detection = match positions {
            Positions::All => rtd_loss(logits.clone(), labels, batch.attention_mask.clone(), context.total_tokens),
            Positions::Masked => {
                let (chosen, labels) = (at_masked(logits.clone(), batch), at_masked(labels, batch));
                rtd_loss(chosen, labels, batch.mask_weights.clone(), context.total_masked)
            }
        };
        let loss = corruption.loss.clone() * config.generator_loss_weight
            + detection.clone() * config.discriminator_loss_weight;
        let observations = corruption.observations(&loss, Some((detection, logits)), Vec::new());
        StepOutput { observations, losses: vec![(loss, ParameterGroup::All)] }
    }
}
