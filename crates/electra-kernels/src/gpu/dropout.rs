//! Dropout alone, on graphics adapters.

use burn_wgpu::CubeTensor;

use super::{
    Noise, Operand, empty_like,
    launch::Launch,
    shader::{Shader, shader},
};
use crate::graph::fused;

static DROPOUT: Shader = shader!("dropout");

/// `x`, of any shape, times the mask.
pub(crate) fn dropout(x: Operand, noise: Noise) -> Operand {
    let forward = |[x]: [CubeTensor; 1], _| (masked(&x, &noise), noise.clone(), ());
    fused([x], forward, |noise, gradient, _| [Some(masked(&gradient, &noise))]).0
}

fn masked(x: &CubeTensor, noise: &Noise) -> CubeTensor {
    let length = x.meta.shape().num_elements();
    let y = empty_like(x);
    Launch::new(&DROPOUT)
        .buffer(x)
        .buffer(&y)
        .size(length)
        .size(length / noise.examples.len())
        .words(&noise.words)
        .words(&noise.examples)
        .run(64, length.div_ceil(64));
    y
}
