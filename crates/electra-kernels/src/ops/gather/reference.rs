//! Gathering in Burn primitives.

use burn::tensor::{Int, Tensor};

/// The operation in primitives.
pub(crate) fn gather_positions(hidden: Tensor<2>, positions: &Tensor<2, Int>, seq: usize) -> Tensor<2> {
    hidden.select(0, flat_positions(positions, seq))
}

/// Positions within rows as positions in the flattened batch: `[batch, masked]` to `[batch * masked]`.
pub(crate) fn flat_positions(positions: &Tensor<2, Int>, seq: usize) -> Tensor<1, Int> {
    let [batch, masked] = positions.dims();
    let starts = Tensor::<1, Int>::arange(0..batch as i64, &positions.device()).mul_scalar(seq as i64);
    (positions.clone() + starts.reshape([batch, 1])).reshape([batch * masked])
}
