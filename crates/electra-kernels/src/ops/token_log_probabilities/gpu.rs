//! Negative log-likelihoods of given tokens on graphics adapters.
//!
//! The forward pass is the MLM loss's (`ops/mlm_loss/gpu.rs`) without its gradient, over all pieces of the table. In the graph each
//! piece is a node of its own, through which the result passes: by what the forward pass keeps of a row's softmax, a piece gets
//! its gradient without the others.

use burn::tensor::{Int, Tensor};
use burn_wgpu::CubeTensor;

use crate::autodiff::fused;
use crate::gpu::{
    Operand, constant, empty, empty_ids, empty_like, ids,
    launch::Launch,
    matrix, operand,
    product::{Epilogue, Mode, product},
    rows,
    shader::{Shader, shader},
};
use crate::ops::mlm_loss::gpu::{Piece, Search, rows_at_once, score};
use crate::types::table::Table;

static BACKWARD: Shader = shader!("token_log_probabilities", "token_log_probabilities_bwd");

/// What a piece's backward pass needs.
#[derive(Debug, Clone)]
struct Kept {
    hidden: CubeTensor,
    piece: CubeTensor,
    /// The piece's part.
    bias: CubeTensor,
    /// The piece's first id.
    first: usize,
    targets: CubeTensor,
    softmax: CubeTensor,
}

/// Negative log-likelihoods of `targets`, `[rows]`. The public function has checked the shapes.
pub(crate) fn losses(hidden: &Tensor<2>, table: &Table, bias: &Tensor<1>, targets: &Tensor<1, Int>) -> Operand {
    let targets = ids(targets);
    let [losses, softmax] = forward(hidden, table, bias, &targets);
    let mut result = Operand::Plain(losses);
    for (first, piece) in table.numbered() {
        let count = piece.dims()[0];
        let bias = if count == table.rows() { bias.clone() } else { bias.clone().slice(first..first + count) };
        let operands = [result, operand(hidden.clone()), operand(piece.clone()), operand(bias)];
        let (targets, softmax) = (targets.clone(), softmax.clone());
        let pass = |[losses, hidden, piece, bias]: [CubeTensor; 4], _| {
            (losses, Kept { hidden, piece, bias, first, targets, softmax }, ())
        };
        (result, ()) = fused(operands, pass, |kept, upstream, wanted| {
            let [of_hidden, of_piece, of_bias] = backward(&kept, &upstream);
            let found = [upstream, of_hidden, of_piece, of_bias].into_iter().zip(wanted);
            let mut found = found.map(|(gradient, is_wanted)| is_wanted.then_some(gradient));
            std::array::from_fn(|_| found.next().flatten())
        });
    }
    result
}

/// Negative log-likelihoods `[rows]`, and of each row the highest logit and the sum of the exponentials of all less it, `[rows, 2]`.
fn forward(hidden: &Tensor<2>, table: &Table, bias: &Tensor<1>, targets: &CubeTensor) -> [CubeTensor; 2] {
    let (all, vocab) = (hidden.dims()[0], table.rows());
    let weights = constant(&Tensor::<1>::ones([all], &hidden.device()));
    let (hidden, bias) = (constant(hidden), constant(bias));
    let (first, rest) = table.pieces().split_first().expect("a table has at least one piece");
    let pieces = Piece::all(constant(first), rest);
    let (losses, softmax) = (empty(&hidden, [all]), empty(&hidden, [all, 2]));
    let ids = empty_ids(&hidden, [2, all]);
    let search = Search {
        targets,
        weights: &weights,
        losses: &losses,
        ids: &ids,
        softmax: Some(&softmax),
        draw: None,
        gradient: false,
    };
    let chunk = rows_at_once(all, vocab);
    let logits = empty(&hidden, [chunk, vocab]);
    for first in (0..all).step_by(chunk) {
        let count = chunk.min(all - first);
        let logits = rows(&logits, 0, count);
        score(&rows(&hidden, first, count), &pieces, &bias, &logits);
        search.run(&logits, first);
    }
    [losses, softmax]
}

/// Gradients of hidden states, the piece, and its part of the bias.
fn backward(kept: &Kept, upstream: &CubeTensor) -> [CubeTensor; 3] {
    let Kept { hidden, piece, bias, .. } = kept;
    let (all, words) = (matrix(hidden)[0], matrix(piece)[0]);
    let (of_hidden, of_piece, of_bias) = (empty_like(hidden), empty_like(piece), empty_like(bias));
    let chunk = rows_at_once(all, words);
    let logits = empty(hidden, [chunk, words]);
    for first in (0..all).step_by(chunk) {
        let count = chunk.min(all - first);
        let (inputs, logits) = (rows(hidden, first, count), rows(&logits, 0, count));
        let epilogue = Epilogue { bias: Some(bias), into: Some(logits.clone()), ..Epilogue::default() };
        product(Mode::TransposedB, &inputs, piece, epilogue);
        Launch::new(&BACKWARD)
            .buffer(&logits)
            .buffer(&kept.targets)
            .buffer(&kept.softmax)
            .buffer(upstream)
            .size(count * words)
            .size(words)
            .size(first)
            .size(kept.first)
            .run(64, (count * words).div_ceil(64));
        let into = Some(rows(&of_hidden, first, count));
        product(Mode::Plain, &logits, piece, Epilogue { into, ..Epilogue::default() });
        let (into, accumulate) = (Some(of_piece.clone()), first > 0);
        let epilogue = Epilogue { sums: Some(&of_bias), into, accumulate, ..Epilogue::default() };
        product(Mode::TransposedA, &logits, &inputs, epilogue);
    }
    [of_hidden, of_piece, of_bias]
}
