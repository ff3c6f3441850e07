//! Putting the generator's samples in the originals' places.

use burn::tensor::{IndexingUpdateOp, Int, Tensor};

use crate::{
    gather::flat_positions,
    gpu::{self, Kernel},
    shape::expect,
};

/// Corrupted ids, and 1 where a token now differs from the original: `[batch, seq]` both.
///
/// `original_ids`: `[batch, seq]`; `positions`, `weights`, `sampled_ids`: `[batch, slots]`, weight 0 for an unused slot,
/// which changes nothing. A sample equal to the original counts as original. Where two slots chose one position
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
    expect("corrupt: weights [batch, slots]", weights.dims(), positions.dims());
    expect("corrupt: sampled_ids [batch, slots]", sampled_ids.dims(), positions.dims());
    if gpu::runs(Kernel::Embedding, weights, [gpu::is_gpu(weights)]) && positions.dims()[0] > 0 {
        let is_autodiff = weights.is_autodiff();
        let (ids, is_replaced) = gpu::corrupt::corrupt(
            &gpu::ids(original_ids),
            &gpu::ids(positions),
            &gpu::constant(weights),
            &gpu::ids(sampled_ids),
        );
        let (ids, is_replaced) = (gpu::id_tensor::<2>(ids), gpu::tensor::<2>(is_replaced));
        return if is_autodiff {
            (Tensor::from_inner(ids), Tensor::from_inner(is_replaced))
        } else {
            (ids, is_replaced)
        };
    }
    reference(original_ids, positions, weights, sampled_ids)
}

/// The function above in primitives.
#[doc(hidden)]
pub fn reference(
    original_ids: &Tensor<2, Int>,
    positions: &Tensor<2, Int>,
    weights: &Tensor<2>,
    sampled_ids: &Tensor<2, Int>,
) -> (Tensor<2, Int>, Tensor<2>) {
    let ([rows, seq], [_, slots_per_row]) = (original_ids.dims(), sampled_ids.dims());
    let slots = rows * slots_per_row;
    let device = original_ids.device();
    let positions = flat_positions(positions, seq);
    let used = weights.clone().greater_elem(0.0).int().reshape([slots]);
    let scatter = |values: Tensor<1, Int>| {
        Tensor::<1, Int>::zeros([rows * seq], &device).select_assign(
            0,
            positions.clone(),
            values,
            IndexingUpdateOp::Add,
        )
    };
    let count = scatter(used.clone());
    let sum = scatter(sampled_ids.clone().reshape([slots]) * used);
    let original = original_ids.clone().reshape([rows * seq]);
    let chosen = count.clone().greater_elem(0);
    let corrupted = original.clone().mask_where(chosen, sum / count.clamp_min(1));
    let is_replaced = corrupted.clone().not_equal(original).float();
    (corrupted.reshape([rows, seq]), is_replaced.reshape([rows, seq]))
}
