//! Layer normalization on the CPU, with the residual connection and its dropout in the same pass.
//!
//! Forward keeps the normalized values and each row's reciprocal standard deviation; backward, with g = dy gamma,
//!   dz = (g - mean g - xhat mean(g xhat)) / deviation
//! is one pass, which also sums the blocks of gamma's and beta's gradients.

use burn_flex::FlexTensor;

use crate::autodiff::fused;
use crate::cpu::{
    Operand, ROW_BLOCK,
    buffer::Buffer,
    mask::{Mask, Rule},
    math::{sum, vectorised},
    row_blocks, total, values,
};
use crate::noise::NoiseKey;

/// The normalized rows of `x`.
pub(crate) fn layer_norm(x: Operand, gamma: Operand, beta: Operand, epsilon: f64) -> Operand {
    let forward = |[x, gamma, beta]: [FlexTensor; 3], tracked: bool| {
        let (y, kept) = normalize(&x, None, None, &gamma, &beta, epsilon, tracked);
        (y, (kept, gamma), ())
    };
    fused([x, gamma, beta], forward, |(kept, gamma), gradient, _| {
        let [x, _, gamma, beta] = differentiate(kept, None, &gamma, &gradient, false);
        [x, gamma, beta]
    })
    .0
}

/// The normalized rows of `x + branch * mask`.
pub(crate) fn add_layer_norm(
    x: Operand,
    branch: Operand,
    mask: Option<Mask>,
    gamma: Operand,
    beta: Operand,
    epsilon: f64,
) -> Operand {
    let forward = |[x, branch, gamma, beta]: [FlexTensor; 4], tracked: bool| {
        let (y, kept) = normalize(&x, Some(&branch), mask.as_ref(), &gamma, &beta, epsilon, tracked);
        (y, (kept, gamma, mask), ())
    };
    fused([x, branch, gamma, beta], forward, |(kept, gamma, mask), gradient, wanted| {
        differentiate(kept, mask.as_ref(), &gamma, &gradient, wanted[1])
    })
    .0
}

/// What the backward pass needs: normalized values `[rows, columns]`, reciprocal deviations `[rows]`.
#[derive(Debug, Clone)]
struct Kept {
    normalized: FlexTensor,
    reciprocals: FlexTensor,
}

/// Where the dropout's counting stands at a row.
#[derive(Clone, Copy)]
struct RowMask {
    rule: Rule,
    key: NoiseKey,
    first: u32,
}

/// `[rows, columns]` elements divide among the examples by whole rows (checked by the caller).
fn row_mask(mask: Option<&Mask>, rows: usize, columns: usize, row: usize) -> Option<RowMask> {
    mask.map(|mask| {
        let rows_per_example = rows / mask.examples();
        let first = (row % rows_per_example) * columns;
        RowMask { rule: mask.rule, key: mask.key(row / rows_per_example), first: first as u32 }
    })
}

fn normalize(
    x: &FlexTensor,
    branch: Option<&FlexTensor>,
    mask: Option<&Mask>,
    gamma: &FlexTensor,
    beta: &FlexTensor,
    epsilon: f64,
    tracked: bool,
) -> (FlexTensor, Kept) {
    let [rows, columns] = [x.layout().shape()[0], x.layout().shape()[1]];
    let (x, branch, gamma, beta) = (values(x), branch.map(values), values(gamma), values(beta));
    let mut y = Buffer::new(rows * columns);
    let mut normalized = Buffer::new(if tracked { rows * columns } else { 0 });
    let mut reciprocals = Buffer::new(rows);
    let length = (ROW_BLOCK * columns).max(1);
    let mut kept: Vec<&mut [f32]> = normalized.chunks_mut(length).collect();
    kept.resize_with(rows.div_ceil(ROW_BLOCK), Default::default);
    let blocks = y.chunks_mut(length).zip(kept).zip(reciprocals.chunks_mut(ROW_BLOCK)).collect();
    row_blocks(blocks, |block, ((y, kept), reciprocals): ((&mut [f32], &mut [f32]), &mut [f32])| {
        for (index, (y, reciprocal)) in y.chunks_exact_mut(columns).zip(reciprocals).enumerate() {
            let row = block * ROW_BLOCK + index;
            let range = row * columns..(row + 1) * columns;
            let branch = branch.map_or(&[][..], |branch| &branch[range.clone()]);
            let mask = row_mask(mask, rows, columns, row);
            let kept = if tracked { &mut kept[index * columns..(index + 1) * columns] } else { &mut [][..] };
            *reciprocal = normalize_row(&x[range], branch, mask, gamma, beta, epsilon as f32, y, kept);
        }
    });
    let normalized = if tracked { normalized.into_tensor([rows, columns]) } else { normalized.into_tensor([0]) };
    (y.into_tensor([rows, columns]), Kept { normalized, reciprocals: reciprocals.into_tensor([rows]) })
}

/// Gradients of x, the branch, gamma and beta. The first takes the normalized values' place.
fn differentiate(
    kept: Kept,
    mask: Option<&Mask>,
    gamma: &FlexTensor,
    gradient: &FlexTensor,
    branch_wanted: bool,
) -> [Option<FlexTensor>; 4] {
    let Kept { mut normalized, reciprocals } = kept;
    let [rows, columns] = [gradient.layout().shape()[0], gradient.layout().shape()[1]];
    let (gamma, gradient, reciprocals) = (values(gamma), values(gradient), values(&reciprocals));
    // Without dropout the branch's gradient is x's.
    let masked = branch_wanted && mask.is_some();
    let mut of_branch = Buffer::new(if masked { rows * columns } else { 0 });
    let blocks = rows.div_ceil(ROW_BLOCK);
    let mut gamma_sums = Buffer::new(blocks * columns);
    let mut beta_sums = Buffer::new(blocks * columns);
    let length = (ROW_BLOCK * columns).max(1);
    let mut branches: Vec<&mut [f32]> = of_branch.chunks_mut(length).collect();
    branches.resize_with(blocks, Default::default);
    let sums = gamma_sums.chunks_mut(columns).zip(beta_sums.chunks_mut(columns));
    let parts = normalized.storage_mut::<f32>().chunks_mut(length).zip(branches).zip(sums).collect();
    row_blocks(parts, |block, ((normalized, branch), (gamma_sums, beta_sums)): ((&mut [f32], &mut [f32]), _)| {
        let (gamma_sums, beta_sums): (&mut [f32], &mut [f32]) = (gamma_sums, beta_sums);
        gamma_sums.fill(0.0);
        beta_sums.fill(0.0);
        for (index, normalized) in normalized.chunks_exact_mut(columns).enumerate() {
            let row = block * ROW_BLOCK + index;
            let gradient = &gradient[row * columns..(row + 1) * columns];
            differentiate_row(normalized, gradient, gamma, reciprocals[row], gamma_sums, beta_sums);
            if masked {
                let branch = &mut branch[index * columns..(index + 1) * columns];
                mask_row(branch, normalized, row_mask(mask, rows, columns, row));
            }
        }
    });
    let of_branch = if masked { of_branch.into_tensor([rows, columns]) } else { normalized.clone() };
    let of_branch = branch_wanted.then_some(of_branch);
    [Some(normalized), of_branch, Some(total(&gamma_sums, columns)), Some(total(&beta_sums, columns))]
}

vectorised! {
    /// Returns the reciprocal standard deviation. `branch` and `kept` may be empty.
    fn normalize_row(
        x: &[f32],
        branch: &[f32],
        mask: Option<RowMask>,
        gamma: &[f32],
        beta: &[f32],
        epsilon: f32,
        y: &mut [f32],
        kept: &mut [f32],
    ) -> f32 {
        let columns = y.len();
        let (x, gamma, beta) = (&x[..columns], &gamma[..columns], &beta[..columns]);
        if branch.is_empty() {
            y.copy_from_slice(x);
        } else {
            let branch = &branch[..columns];
            match mask {
                Some(RowMask { rule, key, first }) => {
                    for index in 0..columns {
                        y[index] = x[index] + branch[index] * rule.factor(key, first.wrapping_add(index as u32));
                    }
                }
                None => {
                    for index in 0..columns {
                        y[index] = x[index] + branch[index];
                    }
                }
            }
        }
        let mean = sum(columns, |index| y[index]) / columns as f32;
        let variance = sum(columns, |index| (y[index] - mean) * (y[index] - mean)) / columns as f32;
        let reciprocal = 1.0 / (variance + epsilon).sqrt();
        if kept.is_empty() {
            for index in 0..columns {
                y[index] = (y[index] - mean) * reciprocal * gamma[index] + beta[index];
            }
        } else {
            let kept = &mut kept[..columns];
            for index in 0..columns {
                kept[index] = (y[index] - mean) * reciprocal;
                y[index] = kept[index] * gamma[index] + beta[index];
            }
        }
        reciprocal
    }
}

vectorised! {
    /// `normalized` becomes the gradient of the row that was normalized.
    fn differentiate_row(
        normalized: &mut [f32],
        gradient: &[f32],
        gamma: &[f32],
        reciprocal: f32,
        gamma_sums: &mut [f32],
        beta_sums: &mut [f32],
    ) {
        let columns = normalized.len();
        let (gradient, gamma) = (&gradient[..columns], &gamma[..columns]);
        let (gamma_sums, beta_sums) = (&mut gamma_sums[..columns], &mut beta_sums[..columns]);
        for index in 0..columns {
            gamma_sums[index] += gradient[index] * normalized[index];
            beta_sums[index] += gradient[index];
        }
        let mean = sum(columns, |index| gradient[index] * gamma[index]) / columns as f32;
        let product = sum(columns, |index| gradient[index] * gamma[index] * normalized[index]) / columns as f32;
        for index in 0..columns {
            normalized[index] = (gradient[index] * gamma[index] - mean - normalized[index] * product) * reciprocal;
        }
    }
}

vectorised! {
    fn mask_row(branch: &mut [f32], gradient: &[f32], mask: Option<RowMask>) {
        if let Some(RowMask { rule, key, first }) = mask {
            for (index, (branch, gradient)) in branch.iter_mut().zip(gradient).enumerate() {
                *branch = *gradient * rule.factor(key, first.wrapping_add(index as u32));
            }
        }
    }
}
