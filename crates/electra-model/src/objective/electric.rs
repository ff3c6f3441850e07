//! Electric: an energy-based cloze model (Clark et al. 2020, EMNLP), trained by noise-contrastive estimation.
//!
//! The noise q is drawn by two towers that read the *unmasked* text: in `ltr` a token sees itself and what is before it, in `rtl` itself
//! and what comes after; token t is predicted from [ltr at t - 1, rtl at t + 1]. G's loss: mean(-log q(original), candidates). D reads
//! samples at the chosen positions; its logit is its head's plus log q(token), without gradient, plus ln(p / (1 - p)), p the share
//! of chosen positions; the label is *chosen*, whatever was sampled; L = generator_loss_weight * G + discriminator_loss_weight *
//! mean(BCE, tokens). D's head alone is the energy: it scores a text in one pass.

use burn::tensor::{Int, Tensor};
use electra_kernels::{MlmOutput, Sampling, Table, Visibility, corrupt, gather_positions, mlm_loss, rtd_loss};
use serde::{Deserialize, Serialize};

use super::config::{Check, KeyTable, check_temperature, check_weight};
use super::corruption::{at_tokens, detached, discriminate, discriminator_plan, noise};
use super::{
    HeadWork, NetworkPlan, Objective, ObjectiveConfig, Observations, Positions, PretrainedHead, StepContext,
    StepOutput, Work, candidates, noise_site,
};
use crate::{
    batch::DeviceBatch,
    config::ElectraConfig,
    encoder::Encoder,
    network::{Discriminator, Generator, VocabularyHead},
    parameters::{Alias, Layout, Parameters},
    pretraining::{DISCRIMINATOR, GENERATOR, PretrainingConfig, Sharing},
};

/// `[objective.electric]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Keys {
    pub generator_loss_weight: f64,
    pub discriminator_loss_weight: f64,
    /// Temperature of the samples.
    pub temperature: f64,
}

impl Default for Keys {
    fn default() -> Self {
        Self { generator_loss_weight: 1.0, discriminator_loss_weight: 50.0, temperature: 1.0 }
    }
}

impl KeyTable for Keys {
    fn check(&self, check: &mut Check<'_>) {
        check_weight(check, "generator_loss_weight", self.generator_loss_weight);
        check_weight(check, "discriminator_loss_weight", self.discriminator_loss_weight);
        check_temperature(check, self.temperature);
    }

    fn draw_plainly(&mut self) {
        self.temperature = 1.0;
    }
}

/// Prefixes of the two towers.
const LTR: &str = "generator.ltr.";
const RTL: &str = "generator.rtl.";

pub(super) struct Electric {
    keys: Keys,
    networks: PretrainingConfig,
}

pub(super) fn new(config: &ObjectiveConfig, networks: &PretrainingConfig) -> Electric {
    Electric { keys: config.electric.clone(), networks: networks.clone() }
}

/// The noise: two towers with one head.
struct Cloze {
    /// What the table is multiplied with, of every token, `[batch * seq, embedding]`.
    rows: Tensor<2>,
    table: Table,
    bias: Tensor<1>,
}

impl Cloze {
    fn new(config: &ElectraConfig, parameters: &Parameters, batch: &DeviceBatch, context: &StepContext) -> Self {
        let [examples, seq] = batch.original_ids.dims();
        let hidden = config.hidden_size;
        let tower = |prefix: &str, visibility: Visibility, site| {
            let mut encoder = Encoder::bind(config, parameters, prefix);
            encoder.recompute = context.recompute;
            let table = encoder.word_embeddings();
            let input = batch.input(batch.original_ids.clone());
            let states = encoder.forward_seeing(&input, &visibility, noise(context, batch, site)).last_hidden;
            (states.reshape([examples, seq, hidden]), table)
        };
        let (ltr, table) = tower(LTR, Visibility::backwards(&batch.attention_mask), noise_site::GENERATOR);
        let (rtl, _) = tower(RTL, Visibility::forwards(&batch.attention_mask), noise_site::SECOND);
        // Rolled around the ends: what is there is no candidate, [CLS] and [SEP] or padding.
        let rolled = |states: Tensor<3>, first: usize| {
            let part = |from: usize, to: usize| states.clone().slice([0..examples, from..to]);
            if seq == 1 { states } else { Tensor::cat(vec![part(first, seq), part(0, first)], 1) }
        };
        let sides = Tensor::cat(vec![rolled(ltr, seq - 1), rolled(rtl, 1)], 2).reshape([examples * seq, 2 * hidden]);
        let head = VocabularyHead::bind(config, parameters, GENERATOR, table);
        let (table, bias) = head.output();
        Self { rows: head.transform(sides), table, bias }
    }

    /// Loss and log-likelihoods of `ids` at every token.
    fn likelihood(&self, ids: Tensor<1, Int>, weights: Tensor<1>, total: f64) -> MlmOutput {
        mlm_loss(self.rows.clone(), self.table.clone(), self.bias.clone(), ids, weights, total, None)
    }

    fn detached(&self) -> Self {
        let (table, bias) = detached((self.table.clone(), self.bias.clone()));
        Self { rows: self.rows.clone().detach(), table, bias }
    }
}

impl Electric {
    /// Samples at the chosen positions, `[batch, max_masked]`.
    fn sample(&self, cloze: &Cloze, batch: &DeviceBatch, context: &StepContext) -> MlmOutput {
        let [examples, seq] = batch.original_ids.dims();
        let slots = examples * batch.host.max_masked;
        let sampling = Sampling {
            temperature: self.keys.temperature,
            disallow_correct: false,
            key: context.key.child(noise_site::SAMPLE),
            examples: batch.example_numbers(),
        };
        mlm_loss(
            gather_positions(cloze.rows.clone(), &batch.masked_positions, seq),
            cloze.table.clone(),
            cloze.bias.clone(),
            batch.masked_original_ids.clone().reshape([slots]),
            batch.mask_weights.clone().reshape([slots]),
            context.totals.masked,
            Some(&sampling),
        )
    }
}

impl Objective for Electric {
    fn name(&self) -> &'static str {
        "electric"
    }

    fn layout(&self) -> Layout {
        let mut specs = Discriminator::specs(&self.networks.discriminator, DISCRIMINATOR);
        for tower in [LTR, RTL] {
            specs.extend(Encoder::specs(&self.networks.generator, tower));
        }
        specs.extend(Generator::head_specs(&self.networks.generator, GENERATOR, 2));
        let owner = match self.networks.sharing {
            Sharing::Embeddings => format!("{DISCRIMINATOR}electra.embeddings."),
            _ => format!("{LTR}embeddings."),
        };
        let aliases = [LTR, RTL].map(|tower| format!("{tower}embeddings.")).into_iter();
        Layout::new(specs, aliases.filter(|from| *from != owner).map(|from| Alias::new(from, owner.clone())).collect())
    }

    fn networks(&self) -> Vec<NetworkPlan> {
        let vocabulary = |positions, is_sampled, is_repeated| HeadWork::Vocabulary {
            positions,
            states: 2,
            is_sampled,
            is_repeated,
        };
        // Its loss; the draws; what it says of the corrupted tokens.
        let heads = [
            vocabulary(Positions::All, false, false),
            vocabulary(Positions::Masked, true, true),
            vocabulary(Positions::All, false, true),
        ];
        vec![
            discriminator_plan(&self.networks, Work::detection()),
            NetworkPlan {
                role: "generator",
                prefix: GENERATOR,
                head: PretrainedHead::MaskedLanguageModeling,
                other_heads: &[],
                is_exported: false,
                config: self.networks.generator.clone(),
                work: Work { encoders: 2, ..Work::new(&heads) },
            },
        ]
    }

    fn sharing(&self) -> &'static [Sharing] {
        &[Sharing::Embeddings, Sharing::None]
    }

    fn detect(
        &self,
        parameters: &Parameters,
        batch: &DeviceBatch,
        ids: &Tensor<2, Int>,
        context: &StepContext,
    ) -> Option<Tensor<2>> {
        // A token of high energy is an unlikely one.
        Some(discriminate(&self.networks, parameters, batch, ids, context))
    }

    fn step(&self, parameters: &Parameters, batch: &DeviceBatch, context: &StepContext) -> StepOutput {
        let host = &batch.host;
        let (shape, slots) = (batch.original_ids.dims(), batch.masked_positions.dims());
        let tokens = shape.iter().product::<usize>();
        let cloze = Cloze::new(&self.networks.generator, parameters, batch, context);
        let is_candidate = candidates(host, context.special).map(|is| f32::from(u8::from(is))).collect();
        let is_candidate = batch.of_tokens(is_candidate).reshape([tokens]);
        let originals = batch.original_ids.clone().reshape([tokens]);
        let generator = cloze.likelihood(originals, is_candidate, context.totals.candidates).loss;

        let cloze = cloze.detached();
        let sampled = context.given.samples.is_none().then(|| self.sample(&cloze, batch, context));
        let predicted_ids = sampled.as_ref().map(|sampled| sampled.predicted_ids.clone().reshape(slots));
        let drawn = sampled.and_then(|sampled| sampled.sampled_ids).map(|ids| ids.reshape(slots));
        let sampled_ids = context.given.samples.clone().or(drawn).expect("samples are drawn unless they are given");
        let (corrupted_ids, _) =
            corrupt(&batch.original_ids, &batch.masked_positions, &batch.mask_weights, &sampled_ids);

        let of_corrupted = corrupted_ids.clone().reshape([tokens]);
        let mask = batch.attention_mask.clone();
        let likelihood = cloze.likelihood(of_corrupted, mask.clone().reshape([tokens]), context.totals.tokens);
        let log_q = likelihood.negative_log_likelihood.neg().reshape(shape) * mask.clone();
        let share = context.masking_probability;
        let energy = discriminate(&self.networks, parameters, batch, &corrupted_ids, context);
        let logits = energy + log_q + (share / (1.0 - share)).ln();
        let chosen = batch.of_tokens(at_tokens(host, |_| 1.0));
        let detection = rtd_loss(logits.clone(), chosen.clone(), mask, context.totals.tokens);

        let loss = generator.clone() * self.keys.generator_loss_weight
            + detection.clone() * self.keys.discriminator_loss_weight;
        StepOutput {
            observations: Observations {
                loss: Some(loss.clone().detach()),
                generator_loss: Some(generator.detach()),
                discriminator_loss: Some(detection.detach()),
                parts: Vec::new(),
                predicted_ids,
                sampled_ids: Some(sampled_ids),
                corrupted_ids: Some(corrupted_ids),
                is_replaced: Some(chosen),
                discriminator_logits: Some(logits.detach()),
            },
            loss,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::testing::{SEQ, SPECIAL, batch, context, cpu, networks, reaches};

    #[test]
    fn the_noise_at_a_token_does_not_depend_on_it() {
        let objective = new(&ObjectiveConfig::default(), &networks());
        let parameters = Parameters::initialize(&objective.layout(), 3, &cpu());
        let config = &objective.networks.generator;
        let rows = |batch: &_| Cloze::new(config, &parameters, &DeviceBatch::new(batch, &cpu()), &context(batch)).rows;
        let batch = batch();
        let candidates: Vec<bool> = candidates(&batch, SPECIAL).collect();
        for (token, reached) in reaches(&batch, rows).into_iter().enumerate() {
            for (row, reached) in reached.into_iter().enumerate().filter(|(row, _)| candidates[*row]) {
                let may = row / SEQ == token / SEQ && row != token;
                assert!(may || !reached, "token {token} reaches row {row}");
                let is_token = batch.attention_mask[token] > 0;
                assert!(reached || !(may && is_token), "row {row} does not read token {token}");
            }
        }
    }
}
