//! Where an answer begins and ends, each by itself.

use burn::tensor::Tensor;

use crate::{
    config::ElectraConfig,
    encoder::{Dense, Encoder, EncoderInput, EncoderNoise, dense_specs},
    parameters::{Initializer, ParameterSpec, Parameters},
};

/// Hugging Face's: encoder, every token -> dense to a start and an end logit.
#[derive(Debug, Clone)]
pub struct QuestionAnswering {
    /// What reads the text.
    pub encoder: Encoder,
    qa_outputs: Dense,
}

impl QuestionAnswering {
    /// Parameters under `prefix`.
    pub fn specs(config: &ElectraConfig, prefix: &str) -> Vec<ParameterSpec> {
        let mut specs = Encoder::specs(config, &format!("{prefix}electra."));
        let name = format!("{prefix}qa_outputs");
        specs.extend(dense_specs(&name, 2, config.hidden_size, Initializer::GlorotUniform));
        specs
    }

    /// Borrows the weights under `prefix`.
    pub fn bind(config: &ElectraConfig, parameters: &Parameters, prefix: &str) -> Self {
        Self {
            encoder: Encoder::bind(config, parameters, &format!("{prefix}electra.")),
            qa_outputs: Dense::bind(parameters, &format!("{prefix}qa_outputs")),
        }
    }

    /// Start and end logits, `[batch, seq]` each.
    pub fn forward(&self, input: &EncoderInput, noise: Option<EncoderNoise<'_>>) -> (Tensor<2>, Tensor<2>) {
        let [batch, seq] = input.ids.dims();
        let logits = self.qa_outputs.forward(self.encoder.forward(input, noise).last_hidden);
        let column = |i: usize| logits.clone().slice([0..batch * seq, i..i + 1]).reshape([batch, seq]);
        (column(0), column(1))
    }
}
