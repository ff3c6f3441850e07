//! Dense layers, with and without GELU, on graphics adapters.

use burn_wgpu::CubeTensor;

use super::{
    Operand, empty, matrix,
    product::{Epilogue, Mode, product},
};
use crate::graph::fused;

/// `x W^T + b`.
pub(crate) fn linear(x: Operand, weight: Operand, bias: Operand) -> Operand {
    let body = |[x, weight, bias]: [CubeTensor; 3], _| (forward(&x, &weight, &bias), (x, weight), ());
    fused([x, weight, bias], body, |(x, weight), gradient, wanted| gradients(&x, &weight, &gradient, wanted)).0
}

/// `gelu(x W^T + b)`. Keeps the values before GELU; its result is the next operation's to keep.
pub(crate) fn gelu_linear(x: Operand, weight: Operand, bias: Operand) -> Operand {
    let body = |[x, weight, bias]: [CubeTensor; 3], tracked: bool| {
        let z = tracked.then(|| empty(&x, [matrix(&x)[0], matrix(&weight)[0]]));
        (forward_gelu(&x, &weight, &bias, z.as_ref()), (x, weight, z), ())
    };
    fused([x, weight, bias], body, |(x, weight, z), gradient, wanted| {
        let z = z.expect("kept, since a gradient is wanted");
        let gradient = super::gelu::through(&z, &gradient);
        gradients(&x, &weight, &gradient, wanted)
    })
    .0
}

/// `x W^T + b`.
pub(crate) fn forward(x: &CubeTensor, weight: &CubeTensor, bias: &CubeTensor) -> CubeTensor {
    product(Mode::TransposedB, x, weight, Epilogue { bias: Some(bias), ..Epilogue::default() })
}

/// `gelu(x W^T + b)`; the values before GELU go to `keep`.
pub(crate) fn forward_gelu(
    x: &CubeTensor,
    weight: &CubeTensor,
    bias: &CubeTensor,
    keep: Option<&CubeTensor>,
) -> CubeTensor {
    let epilogue = Epilogue { bias: Some(bias), gelu: true, keep, ..Epilogue::default() };
    product(Mode::TransposedB, x, weight, epilogue)
}

/// `dW = dY^T X`, and `db`, the sums of dY's columns, made on the way.
pub(crate) fn parameter_gradients(x: &CubeTensor, gradient: &CubeTensor) -> [CubeTensor; 2] {
    let sums = empty(gradient, [matrix(gradient)[1]]);
    let epilogue = Epilogue { sums: Some(&sums), ..Epilogue::default() };
    [product(Mode::TransposedA, gradient, x, epilogue), sums]
}

/// `dX = dY W` and the parameters' gradients.
fn gradients(x: &CubeTensor, weight: &CubeTensor, gradient: &CubeTensor, wanted: [bool; 3]) -> [Option<CubeTensor>; 3] {
    let of_x = wanted[0].then(|| product(Mode::Plain, gradient, weight, Epilogue::default()));
    let [of_weight, of_bias] = if wanted[1] || wanted[2] {
        let [of_weight, of_bias] = parameter_gradients(x, gradient);
        [wanted[1].then_some(of_weight), wanted[2].then_some(of_bias)]
    } else {
        [None, None]
    };
    [of_x, of_weight, of_bias]
}

#[cfg(all(test, not(target_family = "wasm")))]
mod tests {
    use burn::tensor::Tensor;

    use crate::gpu::testing::{assert_differentiates, assert_matches, operands};

    type Dense = fn(Tensor<2>, Tensor<2>, Tensor<1>) -> Tensor<2>;

    #[test]
    fn dense_layers_match_the_reference() {
        let layers: [(&str, Dense, Dense); 2] = [
            ("linear", crate::linear, crate::linear::reference),
            ("gelu_linear", crate::gelu_linear, crate::gelu::reference),
        ];
        for (name, layer, reference) in layers {
            for [rows, inputs, outputs] in [[1, 1, 1], [7, 32, 37], [33, 37, 19], [128, 64, 256], [65, 256, 1]] {
                let operands = operands(&[[rows, inputs], [outputs, inputs], [1, outputs]]);
                let body = |layer: Dense| {
                    move |operands: Vec<Tensor<2>>| {
                        let [x, weight, bias] = operands.try_into().unwrap();
                        layer(x, weight, bias.reshape([outputs]))
                    }
                };
                let what = format!("{name} {rows} x {inputs} -> {outputs}");
                assert_matches(&what, &operands, 3e-6, &body(layer), &body(reference));
                if rows * inputs * outputs < 10_000 {
                    assert_differentiates(&what, &operands, &body(reference));
                }
            }
        }
    }
}
