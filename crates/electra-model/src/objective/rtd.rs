//! Replaced token detection, ELECTRA's own objective. Paper, sections 2 and 3.
//!
//! A generator fills masked positions by masked-language modelling; its samples replace the originals; the
//! discriminator says of every token whether it was replaced. Both are trained jointly on
//! L = generator_loss_weight * MLM + discriminator_loss_weight * RTD; no gradient passes through the sample.

use burn::tensor::{Int, Tensor};
use electra_kernels::rtd_loss;
use serde::{Deserialize, Serialize};

use super::config::{Check, KeyTable, check_temperature, check_weight};
use super::corruption::{Corruption, MlmGradient, Pair, at_masked, discriminate, discriminator_plan};
use super::{GeneratorKind, NetworkPlan, Objective, ObjectiveConfig, Positions, StepContext, StepOutput, Work};
use crate::{
    batch::DeviceBatch,
    network::Discriminator,
    parameters::{Layout, Parameters},
    pretraining::{DISCRIMINATOR, PretrainingConfig},
};

/// `[objective.rtd]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Keys {
    pub generator_loss_weight: f64,
    /// lambda = 50: the per-token binary loss is far smaller than the MLM loss.
    pub discriminator_loss_weight: f64,
    /// Temperature of the generator's samples.
    pub temperature: f64,
    /// Never sample the original token.
    pub disallow_correct: bool,
    /// Share of the chosen positions that a word of the original's own kind and frequency takes, not a sample. Where the original has
    /// none (the most frequent words, unseen ones) it stays.
    pub similar_words: f64,
}

impl Default for Keys {
    fn default() -> Self {
        Self { generator_loss_weight: 1.0, discriminator_loss_weight: 50.0, temperature: 1.0, disallow_correct: false, similar_words: 0.0 }
    }
}

impl KeyTable for Keys {
    fn check(&self, check: &mut Check<'_>) {
        check_weight(check, "generator_loss_weight", self.generator_loss_weight);
        check_weight(check, "discriminator_loss_weight", self.discriminator_loss_weight);
        check_temperature(check, self.temperature);
        check((0.0..=1.0).contains(&self.similar_words), "similar_words", &self.similar_words, "between 0 and 1");
    }

    fn draw_plainly(&mut self) {
        self.temperature = 1.0;
        self.disallow_correct = false;
        self.similar_words = 0.0;
    }
}

pub(super) struct ReplacedTokenDetection {
    name: &'static str,
    /// Where the discriminator's loss is taken.
    positions: Positions,
    keys: Keys,
    pair: Pair,
}

impl ReplacedTokenDetection {
    pub(super) fn new(
        name: &'static str,
        positions: Positions,
        keys: &Keys,
        config: &ObjectiveConfig,
        networks: &PretrainingConfig,
    ) -> Self {
        let pair = Pair::new(config, networks, keys.temperature, keys.disallow_correct)
            .with_similar_words(keys.similar_words);
        Self { name, positions, keys: keys.clone(), pair }
    }

    fn detection_loss(
        &self,
        corruption: &Corruption,
        logits: &Tensor<2>,
        batch: &DeviceBatch,
        context: &StepContext,
    ) -> Tensor<1> {
        let (logits, labels) = (logits.clone(), corruption.is_replaced.clone());
        match self.positions {
            Positions::All => rtd_loss(logits, labels, batch.attention_mask.clone(), context.totals.tokens),
            Positions::Masked => {
                let [logits, labels] = [logits, labels].map(|values| at_masked(values, batch));
                rtd_loss(logits, labels, batch.mask_weights.clone(), context.totals.masked)
            }
        }
    }
}

pub(super) fn new(config: &ObjectiveConfig, networks: &PretrainingConfig) -> ReplacedTokenDetection {
    ReplacedTokenDetection::new("rtd", Positions::All, &config.rtd, config, networks)
}

impl Objective for ReplacedTokenDetection {
    fn name(&self) -> &'static str {
        self.name
    }

    fn layout(&self) -> Layout {
        self.pair.layout(Discriminator::specs(&self.pair.networks.discriminator, DISCRIMINATOR))
    }

    fn networks(&self) -> Vec<NetworkPlan> {
        self.pair.plans(discriminator_plan(&self.pair.networks, Work::detection()))
    }

    fn step(&self, parameters: &Parameters, batch: &DeviceBatch, context: &StepContext) -> StepOutput {
        let parameters = self.pair.bound(parameters);
        let corruption = self.pair.corrupt(&parameters, batch, context, MlmGradient::Taken);
        let logits = discriminate(&self.pair.networks, &parameters, batch, &corruption.corrupted_ids, context);
        let detection = self.detection_loss(&corruption, &logits, batch, context);
        let loss = corruption
            .total(self.keys.generator_loss_weight, detection.clone() * self.keys.discriminator_loss_weight);
        StepOutput { observations: corruption.observations(&loss, Some((detection, logits)), Vec::new()), loss }
    }

    fn detect(
        &self,
        parameters: &Parameters,
        batch: &DeviceBatch,
        ids: &Tensor<2, Int>,
        context: &StepContext,
    ) -> Option<Tensor<2>> {
        Some(discriminate(&self.pair.networks, &self.pair.bound(parameters), batch, ids, context))
    }

    fn exported(&self, parameters: &Parameters) -> Parameters {
        self.pair.bound(parameters)
    }

    fn generators(&self) -> &'static [GeneratorKind] {
        &GeneratorKind::ALL
    }
}
