//! A label for each token.

use burn::tensor::Tensor;

use super::drop_out;
use crate::{
    config::ElectraConfig,
    encoder::{Dense, Encoder, EncoderInput, EncoderNoise, dense_specs},
    parameters::{Initializer, ParameterSpec, Parameters},
};

/// Encoder, every token -> dropout -> dense: Hugging Face's and the paper's.
#[derive(Debug, Clone)]
pub struct TokenClassifier {
    /// What reads the text.
    pub encoder: Encoder,
    classifier: Dense,
    dropout: f64,
}

impl TokenClassifier {
    /// Parameters under `prefix`.
    pub fn specs(config: &ElectraConfig, labels: usize, prefix: &str) -> Vec<ParameterSpec> {
        let mut specs = Encoder::specs(config, &format!("{prefix}electra."));
        let name = format!("{prefix}classifier");
        specs.extend(dense_specs(&name, labels, config.hidden_size, Initializer::GlorotUniform));
        specs
    }

    /// Borrows the weights under `prefix`.
    pub fn bind(config: &ElectraConfig, classifier_dropout: f64, parameters: &Parameters, prefix: &str) -> Self {
        Self {
            encoder: Encoder::bind(config, parameters, &format!("{prefix}electra.")),
            classifier: Dense::bind(parameters, &format!("{prefix}classifier")),
            dropout: classifier_dropout,
        }
    }

    /// Logits, `[batch * seq, labels]`.
    pub fn forward(&self, input: &EncoderInput, noise: Option<EncoderNoise<'_>>) -> Tensor<2> {
        let hidden = self.encoder.forward(input, noise).last_hidden;
        self.classifier.forward(drop_out(hidden, noise, 0, self.dropout))
    }
}
