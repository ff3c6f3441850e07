//! Dense layers, with and without GELU, on graphics adapters.

use burn_wgpu::CubeTensor;

use super::{
    Operand, empty, matrix,
    product::{Epilogue, Mode, product},
};
use crate::graph::fused;

/// `x W^T + b`.
pub(crate) fn linear(x: Operand, weight: Operand, bias: Operand) -> Operand {
    let forward = |[x, weight, bias]: [CubeTensor; 3], _| {
        let y = product(Mode::TransposedB, &x, &weight, Epilogue { bias: Some(&bias), ..Epilogue::default() });
        (y, (x, weight), ())
    };
    fused([x, weight, bias], forward, |(x, weight), gradient, wanted| gradients(&x, &weight, &gradient, wanted)).0
}

/// `gelu(x W^T + b)`. Keeps the values before GELU; its result is the next operation's to keep.
pub(crate) fn gelu_linear(x: Operand, weight: Operand, bias: Operand) -> Operand {
    let forward = |[x, weight, bias]: [CubeTensor; 3], tracked: bool| {
        let z = tracked.then(|| empty(&x, [matrix(&x)[0], matrix(&weight)[0]]));
        let epilogue = Epilogue { bias: Some(&bias), gelu: true, keep: z.as_ref(), ..Epilogue::default() };
        let y = product(Mode::TransposedB, &x, &weight, epilogue);
        (y, (x, weight, z), ())
    };
    fused([x, weight, bias], forward, |(x, weight, z), gradient, wanted| {
        let z = z.expect("kept, since a gradient is wanted");
        let gradient = super::gelu::through(&z, &gradient);
        gradients(&x, &weight, &gradient, wanted)
    })
    .0
}

/// `dX = dY W`, `dW = dY^T X` and `db`, the sums of dY's columns, made on the way to dW.
pub(crate) fn gradients(
    x: &CubeTensor,
    weight: &CubeTensor,
    gradient: &CubeTensor,
    wanted: [bool; 3],
) -> [Option<CubeTensor>; 3] {
    let of_x = wanted[0].then(|| product(Mode::Plain, gradient, weight, Epilogue::default()));
    let [of_weight, of_bias] = if wanted[1] || wanted[2] {
        let sums = empty(x, [matrix(weight)[0]]);
        let epilogue = Epilogue { sums: Some(&sums), ..Epilogue::default() };
        let of_weight = product(Mode::TransposedA, gradient, x, epilogue);
        [wanted[1].then_some(of_weight), wanted[2].then_some(sums)]
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
