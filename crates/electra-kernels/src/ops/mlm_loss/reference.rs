//! The MLM loss in Burn primitives.

use burn::tensor::{Int, Tensor, TensorData, activation};

use crate::noise::gumbel;
use crate::ops::linear::reference::linear;
use crate::parallel::parallel_rows;
use crate::types::losses::{COUNT_EPSILON, MlmOutput, Sampling};
use crate::types::table::Table;

/// Logits by `linear`, piece by piece of the table.
pub(crate) fn logits_by(
    linear: impl Fn(Tensor<2>, Tensor<2>, Tensor<1>) -> Tensor<2>,
    hidden: &Tensor<2>,
    table: &Table,
    bias: Tensor<1>,
) -> Tensor<2> {
    if let [whole] = table.pieces() {
        return linear(hidden.clone(), whole.clone(), bias);
    }
    let of_piece = |(first, piece): (usize, &Tensor<2>)| {
        let bias = bias.clone().slice(first..first + piece.dims()[0]);
        linear(hidden.clone(), piece.clone(), bias)
    };
    Tensor::cat(table.numbered().map(of_piece).collect(), 1)
}

/// `mlm_loss` in primitives.
pub(crate) fn mlm_loss(
    hidden: Tensor<2>,
    table: impl Into<Table>,
    bias: Tensor<1>,
    targets: Tensor<1, Int>,
    weights: Tensor<1>,
    total_weight: f64,
    sampling: Option<&Sampling<'_>>,
) -> MlmOutput {
    let [rows, _] = hidden.dims();
    let logits = logits_by(linear, &hidden, &table.into(), bias);
    let targets = targets.reshape([rows, 1]);

    let without_gradient = logits.clone().detach();
    let predicted_ids = without_gradient.clone().argmax(1).reshape([rows]);
    let sampled_ids = sampling.map(|sampling| sample(without_gradient, &targets, sampling));

    let negative_log_likelihood = activation::log_softmax(logits, 1).gather(1, targets).reshape([rows]).neg();
    let loss = (negative_log_likelihood.clone() * weights).sum().div_scalar(total_weight + COUNT_EPSILON);
    MlmOutput { loss, negative_log_likelihood: negative_log_likelihood.detach(), predicted_ids, sampled_ids }
}

fn sample(logits: Tensor<2>, targets: &Tensor<2, Int>, sampling: &Sampling<'_>) -> Tensor<1, Int> {
    let [rows, vocab] = logits.dims();
    let device = logits.device();
    let logits = if sampling.disallow_correct {
        let penalty = Tensor::full([rows, 1], -1000.0, &device);
        logits.scatter(1, targets.clone(), penalty, burn::tensor::IndexingUpdateOp::Add)
    } else {
        logits
    };
    let keys = sampling.row_keys(rows);
    let mut noise = vec![0.0; rows * vocab];
    parallel_rows(&mut noise, vocab, |row, values| {
        let key = keys[row];
        for (id, value) in values.iter_mut().enumerate() {
            *value = gumbel(key.bits(id as u32));
        }
    });
    let noise = Tensor::from_data(TensorData::new(noise, [rows, vocab]), &device);
    (logits.div_scalar(sampling.temperature) + noise).argmax(1).reshape([rows])
}
