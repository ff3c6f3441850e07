//! Look-ups in the embedding tables and their gradients, on graphics adapters.

use burn_wgpu::CubeTensor;

use crate::autodiff::fused;
use crate::gpu::{
    Operand, SOFTWARE_TURNS, empty, empty_ids, is_software,
    launch::Launch,
    matrix,
    product::sum_parts,
    shader::{Shader, shader},
};

static FORWARD: Shader = shader!("embedding", "embeddings_fwd");
static PIECE: Shader = shader!("embedding", "embeddings_piece");
static SORT: Shader = shader!("embedding", "sort_ids");
static BACKWARD_WORDS: Shader = shader!("embedding", "embedding_bwd_words");
static BACKWARD_POSITIONS: Shader = shader!("embedding", "embedding_bwd_positions");
static BACKWARD_TYPES: Shader = shader!("embedding", "embedding_bwd_types");

/// Tokens whose share of the segment table's gradient one invocation sums on a card.
const PART: usize = 128;

/// `tables`: words or the first piece of them, positions, types; `vocab`: rows of all pieces; `ids`, `type_ids`: `[batch,
/// seq]`. Returns `[batch * seq, width]`.
pub(crate) fn embeddings(tables: [Operand; 3], vocab: usize, ids: CubeTensor, type_ids: CubeTensor) -> Operand {
    let body = move |[words, positions, types]: [CubeTensor; 3], _| {
        let ([batch, seq], [rows, width]) = (matrix(&ids), matrix(&words));
        let tokens = batch * seq;
        let result = empty(&words, [tokens, width]);
        Launch::new(&FORWARD)
            .buffer(&words)
            .buffer(&positions)
            .buffer(&types)
            .buffer(&ids)
            .buffer(&type_ids)
            .buffer(&result)
            .size(tokens)
            .size(width)
            .size(seq)
            .size(vocab)
            .size(matrix(&types)[0])
            .size(rows)
            .define("CUT", rows < vocab)
            .run(64, (tokens * width).div_ceil(64));
        let rows = [rows, matrix(&positions)[0], matrix(&types)[0]];
        (result, (rows, ids, type_ids), ())
    };
    fused(tables, body, |([words, positions, types], ids, type_ids), gradient, wanted| {
        [
            wanted[0].then(|| of_words(&ids, &gradient, 0, words)),
            wanted[1].then(|| of_positions(&gradient, matrix(&ids), positions)),
            wanted[2].then(|| of_types(&type_ids, &gradient, types)),
        ]
    })
    .0
}

/// Adds the rows of a further piece of the word table, whose first row is that of id `first`.
///
/// `operands`: the sum so far, `[batch * seq, width]`, and the piece.
pub(crate) fn add_piece(operands: [Operand; 2], first: usize, vocab: usize, ids: CubeTensor) -> Operand {
    let body = move |[sum, words]: [CubeTensor; 2], _| {
        let ([tokens, width], [rows, _]) = (matrix(&sum), matrix(&words));
        let result = empty(&sum, [tokens, width]);
        Launch::new(&PIECE)
            .buffer(&sum)
            .buffer(&words)
            .buffer(&ids)
            .buffer(&result)
            .size(tokens)
            .size(width)
            .size(first)
            .size(rows)
            .size(vocab)
            .run(64, (tokens * width).div_ceil(64));
        (result, (ids, first, rows), ())
    };
    fused(operands, body, |(ids, first, rows), gradient, wanted| {
        let of_words = wanted[1].then(|| of_words(&ids, &gradient, first, rows));
        [wanted[0].then_some(gradient), of_words]
    })
    .0
}

/// The gradient of the table's rows `first..first + rows`.
fn of_words(ids: &CubeTensor, gradient: &CubeTensor, first: usize, rows: usize) -> CubeTensor {
    let [tokens, width] = matrix(gradient);
    let sorted = empty_ids(gradient, [2, tokens]);
    let comparisons = tokens as f64 * tokens as f64;
    Launch::new(&SORT).work(6.0 * comparisons).buffer(ids).buffer(&sorted).size(tokens).run(64, tokens.div_ceil(64));
    let result = empty(gradient, [rows, width]);
    Launch::new(&BACKWARD_WORDS)
        .buffer(&sorted)
        .buffer(gradient)
        .buffer(&result)
        .size(tokens)
        .size(width)
        .size(rows)
        .size(first)
        .run(64, (rows * width.div_ceil(4)).div_ceil(64));
    result
}

fn of_positions(gradient: &CubeTensor, [batch, seq]: [usize; 2], rows: usize) -> CubeTensor {
    let width = matrix(gradient)[1];
    let result = empty(gradient, [rows, width]);
    Launch::new(&BACKWARD_POSITIONS)
        .buffer(gradient)
        .buffer(&result)
        .size(batch)
        .size(seq * width)
        .size(rows * width)
        .run(64, (rows * width).div_ceil(64));
    result
}

fn of_types(type_ids: &CubeTensor, gradient: &CubeTensor, rows: usize) -> CubeTensor {
    let [tokens, width] = matrix(gradient);
    let result = empty(gradient, [rows, width]);
    let count = tokens.div_ceil(if is_software(gradient) { SOFTWARE_TURNS } else { PART });
    let parts = if count == 1 { result.clone() } else { empty(gradient, [count, rows * width]) };
    Launch::new(&BACKWARD_TYPES)
        .buffer(type_ids)
        .buffer(gradient)
        .buffer(&parts)
        .size(tokens)
        .size(width)
        .size(rows)
        .size(count)
        .size(tokens.div_ceil(count))
        .run(64, (count * rows * width).div_ceil(64));
    if count > 1 {
        sum_parts(&parts, &result, None, count, false);
    }
    result
}
