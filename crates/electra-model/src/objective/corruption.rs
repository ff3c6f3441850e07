//! What most objectives begin with: something fills the masked positions, and its samples take the originals' places.

use burn::tensor::{Int, Tensor, TensorData};
use electra_data::Batch;
use electra_kernels::{MlmOutput, Sampling, Table, corrupt, gather_positions, mlm_loss};

use super::config::{Frequencies, GeneratorKind};
use super::{
    NetworkPlan, ObjectiveConfig, Observations, Positions, PretrainedHead, StepContext, StepOutput, Work, noise_site,
};
use crate::{
    batch::DeviceBatch,
    config::ElectraConfig,
    encoder::EncoderNoise,
    network::{Discriminator, Generator},
    parameters::{Layout, ParameterSpec, Parameters},
    pretraining::{DISCRIMINATOR, GENERATOR, PretrainingConfig},
};

/// Whether the generator learns from its MLM loss. Where it does not, that loss is observed alone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum MlmGradient {
    Taken,
    None,
}

/// Something that draws replacements, and the network that reads them.
pub(super) struct Pair {
    pub(super) networks: PretrainingConfig,
    kind: GeneratorKind,
    temperature: f64,
    disallow_correct: bool,
    /// Share of the chosen positions that a similar word takes.
    similar_words: f64,
}

impl Pair {
    pub(super) fn new(
        config: &ObjectiveConfig,
        networks: &PretrainingConfig,
        temperature: f64,
        disallow_correct: bool,
    ) -> Self {
        Self { networks: networks.clone(), kind: config.generator, temperature, disallow_correct, similar_words: 0.0 }
    }

    pub(super) fn with_similar_words(self, similar_words: f64) -> Self {
        Self { similar_words, ..self }
    }

    pub(super) fn has_network(&self) -> bool {
        self.kind == GeneratorKind::Network
    }

    /// Parameters of `kept`, and of the generator where it is a network.
    pub(super) fn layout(&self, kept: Vec<ParameterSpec>) -> Layout {
        if self.has_network() {
            self.networks.sharing.layout(kept, Generator::specs(&self.networks.generator, GENERATOR))
        } else {
            Layout::new(kept, Vec::new())
        }
    }

    /// `kept`, and the generator where it is a network.
    pub(super) fn plans(&self, kept: NetworkPlan) -> Vec<NetworkPlan> {
        let mut plans = vec![kept];
        plans.extend(self.has_network().then(|| generator_plan(&self.networks)));
        plans
    }

    /// The parameters with all that the networks ask for.
    pub(super) fn bound(&self, parameters: &Parameters) -> Parameters {
        if self.has_network() { self.networks.sharing.bound(parameters) } else { parameters.clone() }
    }

    /// The batch with samples in it. `parameters`: bound ones.
    pub(super) fn corrupt(
        &self,
        parameters: &Parameters,
        batch: &DeviceBatch,
        context: &StepContext,
        gradient: MlmGradient,
    ) -> Corruption {
        let filled = self.has_network().then(|| self.fill(parameters, batch, context, gradient));
        let drawn = filled.as_ref().and_then(|(_, output)| output.sampled_ids.clone());
        let slots = batch.masked_positions.dims();
        let sampled_ids = match (&context.given.samples, drawn) {
            (Some(given), _) => given.clone(),
            (None, Some(drawn)) => self.with_similar(drawn.reshape(slots), batch, context),
            (None, None) => self.with_similar(self.draw(batch, context), batch, context),
        };
        let (corrupted_ids, is_replaced) =
            corrupt(&batch.original_ids, &batch.masked_positions, &batch.mask_weights, &sampled_ids);
        let (states, output) = filled.unzip();
        let (loss, predicted_ids) = output.map(|output| (output.loss, output.predicted_ids.reshape(slots))).unzip();
        Corruption { states, loss, predicted_ids, sampled_ids, corrupted_ids, is_replaced }
    }

    fn fill(
        &self,
        parameters: &Parameters,
        batch: &DeviceBatch,
        context: &StepContext,
        gradient: MlmGradient,
    ) -> (MaskedStates, MlmOutput) {
        let mut network = Generator::bind(&self.networks.generator, parameters, GENERATOR);
        network.encoder.recompute = context.recompute;
        let noise = noise(context, batch, noise_site::GENERATOR);
        let states = MaskedStates::new(network, batch, batch.masked_ids.clone(), noise);
        let sampling = Sampling {
            temperature: self.temperature,
            disallow_correct: self.disallow_correct,
            key: context.key.child(noise_site::SAMPLE),
            examples: batch.example_numbers(),
        };
        // Samples given from outside take the place of drawn ones.
        let sampling = context.given.samples.is_none().then_some(&sampling);
        let output = states.network.output();
        let (rows, (table, bias)) = match gradient {
            MlmGradient::Taken => (states.transformed.clone(), output),
            MlmGradient::None => (states.transformed.clone().detach(), detached(output)),
        };
        let filled = masked_loss(rows, table, bias, batch, context.totals.masked, sampling);
        (states, filled)
    }

    /// Replacements that no network draws, `[batch, max_masked]`.
    fn draw(&self, batch: &DeviceBatch, context: &StepContext) -> Tensor<2, Int> {
        let special = context.special;
        let never = [special.pad, special.cls, special.sep, special.mask];
        let vocab = self.networks.discriminator.vocab_size;
        let text = context.frequencies.as_deref().filter(|_| self.kind == GeneratorKind::Unigram);
        let uniform = if text.is_none() { Frequencies::uniform(vocab, &never) } else { None };
        let frequencies = text.or(uniform.as_ref()).expect("a vocabulary has entries beside the special ones");
        let host = &batch.host;
        let originals = host.masked_original_ids.iter();
        let ids: Vec<i32> = originals
            .enumerate()
            .map(|(at, &original)| {
                let example = u64::from(host.example_numbers[at / host.max_masked]);
                let key = context.key.child(noise_site::SAMPLE).child(example).child((at % host.max_masked) as u64);
                let draws = (0..MOST_DRAWS).map(|attempt| frequencies.draw(key, attempt) as i32);
                let mut wanted = draws.filter(|&id| !(self.disallow_correct && id == original));
                wanted.next().unwrap_or(original)
            })
            .collect();
        Tensor::from_data(TensorData::new(ids, batch.masked_positions.dims()), &batch.original_ids.device())
    }

    /// `sampled`, `[batch, max_masked]`, with similar words in some of the places.
    fn with_similar(&self, sampled: Tensor<2, Int>, batch: &DeviceBatch, context: &StepContext) -> Tensor<2, Int> {
        let Some(similar) = context.similar_words.as_deref().filter(|_| self.similar_words > 0.0) else {
            return sampled;
        };
        let host = &batch.host;
        let (mut ids, mut is_kept) = (Vec::new(), Vec::new());
        for (at, &original) in host.masked_original_ids.iter().enumerate() {
            let key =
                context.key.child(noise_site::SIMILAR).child(u64::from(host.example_numbers[at / host.max_masked]));
            let slot = (at % host.max_masked) as u64;
            let is_similar = key.uniform_f64(slot, 1) < self.similar_words;
            is_kept.push(i32::from(!is_similar));
            let word = similar.draw(original as u32, key, slot).map_or(original, |word| word as i32);
            ids.push(if is_similar { word } else { 0 });
        }
        let [ids, is_kept] = [ids, is_kept].map(|values| {
            Tensor::<2, Int>::from_data(TensorData::new(values, batch.masked_positions.dims()), &sampled.device())
        });
        sampled * is_kept + ids
    }
}

/// Draws for one position until one is not the original: enough unless the vocabulary is little more than that one entry.
const MOST_DRAWS: u64 = 64;

/// A batch with samples in it.
pub(super) struct Corruption {
    /// Those of the network that drew the samples.
    pub(super) states: Option<MaskedStates>,
    /// Its MLM loss, a share of the whole batch's.
    pub(super) loss: Option<Tensor<1>>,
    /// `[batch, max_masked]`
    pub(super) predicted_ids: Option<Tensor<2, Int>>,
    /// `[batch, max_masked]`
    pub(super) sampled_ids: Tensor<2, Int>,
    /// `[batch, seq]`
    pub(super) corrupted_ids: Tensor<2, Int>,
    /// `[batch, seq]`
    pub(super) is_replaced: Tensor<2>,
}

impl Corruption {
    /// The generator's loss times `weight`, and `rest`.
    pub(super) fn total(&self, weight: f64, rest: Tensor<1>) -> Tensor<1> {
        match &self.loss {
            Some(loss) => loss.clone() * weight + rest,
            None => rest,
        }
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
            generator_loss: self.loss.map(Tensor::detach),
            discriminator_loss: discriminator_loss.map(Tensor::detach),
            parts: parts.into_iter().map(|(name, part)| (name, part.detach())).collect(),
            predicted_ids: self.predicted_ids,
            sampled_ids: Some(self.sampled_ids),
            corrupted_ids: Some(self.corrupted_ids),
            is_replaced: Some(self.is_replaced),
            discriminator_logits: discriminator_logits.map(Tensor::detach),
        }
    }
}

/// Dropout's noise of a network, in training.
pub(super) fn noise<'a>(context: &StepContext, batch: &'a DeviceBatch, site: u64) -> Option<EncoderNoise<'a>> {
    context.training.then(|| EncoderNoise { key: context.key.child(site), examples: batch.example_numbers() })
}

/// The discriminator's logits of `ids`, `[batch, seq]`.
pub(super) fn discriminate(
    networks: &PretrainingConfig,
    parameters: &Parameters,
    batch: &DeviceBatch,
    ids: &Tensor<2, Int>,
    context: &StepContext,
) -> Tensor<2> {
    let mut discriminator = Discriminator::bind(&networks.discriminator, parameters, DISCRIMINATOR);
    discriminator.encoder.recompute = context.recompute;
    discriminator.forward(&batch.input(ids.clone()), noise(context, batch, noise_site::DISCRIMINATOR))
}

/// The network to keep, with which `work` is done.
pub(super) fn kept_plan(config: &ElectraConfig, head: PretrainedHead, work: Work) -> NetworkPlan {
    NetworkPlan {
        role: "discriminator",
        prefix: DISCRIMINATOR,
        head,
        other_heads: &[],
        is_exported: true,
        config: config.clone(),
        work,
    }
}

/// The network to keep, with a binary head.
pub(super) fn discriminator_plan(networks: &PretrainingConfig, work: Work) -> NetworkPlan {
    kept_plan(&networks.discriminator, PretrainedHead::ReplacedTokenDetection, work)
}

pub(super) fn generator_plan(networks: &PretrainingConfig) -> NetworkPlan {
    NetworkPlan {
        role: "generator",
        prefix: GENERATOR,
        head: PretrainedHead::MaskedLanguageModeling,
        other_heads: &[],
        is_exported: true,
        config: networks.generator.clone(),
        work: Work::vocabulary(Positions::Masked, true),
    }
}

/// A masked-language model's states at the masked positions.
pub(super) struct MaskedStates {
    pub(super) network: Generator,
    /// The last hidden ones, `[slots, hidden]`.
    pub(super) hidden: Tensor<2>,
    /// What the output table is multiplied with, `[slots, embedding]`.
    pub(super) transformed: Tensor<2>,
}

impl MaskedStates {
    /// Of `network`, which reads `ids`.
    pub(super) fn new(
        network: Generator,
        batch: &DeviceBatch,
        ids: Tensor<2, Int>,
        noise: Option<EncoderNoise<'_>>,
    ) -> Self {
        let [_, seq] = ids.dims();
        let hidden = network.encode(&batch.input(ids), noise).last_hidden;
        let hidden = gather_positions(hidden, &batch.masked_positions, seq);
        Self { transformed: network.transform(hidden.clone()), hidden, network }
    }

    /// The MLM loss, with its gradient.
    pub(super) fn loss(self, batch: &DeviceBatch, total_masked: f64) -> MlmOutput {
        let (table, bias) = self.network.output();
        masked_loss(self.transformed, table, bias, batch, total_masked, None)
    }
}

/// The MLM loss at the masked positions.
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

/// A head's output without gradient.
pub(super) fn detached((table, bias): (Table, Tensor<1>)) -> (Table, Tensor<1>) {
    (Table::new(table.pieces().iter().map(|piece| piece.clone().detach()).collect()), bias.detach())
}

/// Values of the used slots at their tokens, `[batch, seq]`, and 0 everywhere else.
pub(super) fn at_tokens(batch: &Batch, of_slot: impl Fn(usize) -> f32) -> Vec<f32> {
    let mut of_tokens = vec![0.0; batch.original_ids.len()];
    for (slot, _) in batch.mask_weights.iter().enumerate().filter(|(_, weight)| **weight > 0.0) {
        let position = batch.masked_positions[slot] as usize;
        of_tokens[slot / batch.max_masked * batch.seq + position] = of_slot(slot);
    }
    of_tokens
}

/// What a step of a masked-language model alone gives, of which `loss` is minimised.
pub(super) fn masked_output(filled: MlmOutput, loss: Tensor<1>, batch: &DeviceBatch) -> StepOutput {
    StepOutput {
        observations: Observations {
            loss: Some(loss.clone().detach()),
            generator_loss: Some(filled.loss.detach()),
            predicted_ids: Some(filled.predicted_ids.reshape(batch.masked_positions.dims())),
            ..Observations::default()
        },
        loss,
    }
}

/// The loss of a masked-language model under the generator's prefix.
pub(super) fn fill_masks(
    config: &ElectraConfig,
    parameters: &Parameters,
    batch: &DeviceBatch,
    context: &StepContext,
) -> MlmOutput {
    let mut network = Generator::bind(config, parameters, GENERATOR);
    network.encoder.recompute = context.recompute;
    let noise = noise(context, batch, noise_site::GENERATOR);
    MaskedStates::new(network, batch, batch.masked_ids.clone(), noise).loss(batch, context.totals.masked)
}

/// Values of tokens, `[batch, seq]`, at the masked positions, `[batch, max_masked]`.
pub(super) fn at_masked(values: Tensor<2>, batch: &DeviceBatch) -> Tensor<2> {
    let [examples, seq] = values.dims();
    gather_positions(values.reshape([examples * seq, 1]), &batch.masked_positions, seq)
        .reshape(batch.masked_positions.dims())
}
