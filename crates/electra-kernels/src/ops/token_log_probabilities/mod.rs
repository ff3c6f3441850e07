//! Log-probabilities of given tokens, with a gradient: what a loss is made of that is no mean of them.
//!   z = x E^T + b;  result = z[target] - logsumexp z
//! Rows are all tokens rather than the masked ones, and logits of all of them over a whole vocabulary are gigabytes: the fused
//! bodies have those of a chunk of rows at a time, and make them again in the backward pass.

mod cpu;
mod gpu;
pub(crate) mod reference;
#[cfg(test)]
mod tests;

use burn::tensor::{Int, Tensor};

use crate::place::{Place, Placed};
use crate::types::kernel::Kernel;
use crate::types::{shape::expect, table::Table};

/// Logarithms of the probabilities of `targets`, `[rows]`, differentiable.
///
/// `hidden`: `[rows, embedding]`; `table`: `[vocab, embedding]`; `bias`: `[vocab]`; `targets`: `[rows]`, each below `vocab`.
///
/// # Panics
/// If the shapes do not fit.
pub fn token_log_probabilities(
    hidden: Tensor<2>,
    table: impl Into<Table>,
    bias: Tensor<1>,
    targets: Tensor<1, Int>,
) -> Tensor<1> {
    let table = table.into();
    let [rows, _] = hidden.dims();
    expect("token_log_probabilities: targets [rows]", targets.dims(), [rows]);
    expect("token_log_probabilities: hidden [rows, embedding]", hidden.dims(), [rows, table.width()]);
    expect("token_log_probabilities: bias [vocab]", bias.dims(), [table.rows()]);
    let mut operands: Vec<&dyn Placed> = vec![&hidden, &bias];
    operands.extend(table.pieces().iter().map(|piece| piece as &dyn Placed));
    match (Place::of(Kernel::ElectraLoss, &operands), table.pieces()) {
        (Place::Cpu, [whole]) if rows > 0 => {
            let targets = crate::cpu::ids("token_log_probabilities: targets", targets, table.rows());
            let operands = [crate::cpu::operand(hidden), crate::cpu::operand(whole.clone()), crate::cpu::operand(bias)];
            cpu::losses(operands, targets).into_tensor::<1>().neg()
        }
        (Place::Gpu, _) if rows > 0 => gpu::losses(&hidden, &table, &bias, &targets).into_tensor::<1>().neg(),
        _ => reference::token_log_probabilities(hidden, table, bias, targets),
    }
}
