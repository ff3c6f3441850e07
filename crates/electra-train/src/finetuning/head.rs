//! The head that a task wants, on the encoder of a network.

use burn::tensor::{Device, Int, Tensor, TensorData};
use electra_kernels::read::{self, Reads};
use electra_model::encoder::EncoderNoise;
use electra_model::head::{
    self, HeadStyle, JointSpan, QuestionAnswering, SequenceClassifier, TokenClassifier, weighted_cross_entropy,
};
use electra_model::{ElectraConfig, EncoderInput, ParameterSpec, Parameters};
use electra_task::Kind;
use electra_task::batch::{Targets, TaskBatch};

/// How much the loss of answerability counts (the reference's).
const ANSWERABILITY_WEIGHT: f64 = 0.5;

/// What is put on an encoder for a kind of task.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskHead {
    /// What is to be said.
    pub kind: Kind,
    /// Whose head.
    pub style: HeadStyle,
    /// Dropout of the head itself.
    pub dropout: f64,
}

/// A pass of training through a network.
#[derive(Clone, Copy)]
pub(crate) struct Pass<'a> {
    pub(crate) config: &'a ElectraConfig,
    pub(crate) parameters: &'a Parameters,
    pub(crate) noise: Option<EncoderNoise<'a>>,
    pub(crate) recompute: bool,
    pub(crate) device: &'a Device,
}

/// A head whose weights are bound.
#[expect(clippy::large_enum_variant, reason = "there is one at a time, for as long as a pass takes")]
enum Bound {
    Sequence(SequenceClassifier),
    Tokens(TokenClassifier),
    Span(QuestionAnswering),
    Joint(JointSpan),
}

impl TaskHead {
    /// Logits a text or a token.
    pub fn outputs(&self) -> usize {
        match &self.kind {
            Kind::Regression { .. } => 1,
            Kind::QuestionAnswering { .. } => 2,
            kind => kind.labels().len(),
        }
    }

    /// Name, shape and first value of every parameter, the encoder's included.
    pub fn specs(&self, config: &ElectraConfig) -> Vec<ParameterSpec> {
        match (&self.kind, self.style) {
            (Kind::Tagging { .. }, _) => TokenClassifier::specs(config, self.outputs(), ""),
            (Kind::QuestionAnswering { .. }, HeadStyle::Hf) => QuestionAnswering::specs(config, ""),
            (Kind::QuestionAnswering { unanswerable }, HeadStyle::Paper) => JointSpan::specs(config, *unanswerable, ""),
            (_, style) => SequenceClassifier::specs(config, self.outputs(), style, ""),
        }
    }

    fn bind(&self, config: &ElectraConfig, parameters: &Parameters, recompute: bool) -> Bound {
        let mut bound = match (&self.kind, self.style) {
            (Kind::Tagging { .. }, _) => Bound::Tokens(TokenClassifier::bind(config, self.dropout, parameters, "")),
            (Kind::QuestionAnswering { .. }, HeadStyle::Hf) => {
                Bound::Span(QuestionAnswering::bind(config, parameters, ""))
            }
            (Kind::QuestionAnswering { unanswerable }, HeadStyle::Paper) => {
                Bound::Joint(JointSpan::bind(config, *unanswerable, parameters, ""))
            }
            (_, style) => Bound::Sequence(SequenceClassifier::bind(config, self.dropout, style, parameters, "")),
        };
        let encoder = match &mut bound {
            Bound::Sequence(head) => &mut head.encoder,
            Bound::Tokens(head) => &mut head.encoder,
            Bound::Span(head) => &mut head.encoder,
            Bound::Joint(head) => &mut head.encoder,
        };
        encoder.recompute = recompute;
        bound
    }

    /// The loss of `batch`, a sum divided by `total`, `[1]`: that of a batch's parts adds up to the batch's.
    pub(crate) fn loss(&self, batch: &TaskBatch, total: f64, pass: &Pass<'_>) -> Tensor<1> {
        let Pass { config, parameters, noise, recompute, device } = *pass;
        let input = input_of(batch, device);
        let weights = |weights: &[f32]| -> Vec<f32> {
            weights.iter().map(|weight| (f64::from(*weight) / total.max(1e-9)) as f32).collect()
        };
        match (self.bind(config, parameters, recompute), &batch.targets) {
            (Bound::Sequence(head), Targets::Classes { labels, weights: of_rows }) => {
                let logits = head.forward(&input, noise);
                weighted_cross_entropy(logits, ints(labels, device), floats(weights(of_rows), device))
            }
            (Bound::Sequence(head), Targets::Values { values, weights: of_rows }) => {
                let (values, weights) = (floats(values.clone(), device), floats(weights(of_rows), device));
                head::weighted_squared_error(head.forward(&input, noise), values, weights)
            }
            (Bound::Sequence(head), Targets::ManyLabels { right, weights: of_cells, count }) => {
                let cells = |values: Vec<f32>| floats(values, device).reshape([batch.rows, *count]);
                let (right, weights) = (cells(right.clone()), cells(weights(of_cells)));
                head::weighted_binary_cross_entropy(head.forward(&input, noise), right, weights)
            }
            (Bound::Tokens(head), Targets::Tags { labels, weights: of_tokens }) => {
                let logits = head.forward(&input, noise);
                weighted_cross_entropy(logits, ints(labels, device), floats(weights(of_tokens), device))
            }
            (Bound::Span(head), Targets::Spans { starts, ends, weights: of_rows, .. }) => {
                let (start_logits, end_logits) = head.forward(&input, noise);
                let weights = floats(weights(of_rows), device);
                let start = weighted_cross_entropy(start_logits, ints(starts, device), weights.clone());
                (start + weighted_cross_entropy(end_logits, ints(ends, device), weights)).div_scalar(2.0)
            }
            (Bound::Joint(head), Targets::Spans { starts, ends, is_impossible, weights: of_rows, allowed }) => {
                let weights = floats(weights(of_rows), device);
                let allowed = floats(allowed.clone(), device).reshape([batch.rows, batch.seq]);
                let hidden = head.encode(&input, noise);
                let column = |positions: &[i32]| ints(positions, device).reshape([batch.rows, 1]);
                let start_log_probs = head.starts(&hidden, &allowed);
                let end_log_probs = head.ends(&hidden, &allowed, &column(starts));
                let nll = |log_probs: Tensor<2>, positions: &[i32]| {
                    let of_rows = log_probs.gather(1, column(positions)).reshape([batch.rows]).neg();
                    (of_rows * weights.clone()).sum()
                };
                let spans = nll(start_log_probs.clone(), starts) + nll(end_log_probs, ends);
                let spans = spans.div_scalar(2.0);
                let Some(logits) = head.unanswerable(&hidden, &start_log_probs) else { return spans };
                let is_impossible = floats(is_impossible.clone(), device).reshape([batch.rows, 1]);
                let weights = weights.reshape([batch.rows, 1]);
                let none = head::weighted_binary_cross_entropy(logits, is_impossible, weights);
                spans + none.mul_scalar(ANSWERABILITY_WEIGHT)
            }
            (_, targets) => panic!("{targets:?} are no targets of {:?}", self.kind),
        }
    }

    /// What the network says of a batch, on the device. No dropout.
    pub(crate) fn forward(
        &self,
        config: &ElectraConfig,
        parameters: &Parameters,
        batch: &TaskBatch,
        device: &Device,
    ) -> Said {
        let input = input_of(batch, device);
        match self.bind(config, parameters, false) {
            Bound::Sequence(head) => Said::Logits(head.forward(&input, None)),
            Bound::Tokens(head) => Said::Logits(head.forward(&input, None)),
            Bound::Span(head) => {
                let (starts, ends) = head.forward(&input, None);
                Said::Spans(starts, ends)
            }
            Bound::Joint(head) => {
                let Targets::Spans { allowed, .. } = &batch.targets else { panic!("questions have spans for targets") };
                let allowed = floats(allowed.clone(), device).reshape([batch.rows, batch.seq]);
                let hidden = head.encode(&input, None);
                let starts = head.starts(&hidden, &allowed);
                let no_answer = head.unanswerable(&hidden, &starts);
                Said::Joint(Box::new(JointStarts { head, hidden, allowed, starts, no_answer }))
            }
        }
    }
}

/// What a head said of a batch, on the device.
#[expect(clippy::large_enum_variant, reason = "there is one at a time, for as long as a pass takes")]
pub(crate) enum Said {
    /// `[rows, labels]`, or of tokens `[rows * seq, labels]`.
    Logits(Tensor<2>),
    /// Start and end, `[rows, seq]` each.
    Spans(Tensor<2>, Tensor<2>),
    /// Starts, to which ends are yet to be found.
    Joint(Box<JointStarts>),
}

/// What the joint head has said when it is to be told which starts to look at.
pub(crate) struct JointStarts {
    head: JointSpan,
    hidden: Tensor<2>,
    allowed: Tensor<2>,
    /// Log-probabilities, `[rows, seq]`.
    pub(crate) starts: Tensor<2>,
    /// `[rows, 1]`
    pub(crate) no_answer: Option<Tensor<2>>,
}

impl JointStarts {
    /// Log-probabilities of ends for each of `starts`, `[rows, beam]` row by row: `[rows * beam, seq]`.
    pub(crate) fn ends(&self, starts: &[i32], beam: usize) -> Tensor<2> {
        let [rows, _] = self.allowed.dims();
        let starts = ints(starts, &self.allowed.device()).reshape([rows, beam]);
        self.head.ends_of_beam(&self.hidden, &self.allowed, &starts)
    }
}

/// Asks for the values of a tensor and reads them, in one.
pub(crate) async fn fetch(tensors: &[&Tensor<2>]) -> Result<Vec<Vec<f32>>, electra_kernels::DeviceFailure> {
    let mut reads = Reads::default();
    let asked: Vec<usize> = tensors.iter().map(|tensor| reads.floats(tensor)).collect();
    let found = reads.fetch().await?;
    Ok(asked.into_iter().map(|at| read::floats_of(&found[at])).collect())
}

pub(crate) fn input_of(batch: &TaskBatch, device: &Device) -> EncoderInput {
    let ids =
        |values: &[i32]| Tensor::<2, Int>::from_data(TensorData::new(values.to_vec(), [batch.rows, batch.seq]), device);
    let mask: Vec<f32> = batch.attention_mask.iter().map(|mask| f32::from(*mask)).collect();
    EncoderInput {
        ids: ids(&batch.ids),
        token_type_ids: ids(&batch.token_type_ids),
        attention_mask: Tensor::from_data(TensorData::new(mask, [batch.rows, batch.seq]), device),
    }
}

fn ints(values: &[i32], device: &Device) -> Tensor<1, Int> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), device)
}

fn floats(values: Vec<f32>, device: &Device) -> Tensor<1> {
    let len = values.len();
    Tensor::from_data(TensorData::new(values, [len]), device)
}
