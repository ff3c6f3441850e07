//! All-Tokens MLM: as `replace_mlm`, at every token, with a way to copy what it reads. Paper, section 3.4.
//!
//! L = generator_loss_weight * MLM(generator) + mean(-log p(original), tokens), where
//! p = c [input = original] + (1 - c) softmax and c = 1 - sigmoid(the binary head), so that the head says "replaced" as everywhere:
//! the network is exported as a discriminator.

use burn::tensor::{Int, Tensor, activation};
use electra_kernels::token_log_probabilities;

use super::corruption::{Corruption, MlmGradient, Pair, discriminate, discriminator_plan, noise};
use super::{
    GeneratorKind, HeadWork, NetworkPlan, Objective, ObjectiveConfig, Positions, PretrainedHead, StepContext, StepOutput, Work,
    noise_site,
};
use crate::{
    batch::DeviceBatch,
    network::{Discriminator, Generator},
    parameters::{Layout, Parameters},
    pretraining::{DISCRIMINATOR, PretrainingConfig},
};

/// `[objective.all_tokens_mlm]`
pub(super) type Keys = super::replace_mlm::Keys;

pub(super) struct AllTokensMlm {
    keys: Keys,
    pair: Pair,
}

pub(super) fn new(config: &ObjectiveConfig, networks: &PretrainingConfig) -> AllTokensMlm {
    let keys = config.all_tokens_mlm.clone();
    AllTokensMlm { pair: Pair::new(config, networks, keys.temperature, keys.disallow_correct), keys }
}

impl AllTokensMlm {
    /// -log p of the originals, the mean over all tokens, and the logits of the binary head.
    fn main_loss(
        &self,
        parameters: &Parameters,
        batch: &DeviceBatch,
        corrupted: &Corruption,
        context: &StepContext,
    ) -> (Tensor<1>, Tensor<2>) {
        let config = &self.pair.networks.discriminator;
        let mut binary = Discriminator::bind(config, parameters, DISCRIMINATOR);
        binary.encoder.recompute = context.recompute;
        let vocabulary = Generator::bind(config, parameters, DISCRIMINATOR);
        let noise = noise(context, batch, noise_site::DISCRIMINATOR);
        let hidden = binary.encoder.forward(&batch.input(corrupted.corrupted_ids.clone()), noise).last_hidden;
        let shape = batch.original_ids.dims();
        let tokens = shape.iter().product::<usize>();

        let replaced = binary.predict(hidden.clone()).reshape(shape);
        let (table, bias) = vocabulary.output();
        let originals = batch.original_ids.clone().reshape([tokens]);
        let softmax = token_log_probabilities(vocabulary.transform(hidden), table, bias, originals).reshape(shape);
        let predicted = softmax + activation::log_sigmoid(replaced.clone());
        let copied = activation::log_sigmoid(replaced.clone().neg());
        // log(exp(a) + exp(b)) = a - log_sigmoid(a - b), which is added where copying gives the original.
        let is_original = corrupted.is_replaced.clone().neg() + 1.0;
        let gain = activation::log_sigmoid(predicted.clone() - copied).neg();
        let log_probability = predicted + gain * is_original;
        let sum = (log_probability * batch.attention_mask.clone()).sum();
        (sum.neg() / (context.totals.tokens + 1e-6), replaced)
    }
}

impl Objective for AllTokensMlm {
    fn name(&self) -> &'static str {
        "all_tokens_mlm"
    }

    fn layout(&self) -> Layout {
        let config = &self.pair.networks.discriminator;
        let mut kept = Discriminator::specs(config, DISCRIMINATOR);
        kept.extend(Generator::head_specs(config, DISCRIMINATOR, 1));
        self.pair.layout(kept)
    }

    fn networks(&self) -> Vec<NetworkPlan> {
        // Log-probabilities keep no logits: the backward pass makes them again.
        let [vocabulary, again] = [false, true].map(|is_repeated| HeadWork::Vocabulary {
            positions: Positions::All,
            states: 1,
            is_sampled: false,
            is_repeated,
        });
        let work = Work::new(&[HeadWork::Binary(Positions::All), vocabulary, again]);
        let plan = discriminator_plan(&self.pair.networks, work);
        self.pair.plans(NetworkPlan { other_heads: &[PretrainedHead::MaskedLanguageModeling], ..plan })
    }

    fn step(&self, parameters: &Parameters, batch: &DeviceBatch, context: &StepContext) -> StepOutput {
        let parameters = self.pair.bound(parameters);
        let corruption = self.pair.corrupt(&parameters, batch, context, MlmGradient::Taken);
        let (main, logits) = self.main_loss(&parameters, batch, &corruption, context);
        let loss = corruption.total(self.keys.generator_loss_weight, main.clone());
        let mut observations = corruption.observations(&loss, None, vec![("main_loss", main)]);
        observations.discriminator_logits = Some(logits.detach());
        StepOutput { observations, loss }
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
