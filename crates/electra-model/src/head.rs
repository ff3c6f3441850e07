//! Hugging Face's fine-tuning heads on a discriminator's encoder, with their losses.
//!
//! `ElectraForSequenceClassification` (one label: regression), `ElectraForTokenClassification` and
//! `ElectraForQuestionAnswering`, in the names and with the semantics of `transformers`, so that folders made
//! there load here and give the same numbers.

use burn::tensor::{Int, Tensor, activation};
use electra_kernels::{Dropout, dropout};

use crate::{
    config::ElectraConfig,
    encoder::{Dense, Encoder, EncoderInput, EncoderNoise, dense_specs},
    parameters::{Initializer, ParameterSpec, Parameters},
};

/// Label of a token or position that no loss looks at.
pub const IGNORED_LABEL: i64 = -100;

/// Layer number of a head's dropout in the noise's key, beyond any encoder's.
const HEAD_LAYER: u64 = 1 << 20;

fn head_dropout<'a>(noise: Option<EncoderNoise<'a>>, site: u64, probability: f64) -> Option<Dropout<'a>> {
    noise.map(|noise| Dropout { probability, key: noise.key.child(HEAD_LAYER).child(site), examples: noise.examples })
}

/// Encoder, [CLS] -> dropout -> dense + GELU -> dropout -> dense.
#[derive(Debug, Clone)]
pub struct SequenceClassifier {
    /// What reads the text.
    pub encoder: Encoder,
    dense: Dense,
    out_proj: Dense,
    dropout: f64,
}

impl SequenceClassifier {
    /// Parameters under `prefix` (empty, or ending in a dot).
    pub fn specs(config: &ElectraConfig, labels: usize, prefix: &str) -> Vec<ParameterSpec> {
        let hidden = config.hidden_size;
        let mut specs = Encoder::specs(config, &format!("{prefix}electra."));
        specs.extend(dense_specs(&format!("{prefix}classifier.dense"), hidden, hidden, Initializer::GlorotUniform));
        specs.extend(dense_specs(&format!("{prefix}classifier.out_proj"), labels, hidden, Initializer::GlorotUniform));
        specs
    }

    /// Borrows the weights under `prefix`. `classifier_dropout` is the head's own.
    pub fn bind(config: &ElectraConfig, classifier_dropout: f64, parameters: &Parameters, prefix: &str) -> Self {
        Self {
            encoder: Encoder::bind(config, parameters, &format!("{prefix}electra.")),
            dense: Dense::bind(parameters, &format!("{prefix}classifier.dense")),
            out_proj: Dense::bind(parameters, &format!("{prefix}classifier.out_proj")),
            dropout: classifier_dropout,
        }
    }

    /// Logits, `[batch, labels]`.
    pub fn forward(&self, input: &EncoderInput, noise: Option<EncoderNoise<'_>>) -> Tensor<2> {
        let [batch, seq] = input.ids.dims();
        let hidden = self.encoder.forward(input, noise).last_hidden;
        let width = self.encoder.config().hidden_size;
        let first = hidden.reshape([batch, seq, width]).slice([0..batch, 0..1]).reshape([batch, width]);
        let first = dropout(first, head_dropout(noise, 0, self.dropout).as_ref());
        let dense = self.dense.forward_gelu(first);
        self.out_proj.forward(dropout(dense, head_dropout(noise, 1, self.dropout).as_ref()))
    }
}

/// Encoder, every token -> dropout -> dense.
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
        self.classifier.forward(dropout(hidden, head_dropout(noise, 0, self.dropout).as_ref()))
    }
}

/// Encoder, every token -> dense to a start and an end logit.
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

/// Mean cross-entropy over the rows whose label is not `IGNORED_LABEL`.
///
/// `logits`: `[rows, labels]`; `labels`: `[rows]`. No row with a label: 0, where PyTorch gives NaN.
pub fn cross_entropy(logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    let [rows, _] = logits.dims();
    let counted = labels.clone().not_equal_elem(IGNORED_LABEL);
    let target = labels.mask_fill(counted.clone().bool_not(), 0).reshape([rows, 1]);
    let weights = counted.float();
    let losses = activation::log_softmax(logits, 1).gather(1, target).reshape([rows]).neg();
    (losses * weights.clone()).sum() / weights.sum().clamp_min(1.0)
}

/// Mean squared error of one-label logits, `[rows, 1]`, against `labels`, `[rows]`.
pub fn regression_loss(logits: Tensor<2>, labels: Tensor<1>) -> Tensor<1> {
    let [rows, _] = logits.dims();
    let difference = logits.reshape([rows]) - labels;
    (difference.clone() * difference).mean()
}

/// Mean of the start's and the end's cross-entropy; a position at or beyond `seq`, or negative, is ignored.
pub fn question_answering_loss(
    start_logits: Tensor<2>,
    end_logits: Tensor<2>,
    start_positions: Tensor<1, Int>,
    end_positions: Tensor<1, Int>,
) -> Tensor<1> {
    let [_, seq] = start_logits.dims();
    let label = |positions: Tensor<1, Int>| {
        // transformers clamps to [0, seq] and ignores the label seq.
        let clamped = positions.clamp_min(0);
        let outside = clamped.clone().greater_equal_elem(seq as i64);
        clamped.mask_fill(outside, IGNORED_LABEL)
    };
    (cross_entropy(start_logits, label(start_positions)) + cross_entropy(end_logits, label(end_positions)))
        .div_scalar(2.0)
}
