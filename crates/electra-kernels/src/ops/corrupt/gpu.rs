//! Putting samples in the originals' places, on graphics adapters.

use burn_wgpu::CubeTensor;

use crate::gpu::{
    empty, empty_ids,
    launch::Launch,
    matrix,
    shader::{Shader, shader},
};

static CORRUPT: Shader = shader!("corrupt", "corrupt");

/// `original`: `[batch, seq]`; the others `[batch, masked]`. Returns corrupted ids and 1 where they differ.
pub(crate) fn corrupt(
    original: &CubeTensor,
    positions: &CubeTensor,
    weights: &CubeTensor,
    samples: &CubeTensor,
) -> (CubeTensor, CubeTensor) {
    let ([batch, seq], [_, masked]) = (matrix(original), matrix(positions));
    let (corrupted, is_replaced) = (empty_ids(original, [batch, seq]), empty(original, [batch, seq]));
    Launch::new(&CORRUPT)
        .buffer(original)
        .buffer(positions)
        .buffer(weights)
        .buffer(samples)
        .buffer(&corrupted)
        .buffer(&is_replaced)
        .size(batch)
        .size(seq)
        .size(masked)
        .run(64, (batch * seq).div_ceil(64));
    (corrupted, is_replaced)
}
