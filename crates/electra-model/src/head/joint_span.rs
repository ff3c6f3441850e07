//! Where an answer begins, where it ends given that, and whether there is one: google-research/electra, finetune/qa/qa_tasks.py.
//!
//! Starts are a dense layer's; an end is scored by a hidden layer of 512 over its token and the start's, in training the right start, in use
//! each of the likeliest ones (a beam); whether there is an answer, by such a layer over \[CLS\] and the mean of the tokens under the start's
//! distribution.

use burn::tensor::{Int, Tensor, activation};
use electra_kernels::{gather_positions, linear};

use crate::{
    config::ElectraConfig,
    encoder::{Dense, Encoder, EncoderInput, EncoderNoise, dense_specs},
    parameters::{Initializer, ParameterSpec, Parameters},
};

/// Size of the hidden layers.
const HIDDEN: usize = 512;

/// What is added to a logit where no answer may be.
const FORBIDDEN: f64 = -1000.0;

/// The paper's head for questions.
#[derive(Debug, Clone)]
pub struct JointSpan {
    /// What reads the text.
    pub encoder: Encoder,
    start: Dense,
    /// Of the end's token and the start's, side by side.
    end_hidden: Dense,
    end: Dense,
    /// Where some questions have no answer: of \[CLS\] and the expected start.
    answerability: Option<[Dense; 2]>,
}

impl JointSpan {
    /// Parameters under `prefix`.
    pub fn specs(config: &ElectraConfig, unanswerable: bool, prefix: &str) -> Vec<ParameterSpec> {
        let (hidden, glorot) = (config.hidden_size, Initializer::GlorotUniform);
        let mut specs = Encoder::specs(config, &format!("{prefix}electra."));
        let mut dense = |name: &str, outputs, inputs| {
            specs.extend(dense_specs(&format!("{prefix}span.{name}"), outputs, inputs, glorot));
        };
        dense("start", 1, hidden);
        dense("end_hidden", HIDDEN, 2 * hidden);
        dense("end", 1, HIDDEN);
        if unanswerable {
            dense("unanswerable_hidden", HIDDEN, 2 * hidden);
            dense("unanswerable", 1, HIDDEN);
        }
        specs
    }

    /// Borrows the weights under `prefix`.
    pub fn bind(config: &ElectraConfig, unanswerable: bool, parameters: &Parameters, prefix: &str) -> Self {
        let dense = |name: &str| Dense::bind(parameters, &format!("{prefix}span.{name}"));
        Self {
            encoder: Encoder::bind(config, parameters, &format!("{prefix}electra.")),
            start: dense("start"),
            end_hidden: dense("end_hidden"),
            end: dense("end"),
            answerability: unanswerable.then(|| [dense("unanswerable_hidden"), dense("unanswerable")]),
        }
    }

    /// Hidden states, `[batch * seq, hidden]`.
    pub fn encode(&self, input: &EncoderInput, noise: Option<EncoderNoise<'_>>) -> Tensor<2> {
        self.encoder.forward(input, noise).last_hidden
    }

    /// Log-probability that the answer begins at each position, `[batch, seq]`. `allowed`, of the same shape, is 1 where one may (\[CLS\]:
    /// there is none), else 0.
    pub fn starts(&self, hidden: &Tensor<2>, allowed: &Tensor<2>) -> Tensor<2> {
        let logits = self.start.forward(hidden.clone()).reshape(allowed.dims());
        activation::log_softmax(logits + forbidding(allowed), 1)
    }

    /// Log-probability that it ends at each position if it begins at `starts`, `[batch, 1]`: `[batch, seq]`.
    pub fn ends(&self, hidden: &Tensor<2>, allowed: &Tensor<2>, starts: &Tensor<2, Int>) -> Tensor<2> {
        let [batch, seq] = allowed.dims();
        let [_, width] = hidden.dims();
        let at_start = gather_positions(hidden.clone(), starts, seq).reshape([batch, 1, width]);
        let at_start = at_start.expand([batch, seq, width]).reshape([batch * seq, width]);
        let both = Tensor::cat(vec![hidden.clone(), at_start], 1);
        let logits = self.end.forward(self.end_hidden.forward_gelu(both)).reshape([batch, seq]);
        activation::log_softmax(logits + forbidding(allowed), 1)
    }

    /// As [`JointSpan::ends`] for each of `starts`, `[batch, beam]`: `[batch * beam, seq]`. The tokens' part of the hidden layer is computed once.
    pub fn ends_of_beam(&self, hidden: &Tensor<2>, allowed: &Tensor<2>, starts: &Tensor<2, Int>) -> Tensor<2> {
        let [batch, seq] = allowed.dims();
        let ([_, width], [_, beam]) = (hidden.dims(), starts.dims());
        let weight = |part: usize| self.end_hidden.weight.clone().slice([0..HIDDEN, part * width..(part + 1) * width]);
        let of_tokens = linear(hidden.clone(), weight(0), self.end_hidden.bias.clone()).reshape([batch, seq, HIDDEN]);
        let at_starts = gather_positions(hidden.clone(), starts, seq);
        let of_starts = linear(at_starts, weight(1), self.end_hidden.bias.zeros_like()).reshape([batch, beam, HIDDEN]);
        let one = |start: usize| {
            let of_start = of_starts.clone().slice([0..batch, start..start + 1, 0..HIDDEN]);
            let hidden = activation::gelu(of_tokens.clone() + of_start).reshape([batch * seq, HIDDEN]);
            let logits = self.end.forward(hidden).reshape([batch, seq]) + forbidding(allowed);
            activation::log_softmax(logits, 1).reshape([batch, 1, seq])
        };
        Tensor::cat((0..beam).map(one).collect(), 1).reshape([batch * beam, seq])
    }

    /// Logit that the question has no answer, `[batch, 1]`, of the log-probabilities of [`JointSpan::starts`]. `None` where all have one.
    pub fn unanswerable(&self, hidden: &Tensor<2>, starts: &Tensor<2>) -> Option<Tensor<2>> {
        let [hidden_layer, output] = self.answerability.as_ref()?;
        let [batch, seq] = starts.dims();
        let [_, width] = hidden.dims();
        let first = Tensor::<2, Int>::zeros([batch, 1], &hidden.device());
        let first = gather_positions(hidden.clone(), &first, seq);
        let tokens = hidden.clone().reshape([batch, seq, width]);
        let expected = (tokens * starts.clone().exp().reshape([batch, seq, 1])).sum_dim(1).reshape([batch, width]);
        Some(output.forward(hidden_layer.forward_gelu(Tensor::cat(vec![first, expected], 1))))
    }
}

/// 0 where `allowed` is 1, [`FORBIDDEN`] where it is 0.
fn forbidding(allowed: &Tensor<2>) -> Tensor<2> {
    (allowed.clone() - 1.0).mul_scalar(-FORBIDDEN)
}
