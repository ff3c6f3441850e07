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
    let is_vector = (rows * columns).is_multiple_of(4);
    let launch = Launch::new(&GELU).define("VECTOR", is_vector).buffer(z).buffer(&result).optional("SLOPE", gradient);
    let parts = rows * columns / if is_vector { 4 } else { 1 };
    launch.size(parts).run(64, parts.div_ceil(64));
    result
}
