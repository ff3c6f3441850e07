//! The generator's masked-language-model loss, with its sample taken on the way.
//!   z = x E^T + b at the masked rows;  loss = sum w (logsumexp z - z[target]) / (W + 1e-6)
//!   sample = argmax(z / T + Gumbel), never a gradient; disallow_correct: z[target] - 1000 before it
//! W counts the *whole* batch, known from the masks beforehand, so that micro-batches add up exactly. One function owns the
//! vocabulary: a kernel need never hold all logits. ELECTRA paper, section 3.1.

pub(in crate::ops) mod cpu;
pub(in crate::ops) mod gpu;
pub(crate) mod reference;
#[cfg(test)]
mod tests;

use burn::tensor::{Int, Tensor};

use crate::ops::linear::linear;
use crate::place::{Place, Placed};
use crate::types::kernel::Kernel;
use crate::types::losses::{COUNT_EPSILON, MlmOutput, Sampling};
use crate::types::{shape::expect, table::Table};

/// Logits over the vocabulary. `hidden`: `[rows, embedding]`; `table`: `[vocab, embedding]`; `bias`: `[vocab]`.
pub fn mlm_logits(hidden: Tensor<2>, table: impl Into<Table>, bias: Tensor<1>) -> Tensor<2> {
    reference::logits_by(linear, &hidden, &table.into(), bias)
}

/// Masked-language-model loss, prediction and sample.
///
/// `hidden`, `table`, `bias` as in `mlm_logits`; `targets`, `weights`: `[rows]`, weight 0 for an unused masked position;
/// `total_weight`: the sum of the weights over the whole batch.
///
/// # Panics
/// If the shapes do not fit.
pub fn mlm_loss(
    hidden: Tensor<2>,
    table: impl Into<Table>,
    bias: Tensor<1>,
    targets: Tensor<1, Int>,
    weights: Tensor<1>,
    total_weight: f64,
    sampling: Option<&Sampling<'_>>,
) -> MlmOutput {
    let table = table.into();
    let [rows, _] = hidden.dims();
    expect("mlm_loss: targets [rows]", targets.dims(), [rows]);
    expect("mlm_loss: weights [rows]", weights.dims(), [rows]);
    expect("mlm_loss: hidden [rows, embedding]", hidden.dims(), [rows, table.width()]);
    expect("mlm_loss: bias [vocab]", bias.dims(), [table.rows()]);
    let mut operands: Vec<&dyn Placed> = vec![&hidden, &bias, &weights];
    operands.extend(table.pieces().iter().map(|piece| piece as &dyn Placed));
    match (Place::of(Kernel::ElectraLoss, &operands), table.pieces()) {
        (Place::Cpu, [whole]) if rows > 0 => {
            on_cpu(hidden, whole.clone(), bias, targets, weights, total_weight, sampling)
        }
        (Place::Gpu, _) if rows > 0 => on_gpu(hidden, &table, bias, &targets, &weights, total_weight, sampling),
        _ => reference::mlm_loss(hidden, table, bias, targets, weights, total_weight, sampling),
    }
}

fn on_gpu(
    hidden: Tensor<2>,
    table: &Table,
    bias: Tensor<1>,
    targets: &Tensor<1, Int>,
    weights: &Tensor<1>,
    total_weight: f64,
    sampling: Option<&Sampling<'_>>,
) -> MlmOutput {
    let ([rows, _], is_autodiff) = (hidden.dims(), hidden.is_autodiff());
    let draw = sampling.map(|sampling| {
        assert!(rows.is_multiple_of(sampling.examples.len()), "rows do not divide among the examples");
        gpu::Draw {
            key: sampling.key.words(),
            inverse_temperature: (1.0 / sampling.temperature) as f32,
            penalty: if sampling.disallow_correct { -1000.0 } else { 0.0 },
            examples: sampling.examples.to_vec(),
        }
    });
    let (first, rest) = table.pieces().split_first().expect("a table has at least one piece");
    let operands = [crate::gpu::operand(hidden), crate::gpu::operand(first.clone()), crate::gpu::operand(bias)];
    let (targets, weights) = (crate::gpu::ids(targets), crate::gpu::constant(weights));
    let denominator = total_weight + COUNT_EPSILON;
    let (loss, found) = gpu::loss(operands, rest, &targets, &weights, denominator, draw.as_ref());
    let ids = crate::gpu::id_tensor::<2>(found.ids);
    let column = |row: usize| {
        let ids = ids.clone().slice([row..row + 1, 0..rows]).reshape([rows]);
        if is_autodiff { Tensor::from_inner(ids) } else { ids }
    };
    let losses = crate::gpu::tensor(found.losses);
    MlmOutput {
        loss: loss.into_tensor(),
        negative_log_likelihood: if is_autodiff { Tensor::from_inner(losses) } else { losses },
        predicted_ids: column(0),
        sampled_ids: sampling.map(|_| column(1)),
    }
}

fn on_cpu(
    hidden: Tensor<2>,
    table: Tensor<2>,
    bias: Tensor<1>,
    targets: Tensor<1, Int>,
    weights: Tensor<1>,
    total_weight: f64,
    sampling: Option<&Sampling<'_>>,
) -> MlmOutput {
    let ([rows, _], device) = (hidden.dims(), hidden.device());
    let targets = crate::cpu::ids("mlm_loss: targets", targets, table.dims()[0]);
    let weights = crate::cpu::values(&crate::cpu::constant(&weights)).to_vec();
    let draw = sampling.map(|sampling| cpu::Draw {
        temperature: sampling.temperature,
        disallow_correct: sampling.disallow_correct,
        keys: sampling.row_keys(rows),
    });
    let operands = [crate::cpu::operand(hidden), crate::cpu::operand(table), crate::cpu::operand(bias)];
    let (loss, rows) = cpu::loss(operands, targets, weights, total_weight + COUNT_EPSILON, draw.as_ref());
    MlmOutput {
        loss: loss.into_tensor(),
        negative_log_likelihood: Tensor::from_data(rows.losses.as_slice(), &device),
        predicted_ids: Tensor::from_data(rows.predicted.as_slice(), &device),
        sampled_ids: sampling.map(|_| Tensor::from_data(rows.sampled.as_slice(), &device)),
    }
}
