//! Dense layers on the CPU: one product, then one pass that adds the bias and, with GELU, applies it.
//!
//! GELU's derivative falls out of the same exponential as its value, so the forward pass keeps the derivative in place
//! of z: backward is one multiplication, done in the pass that sums the bias's gradient.

use burn_flex::FlexTensor;

use super::{
    Operand, ROW_BLOCK, add_rows,
    buffer::Buffer,
    fused,
    math::{normal, vectorised},
    product::{Matrix, product},
    row_blocks, values,
};

/// `x W^T + b`.
pub(crate) fn linear(x: Operand, weight: Operand, bias: Operand) -> Operand {
    let forward = |[x, weight, bias]: [FlexTensor; 3], _| {
        let [rows, inputs, outputs] = sizes(&x, &weight);
        let mut y = times_transposed(&x, &weight);
        let blocks = y.chunks_mut(block_length(outputs)).collect();
        row_blocks(blocks, |_, block| add_bias(block, values(&bias)));
        let _ = inputs;
        (y.into_tensor([rows, outputs]), (x, weight), ())
    };
    fused([x, weight, bias], forward, |(x, weight), gradient, wanted| {
        let [_, _, outputs] = sizes(&x, &weight);
        let bias = wanted[2].then(|| column_sums(values(&gradient), outputs));
        let [x, weight] = operand_gradients(x, weight, &gradient, wanted);
        [x, weight, bias]
    })
    .0
}

/// `gelu(x W^T + b)`.
pub(crate) fn gelu_linear(x: Operand, weight: Operand, bias: Operand) -> Operand {
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

/// Rows, inputs and outputs of a layer.
fn sizes(x: &FlexTensor, weight: &FlexTensor) -> [usize; 3] {
    let (x, weight) = (x.layout().shape(), weight.layout().shape());
    [x[0], x[1], weight[0]]
}

fn block_length(columns: usize) -> usize {
    (ROW_BLOCK * columns).max(1)
}

fn times_transposed(x: &FlexTensor, weight: &FlexTensor) -> Buffer {
    let [rows, inputs, outputs] = sizes(x, weight);
    let mut y = Buffer::new(rows * outputs);
    product(&mut y, Matrix::new(values(x), rows, inputs), Matrix::new(values(weight), outputs, inputs).transposed());
    y
}

/// `dX = dZ W` and `dW = dZ^T X`, the latter in the weight's own layout.
fn operand_gradients(
    x: FlexTensor,
    weight: FlexTensor,
    gradient: &FlexTensor,
    wanted: [bool; 3],
) -> [Option<FlexTensor>; 2] {
    let [rows, inputs, outputs] = sizes(&x, &weight);
    let gradient = Matrix::new(values(gradient), rows, outputs);
    let of_x = wanted[0].then(|| {
        let mut result = Buffer::new(rows * inputs);
        product(&mut result, gradient, Matrix::new(values(&weight), outputs, inputs));
        result.into_tensor([rows, inputs])
    });
    let of_weight = wanted[1].then(|| {
        let mut result = Buffer::new(outputs * inputs);
        product(&mut result, gradient.transposed(), Matrix::new(values(&x), rows, inputs));
        result.into_tensor([outputs, inputs])
    });
    [of_x, of_weight]
}

/// Sums of a matrix's columns, by blocks of rows.
pub(crate) fn column_sums(matrix: &[f32], columns: usize) -> FlexTensor {
    let rows = matrix.len() / columns.max(1);
    let mut sums = Buffer::new(rows.div_ceil(ROW_BLOCK) * columns);
    let parts = sums.chunks_mut(columns.max(1)).zip(matrix.chunks(block_length(columns))).collect();
    row_blocks(parts, |_, (sums, block): (&mut [f32], &[f32])| {
        sums.fill(0.0);
        add_rows(sums, block);
    });
    total(&sums, columns)
}

/// Sum of the blocks' sums, in their order.
pub(crate) fn total(sums: &[f32], columns: usize) -> FlexTensor {
    let mut result = Buffer::new(columns);
    result.fill(0.0);
    add_rows(&mut result, sums);
    result.into_tensor([columns])
}

vectorised! {
    fn add_bias(rows: &mut [f32], bias: &[f32]) {
        for row in rows.chunks_exact_mut(bias.len()) {
            for (value, bias) in row.iter_mut().zip(bias) {
                *value += *bias;
            }
        }
    }
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
