//! A label, or a number, for a whole text.

use burn::tensor::{Int, Tensor};
use electra_kernels::gather_positions;

use super::{HeadStyle, drop_out};
use crate::{
    config::ElectraConfig,
    encoder::{Dense, Encoder, EncoderInput, EncoderNoise, dense_specs},
    parameters::{Initializer, ParameterSpec, Parameters},
};

/// Encoder, then of \[CLS\]: `hf` dropout, dense + GELU, dropout, dense; `paper` dropout, dense.
#[derive(Debug, Clone)]
pub struct SequenceClassifier {
    /// What reads the text.
    pub encoder: Encoder,
    /// Hugging Face's alone.
    dense: Option<Dense>,
    output: Dense,
    dropout: f64,
}

impl SequenceClassifier {
    /// Parameters under `prefix` (empty, or ending in a dot).
    pub fn specs(config: &ElectraConfig, labels: usize, style: HeadStyle, prefix: &str) -> Vec<ParameterSpec> {
        let (hidden, glorot) = (config.hidden_size, Initializer::GlorotUniform);
        let mut specs = Encoder::specs(config, &format!("{prefix}electra."));
        match style {
            HeadStyle::Hf => {
                specs.extend(dense_specs(&format!("{prefix}classifier.dense"), hidden, hidden, glorot));
                specs.extend(dense_specs(&format!("{prefix}classifier.out_proj"), labels, hidden, glorot));
            }
            HeadStyle::Paper => specs.extend(dense_specs(&format!("{prefix}classifier"), labels, hidden, glorot)),
        }
        specs
    }

    /// Borrows the weights under `prefix`. `classifier_dropout` is the head's own.
    pub fn bind(
        config: &ElectraConfig,
        classifier_dropout: f64,
        style: HeadStyle,
        parameters: &Parameters,
        prefix: &str,
    ) -> Self {
        let dense = |name: &str| Dense::bind(parameters, &format!("{prefix}classifier{name}"));
        let (hidden, output) = match style {
            HeadStyle::Hf => (Some(dense(".dense")), dense(".out_proj")),
            HeadStyle::Paper => (None, dense("")),
        };
        let encoder = Encoder::bind(config, parameters, &format!("{prefix}electra."));
        Self { encoder, dense: hidden, output, dropout: classifier_dropout }
    }

    /// Logits, `[batch, labels]`.
    pub fn forward(&self, input: &EncoderInput, noise: Option<EncoderNoise<'_>>) -> Tensor<2> {
        let [batch, seq] = input.ids.dims();
        let hidden = self.encoder.forward(input, noise).last_hidden;
        let positions = Tensor::<2, Int>::zeros([batch, 1], &input.ids.device());
        let first = drop_out(gather_positions(hidden, &positions, seq), noise, 0, self.dropout);
        let last = match &self.dense {
            Some(dense) => drop_out(dense.forward_gelu(first), noise, 1, self.dropout),
            None => first,
        };
        self.output.forward(last)
    }
}
