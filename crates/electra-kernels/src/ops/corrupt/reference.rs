//! Corrupting in Burn primitives.

use burn::tensor::{IndexingUpdateOp, Int, Tensor};

use crate::ops::gather::reference::flat_positions;

/// The operation in primitives.
pub(crate) fn corrupt(
    original_ids: &Tensor<2, Int>,
    positions: &Tensor<2, Int>,
    weights: &Tensor<2>,
    sampled_ids: &Tensor<2, Int>,
) -> (Tensor<2, Int>, Tensor<2>) {
    let ([rows, seq], [_, masked_per_row]) = (original_ids.dims(), sampled_ids.dims());
    let masked = rows * masked_per_row;
    let device = original_ids.device();
    let positions = flat_positions(positions, seq);
    let used = weights.clone().greater_elem(0.0).int().reshape([masked]);
    let scatter = |values: Tensor<1, Int>| {
        Tensor::<1, Int>::zeros([rows * seq], &device).select_assign(
            0,
            positions.clone(),
            values,
            IndexingUpdateOp::Add,
        )
    };
    let count = scatter(used.clone());
    let sum = scatter(sampled_ids.clone().reshape([masked]) * used);
    let original = original_ids.clone().reshape([rows * seq]);
    let chosen = count.clone().greater_elem(0);
    let corrupted = original.clone().mask_where(chosen, sum / count.clamp_min(1));
    let is_replaced = corrupted.clone().not_equal(original).float();
    (corrupted.reshape([rows, seq]), is_replaced.reshape([rows, seq]))
}
