//! Look-ups in embedding tables. The gradient adds every token's gradient into its id's row, id 0 ([PAD]) included: the
//! reference has no padding index.

use burn::tensor::{Int, Tensor};

use crate::{
    cpu,
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
    words: Tensor<2>,
    positions: Tensor<2>,
    types: Tensor<2>,
    ids: &Tensor<2, Int>,
    type_ids: &Tensor<2, Int>,
) -> Tensor<2> {
    let ([batch, seq], [_, width], [longest, _], [kinds, _]) =
        (ids.dims(), words.dims(), positions.dims(), types.dims());
    expect("embeddings: positions [max_positions, width]", positions.dims(), [longest, width]);
    expect("embeddings: types [types, width]", types.dims(), [kinds, width]);
    expect("embeddings: type_ids [batch, seq]", type_ids.dims(), [batch, seq]);
    assert!(seq <= longest, "embeddings: seq {seq} is longer than the {longest} positions");
    let on_gpu = [gpu::is_gpu(&words), gpu::is_gpu(&positions), gpu::is_gpu(&types)];
    if gpu::runs(Kernel::Embedding, on_gpu) && batch * seq > 0 {
        let tables = [gpu::operand(words), gpu::operand(positions), gpu::operand(types)];
        return gpu::embedding::embeddings(tables, gpu::ids(ids), gpu::ids(type_ids)).into_tensor();
    }
    sum_of(look_up, words, positions, types, ids, type_ids)
}

/// The function above in primitives.
#[doc(hidden)]
pub fn reference(
    words: Tensor<2>,
    positions: Tensor<2>,
    types: Tensor<2>,
    ids: &Tensor<2, Int>,
    type_ids: &Tensor<2, Int>,
) -> Tensor<2> {
    sum_of(|table, ids| table.select(0, ids), words, positions, types, ids, type_ids)
}

fn sum_of(
    of: impl Fn(Tensor<2>, Tensor<1, Int>) -> Tensor<2>,
    words: Tensor<2>,
    positions: Tensor<2>,
    types: Tensor<2>,
    ids: &Tensor<2, Int>,
    type_ids: &Tensor<2, Int>,
) -> Tensor<2> {
    let ([batch, seq], [_, width]) = (ids.dims(), words.dims());
    let tokens = batch * seq;
    let of_tokens = of(words, ids.clone().reshape([tokens])) + of(types, type_ids.clone().reshape([tokens]));
    let positions = positions.slice(0..seq);
    (of_tokens.reshape([batch, seq, width]) + positions.unsqueeze()).reshape([tokens, width])
}

/// `table`: `[rows, width]`; `ids`: `[tokens]`. Returns `[tokens, width]`.
pub(crate) fn look_up(table: Tensor<2>, ids: Tensor<1, Int>) -> Tensor<2> {
    if cpu::is_cpu(&table) {
        let ids = cpu::ids("embeddings", ids, table.dims()[0]);
        return cpu::embedding::embedding(cpu::operand(table), ids).into_tensor();
    }
    table.select(0, ids)
}
