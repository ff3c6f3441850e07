//! Dense layers on graphics adapters.

use burn_wgpu::CubeTensor;

use crate::autodiff::fused;
use crate::gpu::{
    Operand, empty, matrix,
    product::{Epilogue, Mode, product},
};

/// `x W^T + b`.
pub(crate) fn linear(x: Operand, weight: Operand, bias: Operand) -> Operand {
    let body = |[x, weight, bias]: [CubeTensor; 3], _| (forward(&x, &weight, &bias), (x, weight), ());
    fused([x, weight, bias], body, |(x, weight), gradient, wanted| gradients(&x, &weight, &gradient, wanted)).0
}

/// `x W^T + b`.
pub(crate) fn forward(x: &CubeTensor, weight: &CubeTensor, bias: &CubeTensor) -> CubeTensor {
    product(Mode::TransposedB, x, weight, Epilogue { bias: Some(bias), ..Epilogue::default() })
}

/// `dW = dY^T X`, and `db`, the sums of dY's columns, made on the way.
pub(crate) fn parameter_gradients(x: &CubeTensor, gradient: &CubeTensor) -> [CubeTensor; 2] {
    let sums = empty(gradient, [matrix(gradient)[1]]);
    let epilogue = Epilogue { sums: Some(&sums), ..Epilogue::default() };
    [product(Mode::TransposedA, gradient, x, epilogue), sums]
}

/// `dX = dY W` and the parameters' gradients.
pub(in crate::ops) fn gradients(
    x: &CubeTensor,
    weight: &CubeTensor,
    gradient: &CubeTensor,
    wanted: [bool; 3],
) -> [Option<CubeTensor>; 3] {
    let of_x = wanted[0].then(|| product(Mode::Plain, gradient, weight, Epilogue::default()));
    let [of_weight, of_bias] = if wanted[1] || wanted[2] {
        let [of_weight, of_bias] = parameter_gradients(x, gradient);
        [wanted[1].then_some(of_weight), wanted[2].then_some(of_bias)]
    } else {
        [None, None]
    };
    [of_x, of_weight, of_bias]
}
