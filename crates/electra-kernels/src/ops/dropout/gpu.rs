//! Dropout alone, on graphics adapters.

use burn_wgpu::CubeTensor;

use crate::autodiff::fused;
use crate::gpu::{
    Noise, Operand, empty_like,
    launch::Launch,
    shader::{Shader, shader},
};

static DROPOUT: Shader = shader!("dropout", "dropout");

/// `x`, of any shape, times the mask.
pub(crate) fn dropout(x: Operand, noise: Noise) -> Operand {
    let forward = |[x]: [CubeTensor; 1], _| (masked(&x, &noise), noise.clone(), ());
    fused([x], forward, |noise, gradient, _| [Some(masked(&gradient, &noise))]).0
}

fn masked(x: &CubeTensor, noise: &Noise) -> CubeTensor {
    let per_example = x.meta.shape().num_elements() / noise.examples.len();
    let blocks = per_example.div_ceil(64 * 8);
    let y = empty_like(x);
    Launch::new(&DROPOUT)
        .buffer(x)
        .buffer(&y)
        .size(per_example)
        .size(blocks)
        .words(&noise.words)
        .words(&noise.examples)
        .run(64, blocks * noise.examples.len());
    y
}
