//! Look-ups in Burn primitives.

use burn::tensor::{Int, Tensor};

use crate::types::table::Table;

/// The operation in primitives.
pub(crate) fn embeddings(
    words: impl Into<Table>,
    positions: Tensor<2>,
    types: Tensor<2>,
    ids: &Tensor<2, Int>,
    type_ids: &Tensor<2, Int>,
) -> Tensor<2> {
    sum_of(|table, ids| table.select(0, ids), &words.into(), positions, types, ids, type_ids)
}

/// The sum of the tables' rows, each table looked up by `of`.
pub(super) fn sum_of(
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
