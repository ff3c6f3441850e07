//! GELU by itself: in the backward pass of a dense layer, which keeps the values before it.

use burn_wgpu::CubeTensor;

use super::{
    empty,
    launch::Launch,
    matrix,
    shader::{Shader, shader},
};

static GELU: Shader = shader!("gelu");

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
    let launch = Launch::new(&GELU).buffer(z).buffer(&result).optional("SLOPE", gradient);
    let length = rows * columns;
    launch.size(length).run(64, length.div_ceil(64));
    result
}
