//! The two networks of pre-training: a generator that fills masks, a discriminator that judges every token.

use burn::tensor::Tensor;
use electra_kernels::{Table, mlm_logits};

use crate::{
    config::ElectraConfig,
    encoder::{Dense, Encoder, EncoderInput, EncoderNoise, EncoderOutput, LayerNorm, dense_specs, layer_norm_specs},
    parameters::{Initializer, ParameterSpec, Parameters},
};

/// Hugging Face's `ElectraForPreTraining`: encoder, dense + GELU, dense to one logit per token.
#[derive(Debug, Clone)]
pub struct Discriminator {
    /// What reads the text.
    pub encoder: Encoder,
    dense: Dense,
    dense_prediction: Dense,
}

impl Discriminator {
    /// Parameters under `prefix` (`"discriminator."`).
    pub fn specs(config: &ElectraConfig, prefix: &str) -> Vec<ParameterSpec> {
        let mut specs = Encoder::specs(config, &format!("{prefix}electra."));
        let hidden = config.hidden_size;
        let name = |part: &str| format!("{prefix}discriminator_predictions.{part}");
        specs.extend(dense_specs(
            &name("dense"),
            hidden,
            hidden,
            Initializer::TruncatedNormal(config.initializer_range),
        ));
        specs.extend(dense_specs(&name("dense_prediction"), 1, hidden, Initializer::GlorotUniform));
        specs
    }

    /// Borrows the weights under `prefix`.
    pub fn bind(config: &ElectraConfig, parameters: &Parameters, prefix: &str) -> Self {
        let dense = |part: &str| Dense::bind(parameters, &format!("{prefix}discriminator_predictions.{part}"));
        Self {
            encoder: Encoder::bind(config, parameters, &format!("{prefix}electra.")),
            dense: dense("dense"),
            dense_prediction: dense("dense_prediction"),
        }
    }

    /// The logit that each token was replaced, `[batch, seq]`.
    pub fn forward(&self, input: &EncoderInput, noise: Option<EncoderNoise<'_>>) -> Tensor<2> {
        let hidden = self.encoder.forward(input, noise).last_hidden;
        self.predict(hidden).reshape(input.ids.dims())
    }

    /// The head alone: `[tokens, hidden]` to `[tokens, 1]`.
    pub fn predict(&self, hidden: Tensor<2>) -> Tensor<2> {
        self.dense_prediction.forward(self.dense.forward_gelu(hidden))
    }
}

/// What says which entry of the vocabulary stands at a position: dense + GELU + LayerNorm to the embedding size, tied table.
#[derive(Debug, Clone)]
pub struct VocabularyHead {
    dense: Dense,
    layer_norm: LayerNorm,
    /// `[vocab, embedding]` and `[vocab]`.
    output_table: Table,
    output_bias: Tensor<1>,
}

impl VocabularyHead {
    /// Borrows the weights under `prefix`; the table is an encoder's word table.
    pub fn bind(config: &ElectraConfig, parameters: &Parameters, prefix: &str, table: Table) -> Self {
        let name = |part: &str| format!("{prefix}generator_predictions.{part}");
        Self {
            dense: Dense::bind(parameters, &name("dense")),
            layer_norm: LayerNorm::bind(parameters, &name("LayerNorm"), config.layer_norm_eps),
            output_table: table,
            output_bias: parameters.get(&format!("{prefix}generator_lm_head.bias")),
        }
    }

    /// What the output table is multiplied with: `[rows, hidden]` to `[rows, embedding]`.
    pub fn transform(&self, hidden: Tensor<2>) -> Tensor<2> {
        self.layer_norm.forward(self.dense.forward_gelu(hidden))
    }

    /// Output table `[vocab, embedding]` and bias `[vocab]`.
    pub fn output(&self) -> (Table, Tensor<1>) {
        (self.output_table.clone(), self.output_bias.clone())
    }
}

/// Hugging Face's `ElectraForMaskedLM` (and `ElectraForCausalLM`, which differs in what a token sees): encoder and a head
/// over the vocabulary.
#[derive(Debug, Clone)]
pub struct Generator {
    /// What reads the text.
    pub encoder: Encoder,
    head: VocabularyHead,
}

impl Generator {
    /// Parameters under `prefix` (`"generator."`). The output table is the word table: it has no spec.
    pub fn specs(config: &ElectraConfig, prefix: &str) -> Vec<ParameterSpec> {
        let mut specs = Encoder::specs(config, &format!("{prefix}electra."));
        specs.extend(Self::head_specs(config, prefix, 1));
        specs
    }

    /// Those of the head alone, which reads so many `states` side by side.
    pub fn head_specs(config: &ElectraConfig, prefix: &str, states: usize) -> Vec<ParameterSpec> {
        let normal = Initializer::TruncatedNormal(config.initializer_range);
        let name = |part: &str| format!("{prefix}generator_predictions.{part}");
        let mut specs = layer_norm_specs(&name("LayerNorm"), config.embedding_size).to_vec();
        specs.extend(dense_specs(&name("dense"), config.embedding_size, states * config.hidden_size, normal));
        specs.push(ParameterSpec::new(prefix, "generator_lm_head.bias", &[config.vocab_size], Initializer::Zeros));
        specs
    }

    /// Borrows the weights under `prefix`.
    pub fn bind(config: &ElectraConfig, parameters: &Parameters, prefix: &str) -> Self {
        let encoder = Encoder::bind(config, parameters, &format!("{prefix}electra."));
        let head = VocabularyHead::bind(config, parameters, prefix, encoder.word_embeddings());
        Self { encoder, head }
    }

    /// Hidden states of the whole sequences.
    pub fn encode(&self, input: &EncoderInput, noise: Option<EncoderNoise<'_>>) -> EncoderOutput {
        self.encoder.forward(input, noise)
    }

    /// What the output table is multiplied with: `[rows, hidden]` to `[rows, embedding]`.
    pub fn transform(&self, hidden: Tensor<2>) -> Tensor<2> {
        self.head.transform(hidden)
    }

    /// Output table `[vocab, embedding]` and bias `[vocab]`.
    pub fn output(&self) -> (Table, Tensor<1>) {
        self.head.output()
    }

    /// Logits over the vocabulary for rows of hidden states, `[rows, vocab]`.
    pub fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        let (table, bias) = self.output();
        mlm_logits(self.transform(hidden), table, bias)
    }
}
