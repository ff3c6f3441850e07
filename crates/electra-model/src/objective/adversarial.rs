//! An adversarial generator, trained by REINFORCE to be found out as little as can be. Paper, appendix F.
//!
//! The discriminator minimises RTD as ever. The generator's reward for a sample is the discriminator's loss r there (minus the
//! logarithm of the probability that it gave to the truth); it descends (r - b) * -log p(sample). The baseline
//! b = -log sigmoid(w . h + c), of the generator's last hidden state h at the position, learns to foresee r by the cross-entropy of
//! sigmoid(w . h + c) with exp(-r), which does reach h. All three gradients meet in the shared embeddings.

use burn::tensor::{Tensor, activation};
use electra_kernels::{linear, mlm_loss, rtd_loss};

use super::corruption::{Corruption, MlmGradient, at_masked, generator_and_discriminator};
use super::{NetworkPlan, Objective, ObjectiveConfig, ParameterGroup, StepContext, StepOutput};
use crate::{
    batch::DeviceBatch,
    network::{Discriminator, Generator},
    parameters::{Initializer, Layout, ParameterSpec, Parameters},
    pretraining::{DISCRIMINATOR, GENERATOR, PretrainingConfig},
};

pub(super) const NAME: &str = "adversarial";

/// The baseline's parameters, under the generator's prefix.
const BASELINE: &str = "generator.baseline";

pub(super) struct Adversarial {
    config: ObjectiveConfig,
    networks: PretrainingConfig,
}

impl Adversarial {
    pub(super) fn new(config: &ObjectiveConfig, networks: &PretrainingConfig) -> Self {
        Self { config: config.clone(), networks: networks.clone() }
    }
}

impl Objective for Adversarial {
    fn name(&self) -> &'static str {
        NAME
    }

    fn layout(&self) -> Layout {
        let mut specs = Discriminator::specs(&self.networks.discriminator, DISCRIMINATOR);
        specs.extend(Generator::specs(&self.networks.generator, GENERATOR));
        let hidden = self.networks.generator.hidden_size;
        // It begins as a constant: one half.
        specs.push(ParameterSpec::new(BASELINE, ".weight", &[1, hidden], Initializer::Zeros));
        specs.push(ParameterSpec::new(BASELINE, ".bias", &[1], Initializer::Zeros));
        Layout::new(specs, self.networks.sharing.aliases())
    }

    fn networks(&self) -> Vec<NetworkPlan> {
        generator_and_discriminator(&self.networks)
    }

    fn step(&self, parameters: &Parameters, batch: &DeviceBatch, context: &StepContext) -> StepOutput {
        let Self { config, networks } = self;
        let corruption = Corruption::new(config, networks, parameters, batch, context, MlmGradient::None);
        let logits = corruption.discriminate(networks, parameters, batch, context);
        let labels = corruption.is_replaced.clone();
        let detection = rtd_loss(logits.clone(), labels.clone(), batch.attention_mask.clone(), context.total_tokens);

        let reward = at_masked(cross_entropy(logits.clone().detach(), labels), batch);
        let (weight, bias) =
            (parameters.get(&format!("{BASELINE}.weight")), parameters.get(&format!("{BASELINE}.bias")));
        let foreseen: Tensor<2> = linear(corruption.hidden.clone(), weight, bias).reshape(reward.dims());
        let baseline = activation::log_sigmoid(foreseen.clone().detach()).neg();
        let advantage = (reward.clone() - baseline) * batch.mask_weights.clone();

        let slots = advantage.dims().iter().product::<usize>();
        let (table, output_bias) = corruption.generator.output();
        let policy = mlm_loss(
            corruption.transformed.clone(),
            table,
            output_bias,
            corruption.sampled_ids.clone().reshape([slots]),
            advantage.reshape([slots]),
            context.total_masked,
            None,
        )
        .loss;
        let baseline_loss = rtd_loss(foreseen, reward.neg().exp(), batch.mask_weights.clone(), context.total_masked);

        let loss = policy.clone() * config.generator_loss_weight
            + baseline_loss.clone()
            + detection.clone() * config.discriminator_loss_weight;
        let parts = vec![("policy_loss", policy), ("baseline_loss", baseline_loss)];
        let observations = corruption.observations(&loss, Some((detection, logits)), parts);
        StepOutput { observations, losses: vec![(loss, ParameterGroup::All)] }
    }
}

/// The binary cross-entropy of each value: -log of the probability that `logits` give to `labels`.
fn cross_entropy(logits: Tensor<2>, labels: Tensor<2>) -> Tensor<2> {
    activation::log_sigmoid(logits.clone().neg()).neg() - logits * labels
}
