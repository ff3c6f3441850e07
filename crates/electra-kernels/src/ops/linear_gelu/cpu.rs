//! Dense layers with GELU on the CPU: one product, then one pass that adds the bias and applies GELU.
//!
//! GELU's derivative falls out of the same exponential as its value, so the forward pass keeps the derivative in place
//! of z: backward is one multiplication, done in the pass that sums the bias's gradient.

use burn_flex::FlexTensor;

use crate::autodiff::fused;
use crate::cpu::{
    Operand, ROW_BLOCK, block_length,
    buffer::Buffer,
    math::{normal, vectorised},
    row_blocks, total, values,
};
use crate::ops::linear::cpu::{operand_gradients, sizes, times_transposed};

/// `gelu(x W^T + b)`.
pub(crate) fn linear_gelu(x: Operand, weight: Operand, bias: Operand) -> Operand {
    let forward = |[x, weight, bias]: [FlexTensor; 3], tracked: bool| {
        let [rows, _, outputs] = sizes(&x, &weight);
        let mut y = times_transposed(&x, &weight);
        let mut slope = Buffer::new(if tracked { y.len() } else { 0 });
        let length = block_length(outputs);
        if tracked {
            let blocks = y.chunks_mut(length).zip(slope.chunks_mut(length)).collect();
            row_blocks(blocks, |_, (y, slope)| gelu_with_slope(y, slope, values(&bias)));
        } else {
            row_blocks(y.chunks_mut(length).collect(), |_, y| gelu(y, values(&bias)));
        }
        let slope = if tracked { slope.into_tensor([rows, outputs]) } else { slope.into_tensor([0]) };
        (y.into_tensor([rows, outputs]), (x, weight, slope), ())
    };
    fused([x, weight, bias], forward, |(x, weight, mut slope), gradient, wanted| {
        let [rows, _, outputs] = sizes(&x, &weight);
        // slope becomes the gradient of z.
        let blocks = rows.div_ceil(ROW_BLOCK);
        let mut sums = Buffer::new(blocks * outputs);
        let length = block_length(outputs);
        let slopes = slope.storage_mut::<f32>().chunks_mut(length);
        let parts = slopes.zip(values(&gradient).chunks(length)).zip(sums.chunks_mut(outputs)).collect();
        row_blocks(parts, |_, ((slope, gradient), sums)| multiply_and_sum(slope, gradient, sums));
        drop(gradient);
        let bias = wanted[2].then(|| total(&sums, outputs));
        let [x, weight] = operand_gradients(x, weight, &slope, wanted);
        [x, weight, bias]
    })
    .0
}

vectorised! {
    fn gelu(rows: &mut [f32], bias: &[f32]) {
        for row in rows.chunks_exact_mut(bias.len()) {
            for (value, bias) in row.iter_mut().zip(bias) {
                let z = *value + *bias;
                *value = z * normal(z).0;
            }
        }
    }
}

vectorised! {
    fn gelu_with_slope(rows: &mut [f32], slopes: &mut [f32], bias: &[f32]) {
        for (row, slopes) in rows.chunks_exact_mut(bias.len()).zip(slopes.chunks_exact_mut(bias.len())) {
            for ((value, slope), bias) in row.iter_mut().zip(slopes).zip(bias) {
                let z = *value + *bias;
                let (cumulative, density) = normal(z);
                *value = z * cumulative;
                *slope = cumulative + z * density;
            }
        }
    }
}

vectorised! {
    /// `slopes *= gradients`, and `sums` = the sums of its columns.
    fn multiply_and_sum(slopes: &mut [f32], gradients: &[f32], sums: &mut [f32]) {
        sums.fill(0.0);
        for (slopes, gradients) in slopes.chunks_exact_mut(sums.len()).zip(gradients.chunks_exact(sums.len())) {
            for ((slope, gradient), sum) in slopes.iter_mut().zip(gradients).zip(sums.iter_mut()) {
                *slope *= *gradient;
                *sum += *slope;
            }
        }
    }
}
