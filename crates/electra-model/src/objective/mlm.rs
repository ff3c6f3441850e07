//! Masked-language modelling with one network of the discriminator's size, as the baseline.
//!
//! Reference: `electra_objective=false` in google-research/electra. 85 % of the chosen positions hold [MASK],
//! 15 % the original, never a random word; masks are drawn anew every epoch. The network is exported as a
//! generator (`ElectraForMaskedLM`).

use serde::{Deserialize, Serialize};

use super::config::{Check, KeyTable, check_weight};
use super::corruption::{fill_masks, generator_plan, masked_output};
use super::{
    NetworkPlan, Objective, ObjectiveConfig, Positions, StepContext, StepOutput, Work,
};
use crate::{
    batch::DeviceBatch,
    masking::MaskingPolicy,
    network::Generator,
    parameters::{Layout, Parameters},
    pretraining::{GENERATOR, PretrainingConfig},
};

/// `[objective.mlm]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Keys {
    pub generator_loss_weight: f64,
}

impl Default for Keys {
    fn default() -> Self {
        Self { generator_loss_weight: 1.0 }
    }
}

impl KeyTable for Keys {
    fn check(&self, check: &mut Check<'_>) {
        check_weight(check, "generator_loss_weight", self.generator_loss_weight);
    }
}

pub(super) struct MaskedLanguageModeling {
    name: &'static str,
    masking: MaskingPolicy,
    networks: PretrainingConfig,
    loss_weight: f64,
}

impl MaskedLanguageModeling {
    pub(super) fn new(name: &'static str, masking: MaskingPolicy, networks: &PretrainingConfig) -> Self {
        let generator = networks.discriminator.clone();
        Self { name, masking, networks: PretrainingConfig { generator, ..networks.clone() }, loss_weight: 1.0 }
    }
}

pub(super) fn new(config: &ObjectiveConfig, networks: &PretrainingConfig) -> MaskedLanguageModeling {
    let objective = MaskedLanguageModeling::new("mlm", MaskingPolicy::ELECTRA, networks);
    MaskedLanguageModeling { loss_weight: config.mlm.generator_loss_weight, ..objective }
}

impl Objective for MaskedLanguageModeling {
    fn name(&self) -> &'static str {
        self.name
    }

    fn layout(&self) -> Layout {
        Layout::new(Generator::specs(&self.networks.generator, GENERATOR), Vec::new())
    }

    fn networks(&self) -> Vec<NetworkPlan> {
        let work = Work::vocabulary(Positions::Masked, false);
        vec![NetworkPlan { work, ..generator_plan(&self.networks) }]
    }

    fn masking(&self) -> MaskingPolicy {
        self.masking
    }

    fn step(&self, parameters: &Parameters, batch: &DeviceBatch, context: &StepContext) -> StepOutput {
        let filled = fill_masks(&self.networks.generator, parameters, batch, context);
        let loss = filled.loss.clone() * self.loss_weight;
        masked_output(filled, loss, batch)
    }
}
