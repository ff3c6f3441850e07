//! An adversarial generator, trained by REINFORCE to be found out as little as can be. Paper, appendix F.
//!
//! The discriminator minimises RTD as ever. The generator's reward for a sample is the discriminator's loss r there (minus the
//! logarithm of the probability that it gave to the truth); it descends (r - b) * -log p(sample). The baseline
//! b = -log sigmoid(w . h + c), of the generator's last hidden state h at the position, learns to foresee r by the cross-entropy of
//! sigmoid(w . h + c) with exp(-r), which does reach h. All three gradients meet in the shared embeddings. Samples are drawn at
//! temperature 1, as the gradient of REINFORCE wants it.

use burn::tensor::{Int, Tensor, activation};
use electra_kernels::{linear, mlm_logits, mlm_loss, rtd_loss};
use serde::{Deserialize, Serialize};

use super::config::{Check, KeyTable, check_weight};
use super::corruption::{MaskedStates, MlmGradient, Pair, at_masked, discriminate, discriminator_plan};
use super::{HeadWork, NetworkPlan, Objective, ObjectiveConfig, Positions, StepContext, StepOutput, Work};
use crate::{
    batch::DeviceBatch,
    network::{Discriminator, Generator},
    parameters::{Initializer, Layout, ParameterSpec, Parameters},
    pretraining::{DISCRIMINATOR, GENERATOR, PretrainingConfig},
};

/// `[objective.adversarial]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Keys {
    /// Of the generator's reward.
    pub generator_loss_weight: f64,
    pub discriminator_loss_weight: f64,
    /// So many times the mean entropy of the generator's distribution is subtracted from the loss.
    pub entropy_weight: f64,
}

impl Default for Keys {
    fn default() -> Self {
        Self { generator_loss_weight: 1.0, discriminator_loss_weight: 50.0, entropy_weight: 0.0 }
    }
}

impl KeyTable for Keys {
    fn check(&self, check: &mut Check<'_>) {
        check_weight(check, "generator_loss_weight", self.generator_loss_weight);
        check_weight(check, "discriminator_loss_weight", self.discriminator_loss_weight);
        check_weight(check, "entropy_weight", self.entropy_weight);
    }
}

/// The baseline's parameters, under the generator's prefix.
const BASELINE: &str = "generator.baseline";

pub(super) struct Adversarial {
    keys: Keys,
    pair: Pair,
}

pub(super) fn new(config: &ObjectiveConfig, networks: &PretrainingConfig) -> Adversarial {
    Adversarial { keys: config.adversarial.clone(), pair: Pair::new(config, networks, 1.0, false) }
}

impl Objective for Adversarial {
    fn name(&self) -> &'static str {
        "adversarial"
    }

    fn layout(&self) -> Layout {
        let networks = &self.pair.networks;
        let mut generator = Generator::specs(&networks.generator, GENERATOR);
        // It begins as a constant: one half.
        let hidden = networks.generator.hidden_size;
        generator.push(ParameterSpec::new(BASELINE, ".weight", &[1, hidden], Initializer::Zeros));
        generator.push(ParameterSpec::new(BASELINE, ".bias", &[1], Initializer::Zeros));
        networks.sharing.layout(Discriminator::specs(&networks.discriminator, DISCRIMINATOR), generator)
    }

    fn networks(&self) -> Vec<NetworkPlan> {
        let mut plans = self.pair.plans(discriminator_plan(&self.pair.networks, Work::detection()));
        for head in plans.iter_mut().skip(1).flat_map(|plan| &mut plan.work.heads) {
            // The draw learns nothing; the reward of what was drawn does, of the same states.
            if let HeadWork::Vocabulary { is_repeated, .. } = head {
                *is_repeated = true;
            }
        }
        let rewarded = Work::vocabulary(Positions::Masked, false).heads;
        plans[1].work.heads.extend(rewarded);
        plans
    }

    fn step(&self, parameters: &Parameters, batch: &DeviceBatch, context: &StepContext) -> StepOutput {
        let parameters = self.pair.bound(parameters);
        let corruption = self.pair.corrupt(&parameters, batch, context, MlmGradient::None);
        let states = corruption.states.as_ref().expect("its generator is a network");
        let logits = discriminate(&self.pair.networks, &parameters, batch, &corruption.corrupted_ids, context);
        let labels = corruption.is_replaced.clone();
        let detection = rtd_loss(logits.clone(), labels.clone(), batch.attention_mask.clone(), context.totals.tokens);

        let reward = at_masked(cross_entropy(logits.clone().detach(), labels), batch);
        let (weight, bias) =
            (parameters.get(&format!("{BASELINE}.weight")), parameters.get(&format!("{BASELINE}.bias")));
        let foreseen: Tensor<2> = linear(states.hidden.clone(), weight, bias).reshape(reward.dims());
        let baseline = activation::log_sigmoid(foreseen.clone().detach()).neg();
        let advantage = (reward.clone() - baseline) * batch.mask_weights.clone();

        let slots = advantage.dims().iter().product::<usize>();
        let (table, output_bias) = states.network.output();
        let policy = mlm_loss(
            states.transformed.clone(),
            table,
            output_bias,
            corruption.sampled_ids.clone().reshape([slots]),
            advantage.reshape([slots]),
            context.totals.masked,
            None,
        )
        .loss;
        let baseline_loss = rtd_loss(foreseen, reward.neg().exp(), batch.mask_weights.clone(), context.totals.masked);

        let mut loss = policy.clone() * self.keys.generator_loss_weight
            + baseline_loss.clone()
            + detection.clone() * self.keys.discriminator_loss_weight;
        let mut parts = vec![("policy_loss", policy), ("baseline_loss", baseline_loss)];
        if self.keys.entropy_weight > 0.0 {
            let entropy = entropy(states, batch, context.totals.masked);
            loss = loss - entropy.clone() * self.keys.entropy_weight;
            parts.push(("entropy", entropy));
        }
        StepOutput { observations: corruption.observations(&loss, Some((detection, logits)), parts), loss }
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
}

/// The binary cross-entropy of each value: -log of the probability that `logits` give to `labels`.
fn cross_entropy(logits: Tensor<2>, labels: Tensor<2>) -> Tensor<2> {
    activation::log_sigmoid(logits.clone().neg()).neg() - logits * labels
}

/// The mean entropy of the generator's distribution at the masked positions, in nats.
fn entropy(states: &MaskedStates, batch: &DeviceBatch, total_masked: f64) -> Tensor<1> {
    let (table, bias) = states.network.output();
    let log_probabilities = activation::log_softmax(mlm_logits(states.transformed.clone(), table, bias), 1);
    let of_rows = (log_probabilities.clone().exp() * log_probabilities).sum_dim(1).neg();
    let weights = batch.mask_weights.clone().reshape(of_rows.dims());
    (of_rows * weights).sum() / (total_masked + 1e-6)
}
