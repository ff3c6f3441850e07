//! Look-ups in embedding tables. The gradient adds every token's gradient into its id's row, id 0 ([PAD]) included: the
//! reference has no padding index.

use burn::tensor::{Int, Tensor};

use crate::{
    Table, cpu,
    gpu::{self, Kernel},
    shape::expect,
};

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
    let on_gpu = [words.pieces().iter().all(gpu::is_gpu), gpu::is_gpu(&positions), gpu::is_gpu(&types)];
    if gpu::runs(Kernel::Embedding, &positions, on_gpu) && batch * seq > 0 {
        return on_gpu_adapter(&words, positions, types, ids, type_ids);
    }
    sum_of(look_up, &words, positions, types, ids, type_ids)
}

fn on_gpu_adapter(
    words: &Table,
    positions: Tensor<2>,
    types: Tensor<2>,
    ids: &Tensor<2, Int>,
    type_ids: &Tensor<2, Int>,
) -> Tensor<2> {
    let (vocab, ids) = (words.rows(), gpu::ids(ids));
    let operand = |piece: &Tensor<2>| gpu::operand(piece.clone());
    let tables = [operand(&words.pieces()[0]), gpu::operand(positions), gpu::operand(types)];
    let mut sum = gpu::embedding::embeddings(tables, vocab, ids.clone(), gpu::ids(type_ids));
    for (first, piece) in words.numbered().skip(1) {
        sum = gpu::embedding::add_piece([sum, operand(piece)], first, vocab, ids.clone());
    }
    sum.into_tensor()
}

/// The function above in primitives.
#[doc(hidden)]
pub fn reference(
    words: impl Into<Table>,
    positions: Tensor<2>,
    types: Tensor<2>,
    ids: &Tensor<2, Int>,
    type_ids: &Tensor<2, Int>,
) -> Tensor<2> {
    sum_of(|table, ids| table.select(0, ids), &words.into(), positions, types, ids, type_ids)
}

fn sum_of(
    of: impl Fn(Tensor<2>, Tensor<1, Int>) -> Tensor<2>,
    words: &Table,
    positions: Tensor<2>,
    types: Tensor<2>,
    ids: &Tensor<2, Int>,
    type_ids: &Tensor<2, Int>,
) -> Tensor<2> {
    let ([batch, seq], width) = (ids.dims(), words.width());
    let tokens = batch * seq;
    let of_tokens = rows_of(&of, words, ids.clone().reshape([tokens])) + of(types, type_ids.clone().reshape([tokens]));
    let positions = positions.slice(0..seq);
    (of_tokens.reshape([batch, seq, width]) + positions.unsqueeze()).reshape([tokens, width])
}

/// A table's rows at `ids`, `[tokens]`, piece by piece: a piece gives 0 for the rows of others.
fn rows_of(of: &impl Fn(Tensor<2>, Tensor<1, Int>) -> Tensor<2>, table: &Table, ids: Tensor<1, Int>) -> Tensor<2> {
    if let [whole] = table.pieces() {
        return of(whole.clone(), ids);
    }
    let of_piece = |(first, piece): (usize, &Tensor<2>)| {
        let [rows, _] = piece.dims();
        let own = ids.clone().sub_scalar(first as i64);
        let is_own = own.clone().greater_equal_elem(0).bool_and(own.clone().lower_elem(rows as i64));
        of(piece.clone(), own.clamp(0, rows as i64 - 1)) * is_own.float().cast(piece.dtype()).unsqueeze_dim(1)
    };
    table.numbered().map(of_piece).reduce(|sum, rows| sum + rows).expect("a table has at least one piece")
}

/// `table`: `[rows, width]`; `ids`: `[tokens]`. Returns `[tokens, width]`.
pub(crate) fn look_up(table: Tensor<2>, ids: Tensor<1, Int>) -> Tensor<2> {
    if cpu::is_cpu(&table) {
        let ids = cpu::ids("embeddings", ids, table.dims()[0]);
        return cpu::embedding::embedding(cpu::operand(table), ids).into_tensor();
    }
    table.select(0, ids)
}
