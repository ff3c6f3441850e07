//! Hidden states at chosen positions, on graphics adapters.

use burn_wgpu::CubeTensor;

use crate::autodiff::fused;
use crate::gpu::{
    Operand, empty,
    launch::{Launch, VALUE_WORK},
    matrix,
    shader::{Shader, shader},
};

static GATHER: Shader = shader!("gather", "gather");

/// `hidden`: `[batch * seq, width]`; `positions`: `[batch, masked]`. Returns `[batch * masked, width]`.
pub(crate) fn gather_positions(hidden: Operand, positions: CubeTensor, seq: usize) -> Operand {
    let body = move |[hidden]: [CubeTensor; 1], _| (run(true, &hidden, &positions, seq), (positions, seq), ());
    fused([hidden], body, |(positions, seq), gradient, _| [Some(run(false, &gradient, &positions, seq))]).0
}

fn run(forward: bool, x: &CubeTensor, positions: &CubeTensor, seq: usize) -> CubeTensor {
    let ([batch, masked], width) = (matrix(positions), matrix(x)[1]);
    let rows = if forward { batch * masked } else { batch * seq };
    let result = empty(x, [rows, width]);
    // On the way back each value looks through its example's masked positions.
    let looked_at = if forward { 1 } else { masked };
    Launch::new(&GATHER)
        .work((rows * width) as f64 * (2.0 * VALUE_WORK + 4.0 * looked_at as f64))
        .define("FORWARD", forward)
        .buffer(x)
        .buffer(positions)
        .buffer(&result)
        .size(batch)
        .size(seq)
        .size(masked)
        .size(width)
        .run(64, (rows * width).div_ceil(64));
    result
}
