//! Look-ups in embedding tables. The gradient adds every token's gradient into its id's row, id 0 ([PAD]) included: the
//! reference has no padding index.

mod cpu;
mod gpu;
pub(crate) mod reference;
#[cfg(test)]
mod tests;

use burn::tensor::{Int, Tensor};

use crate::place::{Place, Placed};
use crate::types::{kernel::Kernel, shape::expect, table::Table};

/// The sum of each token's word, position and segment embedding.
///
/// `words`: `[vocab, width]`; `positions`: `[max_positions, width]`; `types`: `[types, width]`; `ids`, `type_ids`:
/// `[batch, seq]`, each below its table's rows. Returns `[batch * seq, width]`.
///
/// # Panics
/// If the shapes do not fit, or an id is not below its table's rows (where ids are on the CPU; a GPU does not look).
pub fn embeddings(
    words: impl Into<Table>,
    positions: Tensor<2>,
    types: Tensor<2>,
    ids: &Tensor<2, Int>,
    type_ids: &Tensor<2, Int>,
) -> Tensor<2> {
    let words = words.into();
    let ([batch, seq], width, [longest, _], [kinds, _]) = (ids.dims(), words.width(), positions.dims(), types.dims());
    expect("embeddings: positions [max_positions, width]", positions.dims(), [longest, width]);
    expect("embeddings: types [types, width]", types.dims(), [kinds, width]);
    expect("embeddings: type_ids [batch, seq]", type_ids.dims(), [batch, seq]);
    assert!(seq <= longest, "embeddings: seq {seq} is longer than the {longest} positions");
    let mut operands: Vec<&dyn Placed> = vec![&positions, &types];
    operands.extend(words.pieces().iter().map(|piece| piece as &dyn Placed));
    match Place::of(Kernel::Embedding, &operands) {
        Place::Gpu if batch * seq > 0 => on_gpu(&words, positions, types, ids, type_ids),
        Place::Cpu => reference::sum_of(look_up, &words, positions, types, ids, type_ids),
        _ => reference::embeddings(words, positions, types, ids, type_ids),
    }
}

fn on_gpu(
    words: &Table,
    positions: Tensor<2>,
    types: Tensor<2>,
    ids: &Tensor<2, Int>,
    type_ids: &Tensor<2, Int>,
) -> Tensor<2> {
    let (vocab, ids) = (words.rows(), crate::gpu::ids(ids));
    let operand = |piece: &Tensor<2>| crate::gpu::operand(piece.clone());
    let tables = [operand(&words.pieces()[0]), operand(&positions), operand(&types)];
    let mut sum = gpu::embeddings(tables, vocab, ids.clone(), crate::gpu::ids(type_ids));
    for (first, piece) in words.numbered().skip(1) {
        sum = gpu::add_piece([sum, operand(piece)], first, vocab, ids.clone());
    }
    sum.into_tensor()
}

/// On the CPU. `table`: `[rows, width]`; `ids`: `[tokens]`. Returns `[tokens, width]`.
fn look_up(table: Tensor<2>, ids: Tensor<1, Int>) -> Tensor<2> {
    let ids = crate::cpu::ids("embeddings", ids, table.dims()[0]);
    cpu::embedding(crate::cpu::operand(table), ids).into_tensor()
}
