//! Putting the generator's samples in the originals' places.

mod gpu;
pub(crate) mod reference;
#[cfg(test)]
mod tests;

use burn::tensor::{Int, Tensor};

use crate::place::Place;
use crate::types::{kernel::Kernel, shape::expect};

/// Corrupted ids, and 1 where a token now differs from the original: `[batch, seq]` both.
///
/// `original_ids`: `[batch, seq]`; `positions`, `weights`, `sampled_ids`: `[batch, masked]`, weight 0 for an unused masked position,
/// which changes nothing. A sample equal to the original counts as original. Where two masked positions chose one position
/// (`paper_exact` only), the ids are averaged, as in the reference's `scatter_update`.
///
/// # Panics
/// If the shapes do not fit.
pub fn corrupt(
    original_ids: &Tensor<2, Int>,
    positions: &Tensor<2, Int>,
    weights: &Tensor<2>,
    sampled_ids: &Tensor<2, Int>,
) -> (Tensor<2, Int>, Tensor<2>) {
    expect("corrupt: weights [batch, masked]", weights.dims(), positions.dims());
    expect("corrupt: sampled_ids [batch, masked]", sampled_ids.dims(), positions.dims());
    match Place::of(Kernel::Embedding, &[weights]) {
        Place::Gpu if positions.dims()[0] > 0 => {
            let [original_ids, positions, sampled_ids] = [original_ids, positions, sampled_ids].map(crate::gpu::ids);
            let (ids, is_replaced) =
                gpu::corrupt(&original_ids, &positions, &crate::gpu::constant(weights), &sampled_ids);
            let (ids, is_replaced) = (crate::gpu::id_tensor::<2>(ids), crate::gpu::tensor::<2>(is_replaced));
            if weights.is_autodiff() {
                (Tensor::from_inner(ids), Tensor::from_inner(is_replaced))
            } else {
                (ids, is_replaced)
            }
        }
        _ => reference::corrupt(original_ids, positions, weights, sampled_ids),
    }
}
