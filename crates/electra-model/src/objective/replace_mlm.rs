//! Replace MLM: masked-language modelling over samples of a generator in the place of [MASK]. Paper, section 3.4.
//!
//! The network to keep reads the corrupted ids and predicts the originals at the masked positions: how much of ELECTRA's gain
//! comes of never seeing [MASK]. L = MLM(G) + MLM(D | corrupted), both over the masked positions.

use super::corruption::{Corruption, MlmGradient, generator_plan, masked_loss, masked_states, noise};
use super::{
    NetworkPlan, Objective, ObjectiveConfig, ParameterGroup, PretrainedHead, StepContext, StepOutput, noise_site,
};
use crate::{
    batch::DeviceBatch,
    network::Generator,
    parameters::{Layout, Parameters},
    pretraining::{DISCRIMINATOR, GENERATOR, PretrainingConfig},
};

pub(super) const NAME: &str = "replace_mlm";

pub(super) struct ReplaceMlm {
    config: ObjectiveConfig,
    networks: PretrainingConfig,
}

impl ReplaceMlm {
    pub(super) fn new(config: &ObjectiveConfig, networks: &PretrainingConfig) -> Self {
        Self { config: config.clone(), networks: networks.clone() }
    }
}

impl Objective for ReplaceMlm {
    fn name(&self) -> &'static str {
        NAME
    }

    fn layout(&self) -> Layout {
        let mut specs = Generator::specs(&self.networks.discriminator, DISCRIMINATOR);
        specs.extend(Generator::specs(&self.networks.generator, GENERATOR));
        Layout::new(specs, self.networks.sharing.aliases())
    }

    fn networks(&self) -> Vec<NetworkPlan> {
        let kept = NetworkPlan {
            role: "discriminator",
            prefix: DISCRIMINATOR,
            head: PretrainedHead::MaskedLanguageModeling,
            is_sampled: false,
            config: self.networks.discriminator.clone(),
        };
        vec![kept, generator_plan(&self.networks)]
    }

    fn step(&self, parameters: &Parameters, batch: &DeviceBatch, context: &StepContext) -> StepOutput {
        let Self { config, networks } = self;
        let corruption = Corruption::new(config, networks, parameters, batch, context, MlmGradient::Taken);
        let mut network = Generator::bind(&networks.discriminator, parameters, DISCRIMINATOR);
        network.encoder.recompute = context.recompute;
        let noise = noise(context, batch, noise_site::DISCRIMINATOR);
        let (_, rows) = masked_states(&network, batch, corruption.corrupted_ids.clone(), noise);
        let (table, bias) = network.output();
        let main = masked_loss(rows, table, bias, batch, context.total_masked, None).loss;
        let loss = corruption.loss.clone() * config.generator_loss_weight + main.clone();
        let observations = corruption.observations(&loss, None, vec![("main_loss", main)]);
        StepOutput { observations, losses: vec![(loss, ParameterGroup::All)] }
    }
}
