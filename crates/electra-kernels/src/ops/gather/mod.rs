//! Hidden states at chosen positions: the generator predicts masked positions alone.

mod gpu;
pub(crate) mod reference;
#[cfg(test)]
mod tests;

use burn::tensor::{Int, Tensor};

use crate::place::Place;
use crate::types::{kernel::Kernel, shape::expect};

/// Rows of `hidden` (`[batch * seq, width]`) at `positions` (`[batch, masked]`, each below `seq`): `[batch * masked, width]`.
///
/// # Panics
/// If the shapes do not fit.
pub fn gather_positions(hidden: Tensor<2>, positions: &Tensor<2, Int>, seq: usize) -> Tensor<2> {
    let ([batch, masked], [_, width]) = (positions.dims(), hidden.dims());
    expect("gather_positions: hidden [batch * seq, width]", hidden.dims(), [batch * seq, width]);
    match Place::of(Kernel::Embedding, &[&hidden]) {
        Place::Gpu if batch * masked > 0 => {
            gpu::gather_positions(crate::gpu::operand(hidden), crate::gpu::ids(positions), seq).into_tensor()
        }
        _ => reference::gather_positions(hidden, positions, seq),
    }
}
