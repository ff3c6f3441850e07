//! Dense layers on the CPU: one product, then one pass that adds the bias.

use burn_flex::FlexTensor;

use crate::autodiff::fused;
use crate::cpu::{
    Operand, block_length,
    buffer::Buffer,
    column_sums,
    math::vectorised,
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

/// Rows, inputs and outputs of a layer.
pub(in crate::ops) fn sizes(x: &FlexTensor, weight: &FlexTensor) -> [usize; 3] {
    let (x, weight) = (x.layout().shape(), weight.layout().shape());
    [x[0], x[1], weight[0]]
}

pub(in crate::ops) fn times_transposed(x: &FlexTensor, weight: &FlexTensor) -> Buffer {
    let [rows, inputs, outputs] = sizes(x, weight);
    let mut y = Buffer::new(rows * outputs);
    product(&mut y, Matrix::new(values(x), rows, inputs), Matrix::new(values(weight), outputs, inputs).transposed());
    y
}

/// `dX = dZ W` and `dW = dZ^T X`, the latter in the weight's own layout.
pub(in crate::ops) fn operand_gradients(
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

vectorised! {
    fn add_bias(rows: &mut [f32], bias: &[f32]) {
        for row in rows.chunks_exact_mut(bias.len()) {
            for (value, bias) in row.iter_mut().zip(bias) {
                *value += *bias;
            }
        }
    }
}
