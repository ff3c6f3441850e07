//! Hidden states at chosen positions, on graphics adapters.

use burn_wgpu::CubeTensor;

use super::{
    Operand, empty,
    launch::{Launch, VALUE_WORK},
    matrix,
    shader::{Shader, shader},
};
use crate::graph::fused;

static GATHER: Shader = shader!("gather");

/// `hidden`: `[batch * seq, width]`; `positions`: `[batch, slots]`. Returns `[batch * slots, width]`.
pub(crate) fn gather_positions(hidden: Operand, positions: CubeTensor, seq: usize) -> Operand {
    let body = move |[hidden]: [CubeTensor; 1], _| (run(true, &hidden, &positions, seq), (positions, seq), ());
    fused([hidden], body, |(positions, seq), gradient, _| [Some(run(false, &gradient, &positions, seq))]).0
}

fn run(forward: bool, x: &CubeTensor, positions: &CubeTensor, seq: usize) -> CubeTensor {
    let ([batch, slots], width) = (matrix(positions), matrix(x)[1]);
    let rows = if forward { batch * slots } else { batch * seq };
    let result = empty(x, [rows, width]);
    // On the way back each value looks through its example's slots.
    let looked_at = if forward { 1 } else { slots };
    Launch::new(&GATHER)
        .work((rows * width) as f64 * (2.0 * VALUE_WORK + 4.0 * looked_at as f64))
        .define("FORWARD", forward)
        .buffer(x)
        .buffer(positions)
        .buffer(&result)
        .size(batch)
        .size(seq)
        .size(slots)
        .size(width)
        .run(64, (rows * width).div_ceil(64));
    result
}

#[cfg(all(test, not(target_family = "wasm")))]
mod tests {
    use burn::tensor::{Int, Tensor, TensorData};

    use crate::gpu::testing::{assert_matches, operands};

    #[test]
    fn repeated_and_missing_positions_match_the_reference() {
        for (batch, seq, slots, width) in [(1, 1, 1, 1), (2, 9, 4, 5), (3, 64, 10, 32)] {
            let operands = operands(&[[batch * seq, width]]);
            let positions: Vec<i32> = (0..batch * slots).map(|i| (i * i % seq) as i32).collect();
            type Body = fn(Tensor<2>, &Tensor<2, Int>, usize) -> Tensor<2>;
            let body = |body: Body| {
                let positions = positions.clone();
                move |operands: Vec<Tensor<2>>| {
                    let [hidden] = operands.try_into().unwrap();
                    let data = TensorData::new(positions.clone(), [batch, slots]);
                    let positions = Tensor::<2, Int>::from_data(data, &hidden.device());
                    body(hidden, &positions, seq)
                }
            };
            let what = format!("gather {batch} x {seq}, {slots} slots, width {width}");
            let (kernel, oracle) = (body(crate::gather_positions), body(crate::gather::reference));
            assert_matches(&what, &operands, 1e-6, &kernel, &oracle);
        }
    }
}
