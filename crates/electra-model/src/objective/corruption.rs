//! What most objectives begin with: a generator fills the masked positions, and its samples take the originals' places.

use burn::tensor::{Int, Tensor};
use electra_kernels::{MlmOutput, Sampling, Table, corrupt, gather_positions, mlm_loss};

use super::{NetworkPlan, ObjectiveConfig, Observations, PretrainedHead, StepContext, noise_site};
use crate::{
    batch::DeviceBatch,
    encoder::EncoderNoise,
    network::{Discriminator, Generator},
    parameters::Parameters,
    pretraining::{DISCRIMINATOR, GENERATOR, PretrainingConfig},
};

/// A batch with the generator's samples in it.
pub(super) struct Corruption {
    pub(super) generator: Generator,
    /// The generator's last hidden states at the masked positions, `[slots, hidden]`.
    pub(super) hidden: Tensor<2>,
    /// What its output table is multiplied with, `[slots, embedding]`.
    pub(super) transformed: Tensor<2>,
    /// Its MLM loss, over the whole batch's count.
    pub(super) loss: Tensor<1>,
    /// `[batch, max_masked]` each.
    pub(super) predicted_ids: Tensor<2, Int>,
    pub(super) sampled_ids: Tensor<2, Int>,
    /// `[batch, seq]` each.
    pub(super) corrupted_ids: Tensor<2, Int>,
    pub(super) is_replaced: Tensor<2>,
}

/// Whether the generator learns from its MLM loss. Where it does not, that loss is observed alone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum MlmGradient {
    Taken,
    None,
}

/// Dropout's noise of a network, in training.
pub(super) fn noise<'a>(context: &StepContext, batch: &'a DeviceBatch, site: u64) -> Option<EncoderNoise<'a>> {
    context.training.then(|| EncoderNoise { key: context.key.child(site), examples: &batch.example_numbers })
}

impl Corruption {
    pub(super) fn new(
        config: &ObjectiveConfig,
        networks: &PretrainingConfig,
        parameters: &Parameters,
        batch: &DeviceBatch,
        context: &StepContext,
        gradient: MlmGradient,
    ) -> Self {
        let mut generator = Generator::bind(&networks.generator, parameters, GENERATOR);
        generator.encoder.recompute = context.recompute;
        let (hidden, transformed) =
            masked_states(&generator, batch, batch.masked_ids.clone(), noise(context, batch, noise_site::GENERATOR));
        let sampling = Sampling {
            temperature: config.temperature,
            disallow_correct: config.disallow_correct,
            key: context.key.child(noise_site::SAMPLE),
            examples: &batch.example_numbers,
        };
        // Samples given from outside take the place of drawn ones.
        let sampling = context.samples.is_none().then_some(&sampling);
        let output = generator.output();
        let (rows, (table, bias)) = match gradient {
            MlmGradient::Taken => (transformed.clone(), output),
            MlmGradient::None => (transformed.clone().detach(), detached(output)),
        };
        let filled = masked_loss(rows, table, bias, batch, context.total_masked, sampling);
        let slots = batch.masked_positions.dims();
        let sampled_ids = match (filled.sampled_ids, &context.samples) {
            (Some(drawn), _) => drawn.reshape(slots),
            (None, given) => given.clone().expect("samples are drawn unless they are given"),
        };
        let (corrupted_ids, is_replaced) =
            corrupt(&batch.original_ids, &batch.masked_positions, &batch.mask_weights, &sampled_ids);
        Self {
            generator,
            hidden,
            transformed,
            loss: filled.loss,
            predicted_ids: filled.predicted_ids.reshape(slots),
            sampled_ids,
            corrupted_ids,
            is_replaced,
        }
    }

    /// The discriminator's logits of the corrupted batch, `[batch, seq]`.
    pub(super) fn discriminate(
        &self,
        networks: &PretrainingConfig,
        parameters: &Parameters,
        batch: &DeviceBatch,
        context: &StepContext,
    ) -> Tensor<2> {
        let mut discriminator = Discriminator::bind(&networks.discriminator, parameters, DISCRIMINATOR);
        discriminator.encoder.recompute = context.recompute;
        let noise = noise(context, batch, noise_site::DISCRIMINATOR);
        discriminator.forward(&batch.input(self.corrupted_ids.clone()), noise)
    }

    /// What there is to see, with the losses and the discriminator's logits, if any.
    pub(super) fn observations(
        self,
        total: &Tensor<1>,
        discriminator: Option<(Tensor<1>, Tensor<2>)>,
        parts: Vec<(&'static str, Tensor<1>)>,
    ) -> Observations {
        let (discriminator_loss, discriminator_logits) = discriminator.unzip();
        Observations {
            loss: Some(total.clone().detach()),
            generator_loss: Some(self.loss.detach()),
            discriminator_loss: discriminator_loss.map(Tensor::detach),
            parts: parts.into_iter().map(|(name, part)| (name, part.detach())).collect(),
            predicted_ids: Some(self.predicted_ids),
            sampled_ids: Some(self.sampled_ids),
            corrupted_ids: Some(self.corrupted_ids),
            is_replaced: Some(self.is_replaced),
            discriminator_logits: discriminator_logits.map(Tensor::detach),
        }
    }
}

/// The two networks of replaced token detection.
pub(super) fn generator_and_discriminator(networks: &PretrainingConfig) -> Vec<NetworkPlan> {
    vec![
        NetworkPlan {
            role: "discriminator",
            prefix: DISCRIMINATOR,
            head: PretrainedHead::ReplacedTokenDetection,
            is_sampled: false,
            config: networks.discriminator.clone(),
        },
        generator_plan(networks),
    ]
}

pub(super) fn generator_plan(networks: &PretrainingConfig) -> NetworkPlan {
    NetworkPlan {
        role: "generator",
        prefix: GENERATOR,
        head: PretrainedHead::MaskedLanguageModeling,
        is_sampled: true,
        config: networks.generator.clone(),
    }
}

/// States of a masked-language model that reads `ids`, at the masked positions: its last hidden ones, and what its table is
/// multiplied with.
pub(super) fn masked_states(
    network: &Generator,
    batch: &DeviceBatch,
    ids: Tensor<2, Int>,
    noise: Option<EncoderNoise<'_>>,
) -> (Tensor<2>, Tensor<2>) {
    let [_, seq] = ids.dims();
    let hidden = network.encode(&batch.input(ids), noise).last_hidden;
    let hidden = gather_positions(hidden, &batch.masked_positions, seq);
    (hidden.clone(), network.transform(hidden))
}

/// The MLM loss at the masked positions, of rows from [`masked_states`].
pub(super) fn masked_loss(
    rows: Tensor<2>,
    table: Table,
    bias: Tensor<1>,
    batch: &DeviceBatch,
    total_masked: f64,
    sampling: Option<&Sampling<'_>>,
) -> MlmOutput {
    let slots = batch.masked_positions.dims().iter().product::<usize>();
    let targets = batch.masked_original_ids.clone().reshape([slots]);
    mlm_loss(rows, table, bias, targets, batch.mask_weights.clone().reshape([slots]), total_masked, sampling)
}

fn detached((table, bias): (Table, Tensor<1>)) -> (Table, Tensor<1>) {
    (Table::new(table.pieces().iter().map(|piece| piece.clone().detach()).collect()), bias.detach())
}

/// Values of tokens, `[batch, seq]`, at the masked positions, `[batch, max_masked]`.
pub(super) fn at_masked(values: Tensor<2>, batch: &DeviceBatch) -> Tensor<2> {
    let [examples, seq] = values.dims();
    gather_positions(values.reshape([examples * seq, 1]), &batch.masked_positions, seq)
        .reshape(batch.masked_positions.dims())
}
