//! Dense layers with GELU on graphics adapters: GELU is done on the product's way out, and by itself in the backward pass,
//! which keeps the values before it.

use burn_wgpu::CubeTensor;

use crate::autodiff::fused;
use crate::gpu::{
    Operand, empty,
    launch::Launch,
    matrix,
    product::{Epilogue, Mode, product},
    shader::{Shader, shader},
};
use crate::ops::linear::gpu::gradients;

static GELU: Shader = shader!("linear_gelu", "gelu");

/// `gelu(x W^T + b)`. Keeps the values before GELU; its result is the next operation's to keep.
pub(crate) fn linear_gelu(x: Operand, weight: Operand, bias: Operand) -> Operand {
    let body = |[x, weight, bias]: [CubeTensor; 3], tracked: bool| {
        let z = tracked.then(|| empty(&x, [matrix(&x)[0], matrix(&weight)[0]]));
        (forward_gelu(&x, &weight, &bias, z.as_ref()), (x, weight, z), ())
    };
    fused([x, weight, bias], body, |(x, weight, z), gradient, wanted| {
        let z = z.expect("kept, since a gradient is wanted");
        let gradient = through(&z, &gradient);
        gradients(&x, &weight, &gradient, wanted)
    })
    .0
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

/// `gelu(z)`, `[rows, columns]`.
pub(crate) fn apply(z: &CubeTensor) -> CubeTensor {
    run(z, None)
}

/// `gradient * gelu'(z)`, `[rows, columns]`.
pub(crate) fn through(z: &CubeTensor, gradient: &CubeTensor) -> CubeTensor {
    run(z, Some(gradient))
}

fn run(z: &CubeTensor, gradient: Option<&CubeTensor>) -> CubeTensor {
    let [rows, columns] = matrix(z);
    let result = empty(z, [rows, columns]);
    let is_vector = (rows * columns).is_multiple_of(4);
    let launch = Launch::new(&GELU).define("VECTOR", is_vector).buffer(z).buffer(&result).optional("SLOPE", gradient);
    let parts = rows * columns / if is_vector { 4 } else { 1 };
    launch.size(parts).run(64, parts.div_ceil(64));
    result
}
