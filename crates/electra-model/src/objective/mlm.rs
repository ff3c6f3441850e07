//! Masked-language modelling with one network of the discriminator's size: BERT's objective, as the baseline.
//!
//! Reference: `electra_objective=false` in google-research/electra. 85 % of the chosen positions hold [MASK],
//! 15 % the original, never a random word; masks are drawn anew every epoch. The network is exported as a
//! generator (`ElectraForMaskedLM`).

use super::corruption::{masked_loss, masked_states, noise};
use super::{
    NetworkPlan, Objective, ObjectiveConfig, Observations, ParameterGroup, PretrainedHead, StepContext, StepOutput,
    noise_site,
};
use crate::{
    batch::DeviceBatch,
    config::ElectraConfig,
    network::Generator,
    parameters::{Layout, Parameters},
    pretraining::{GENERATOR, PretrainingConfig},
};

pub(super) const NAME: &str = "mlm";

pub(super) struct MaskedLanguageModeling {
    network: ElectraConfig,
    loss_weight: f64,
}

impl MaskedLanguageModeling {
    pub(super) fn new(config: &ObjectiveConfig, networks: &PretrainingConfig) -> Self {
        Self { network: networks.discriminator.clone(), loss_weight: config.generator_loss_weight }
    }
}

impl Objective for MaskedLanguageModeling {
    fn name(&self) -> &'static str {
        NAME
    }

    fn layout(&self) -> Layout {
        Layout::new(Generator::specs(&self.network, GENERATOR), Vec::new())
    }

    fn networks(&self) -> Vec<NetworkPlan> {
        vec![NetworkPlan {
            role: "generator",
            prefix: GENERATOR,
            head: PretrainedHead::MaskedLanguageModeling,
            is_sampled: false,
            config: self.network.clone(),
        }]
    }

    fn step(&self, parameters: &Parameters, batch: &DeviceBatch, context: &StepContext) -> StepOutput {
        let mut network = Generator::bind(&self.network, parameters, GENERATOR);
        network.encoder.recompute = context.recompute;
        let noise = noise(context, batch, noise_site::GENERATOR);
        let (_, rows) = masked_states(&network, batch, batch.masked_ids.clone(), noise);
        let (table, bias) = network.output();
        let output = masked_loss(rows, table, bias, batch, context.total_masked, None);
        let loss = output.loss.clone() * self.loss_weight;
        StepOutput {
            observations: Observations {
                loss: Some(loss.clone().detach()),
                generator_loss: Some(output.loss.detach()),
                predicted_ids: Some(output.predicted_ids.reshape(batch.masked_positions.dims())),
                ..Observations::default()
            },
            losses: vec![(loss, ParameterGroup::All)],
        }
    }
}
