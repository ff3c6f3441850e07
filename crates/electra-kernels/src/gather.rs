//! Hidden states at chosen positions: the generator predicts masked positions alone.

use burn::tensor::{Int, Tensor};

use crate::{
    gpu::{self, Kernel},
    shape::expect,
};

/// Rows of `hidden` (`[batch * seq, width]`) at `positions` (`[batch, slots]`, each below `seq`): `[batch * slots, width]`.
///
/// # Panics
/// If the shapes do not fit.
pub fn gather_positions(hidden: Tensor<2>, positions: &Tensor<2, Int>, seq: usize) -> Tensor<2> {
    let ([batch, slots], [_, width]) = (positions.dims(), hidden.dims());
    expect("gather_positions: hidden [batch * seq, width]", hidden.dims(), [batch * seq, width]);
    if gpu::runs(Kernel::Embedding, &hidden, [gpu::is_gpu(&hidden)]) && batch * slots > 0 {
        return gpu::gather::gather_positions(gpu::operand(hidden), gpu::ids(positions), seq).into_tensor();
    }
    reference(hidden, positions, seq)
}

/// The function above in primitives.
#[doc(hidden)]
pub fn reference(hidden: Tensor<2>, positions: &Tensor<2, Int>, seq: usize) -> Tensor<2> {
    hidden.select(0, flat_positions(positions, seq))
}

/// Positions within rows as positions in the flattened batch: `[batch, slots]` to `[batch * slots]`.
pub(crate) fn flat_positions(positions: &Tensor<2, Int>, seq: usize) -> Tensor<1, Int> {
    let [batch, slots] = positions.dims();
    let starts = Tensor::<1, Int>::arange(0..batch as i64, &positions.device()).mul_scalar(seq as i64);
    (positions.clone() + starts.reshape([batch, 1])).reshape([batch * slots])
}
