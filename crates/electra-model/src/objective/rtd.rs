//! Replaced token detection, ELECTRA's own objective. Paper, sections 2 and 3.
//!
//! A generator fills masked positions by masked-language modelling; its samples replace the originals; the
//! discriminator says of every token whether it was replaced. Both are trained jointly on
//! L = generator_loss_weight * MLM + discriminator_loss_weight * RTD; no gradient passes through the sample.

use electra_kernels::{MlmOutput, Sampling, corrupt, gather_positions, mlm_loss, rtd_loss};

use super::{
    NetworkKind, Objective, ObjectiveConfig, Observations, ParameterGroup, StepContext, StepOutput, noise_site,
};
use crate::{
    batch::DeviceBatch,
    encoder::EncoderNoise,
    network::{Discriminator, Generator},
    parameters::{Layout, Parameters},
    pretraining::{DISCRIMINATOR, GENERATOR, PretrainingConfig},
};

pub(super) const NAME: &str = "rtd";

pub(super) struct ReplacedTokenDetection {
    config: ObjectiveConfig,
    networks: PretrainingConfig,
}

impl ReplacedTokenDetection {
    pub(super) fn new(config: &ObjectiveConfig, networks: &PretrainingConfig) -> Self {
        Self { config: config.clone(), networks: networks.clone() }
    }
}

impl Objective for ReplacedTokenDetection {
    fn name(&self) -> &'static str {
        NAME
    }

    fn layout(&self) -> Layout {
        self.networks.layout()
    }

    fn networks(&self) -> Vec<NetworkKind> {
        vec![NetworkKind::Discriminator, NetworkKind::Generator]
    }

    fn step(&self, parameters: &Parameters, batch: &DeviceBatch, context: &StepContext) -> StepOutput {
        let mut generator = Generator::bind(&self.networks.generator, parameters, GENERATOR);
        let mut discriminator = Discriminator::bind(&self.networks.discriminator, parameters, DISCRIMINATOR);
        generator.encoder.recompute = context.recompute;
        discriminator.encoder.recompute = context.recompute;
        let examples = &batch.example_numbers;
        let noise = |site| context.training.then(|| EncoderNoise { key: context.key.child(site), examples });

        let sampling = Sampling {
            temperature: self.config.temperature,
            disallow_correct: self.config.disallow_correct,
            key: context.key.child(noise_site::SAMPLE),
            examples,
        };
        // Samples given from outside take the place of drawn ones.
        let sampling = context.samples.is_none().then_some(&sampling);
        let generated = generate(&generator, batch, context.total_masked, noise(noise_site::GENERATOR), sampling);
        let slots = batch.masked_positions.dims();
        let sampled_ids = match (generated.sampled_ids, &context.samples) {
            (Some(drawn), _) => drawn.reshape(slots),
            (None, given) => given.clone().expect("samples are drawn unless they are given"),
        };

        let (corrupted_ids, is_replaced) =
            corrupt(&batch.original_ids, &batch.masked_positions, &batch.mask_weights, &sampled_ids);
        let logits = discriminator.forward(&batch.input(corrupted_ids.clone()), noise(noise_site::DISCRIMINATOR));
        let discriminator_loss =
            rtd_loss(logits.clone(), is_replaced.clone(), batch.attention_mask.clone(), context.total_tokens);

        let loss = generated.loss.clone() * self.config.generator_loss_weight
            + discriminator_loss.clone() * self.config.discriminator_loss_weight;
        StepOutput {
            observations: Observations {
                loss: Some(loss.clone().detach()),
                generator_loss: Some(generated.loss.detach()),
                discriminator_loss: Some(discriminator_loss.detach()),
                predicted_ids: Some(generated.predicted_ids.reshape(slots)),
                sampled_ids: Some(sampled_ids),
                corrupted_ids: Some(corrupted_ids),
                is_replaced: Some(is_replaced),
                discriminator_logits: Some(logits.detach()),
            },
            losses: vec![(loss, ParameterGroup::All)],
        }
    }
}

/// The generator's part: MLM loss, predictions and samples at the masked slots.
pub(super) fn generate(
    generator: &Generator,
    batch: &DeviceBatch,
    total_masked: f64,
    noise: Option<EncoderNoise<'_>>,
    sampling: Option<&Sampling<'_>>,
) -> MlmOutput {
    let [_, seq] = batch.masked_ids.dims();
    let slots = batch.masked_positions.dims().iter().product::<usize>();
    let hidden = generator.encode(&batch.input(batch.masked_ids.clone()), noise).last_hidden;
    let masked = generator.transform(gather_positions(hidden, &batch.masked_positions, seq));
    let (table, bias) = generator.output();
    mlm_loss(
        masked,
        table,
        bias,
        batch.masked_original_ids.clone().reshape([slots]),
        batch.mask_weights.clone().reshape([slots]),
        total_masked,
        sampling,
    )
}
