//! Replace MLM: masked-language modelling of the originals from the generator's samples in place of [MASK]. Paper, section 3.4.
//!
//! L = generator_loss_weight * MLM(generator) + mean(-log p(original), masked positions) of the network to keep, which reads the
//! corrupted ids: how much of ELECTRA's gain comes of never showing [MASK].

use serde::{Deserialize, Serialize};

use super::config::{Check, KeyTable, check_temperature, check_weight};
use super::corruption::{MaskedStates, MlmGradient, Pair, kept_plan, noise};
use super::{
    GeneratorKind, NetworkPlan, Objective, ObjectiveConfig, Positions, PretrainedHead, StepContext, StepOutput, Work,
    noise_site,
};
use crate::{
    batch::DeviceBatch,
    network::Generator,
    parameters::{Layout, Parameters},
    pretraining::{DISCRIMINATOR, PretrainingConfig},
};

/// `[objective.replace_mlm]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Keys {
    pub generator_loss_weight: f64,
    /// Temperature of the generator's samples.
    pub temperature: f64,
    /// Never sample the original token.
    pub disallow_correct: bool,
}

impl Default for Keys {
    fn default() -> Self {
        Self { generator_loss_weight: 1.0, temperature: 1.0, disallow_correct: false }
    }
}

impl KeyTable for Keys {
    fn check(&self, check: &mut Check<'_>) {
        check_weight(check, "generator_loss_weight", self.generator_loss_weight);
        check_temperature(check, self.temperature);
    }

    fn draw_plainly(&mut self) {
        self.temperature = 1.0;
        self.disallow_correct = false;
    }
}

pub(super) struct ReplaceMlm {
    keys: Keys,
    pair: Pair,
}

pub(super) fn new(config: &ObjectiveConfig, networks: &PretrainingConfig) -> ReplaceMlm {
    let keys = config.replace_mlm.clone();
    ReplaceMlm { pair: Pair::new(config, networks, keys.temperature, keys.disallow_correct), keys }
}

impl Objective for ReplaceMlm {
    fn name(&self) -> &'static str {
        "replace_mlm"
    }

    fn layout(&self) -> Layout {
        self.pair.layout(Generator::specs(&self.pair.networks.discriminator, DISCRIMINATOR))
    }

    fn networks(&self) -> Vec<NetworkPlan> {
        let work = Work::vocabulary(Positions::Masked, false);
        let config = &self.pair.networks.discriminator;
        self.pair.plans(kept_plan(config, PretrainedHead::MaskedLanguageModeling, work))
    }

    fn step(&self, parameters: &Parameters, batch: &DeviceBatch, context: &StepContext) -> StepOutput {
        let parameters = self.pair.bound(parameters);
        let corruption = self.pair.corrupt(&parameters, batch, context, MlmGradient::Taken);
        let mut network = Generator::bind(&self.pair.networks.discriminator, &parameters, DISCRIMINATOR);
        network.encoder.recompute = context.recompute;
        let noise = noise(context, batch, noise_site::DISCRIMINATOR);
        let states = MaskedStates::new(network, batch, corruption.corrupted_ids.clone(), noise);
        let main = states.loss(batch, context.totals.masked).loss;
        let loss = corruption.total(self.keys.generator_loss_weight, main.clone());
        StepOutput { observations: corruption.observations(&loss, None, vec![("main_loss", main)]), loss }
    }

    fn exported(&self, parameters: &Parameters) -> Parameters {
        self.pair.bound(parameters)
    }

    fn generators(&self) -> &'static [GeneratorKind] {
        &GeneratorKind::ALL
    }
}
