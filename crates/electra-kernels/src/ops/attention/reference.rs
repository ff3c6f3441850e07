//! Attention in Burn primitives.

use burn::tensor::{Tensor, activation};

use crate::ops::dropout::reference::dropped;
use crate::types::dropout::Dropout;

/// Added to the score of a masked key. Finite, so that a row without any key stays a number.
const MASKED_SCORE: f64 = -1e30;

/// The operation in primitives.
pub(crate) fn attention(
    queries: Tensor<2>,
    keys: Tensor<2>,
    values: Tensor<2>,
    attention_mask: &Tensor<2>,
    heads: usize,
    probability_dropout: Option<&Dropout<'_>>,
) -> Tensor<2> {
    let [batch, seq] = attention_mask.dims();
    let [tokens, hidden] = queries.dims();
    let head_dim = hidden / heads;

    let split = |x: Tensor<2>| x.reshape([batch, seq, heads, head_dim]).swap_dims(1, 2);
    let mask = attention_mask.clone().reshape([batch, 1, 1, seq]);
    let any_key = mask.clone().sum_dim(3).clamp_max(1.0);
    let bias = (mask - 1.0) * -MASKED_SCORE;

    let scores = split(queries).mul_scalar(1.0 / (head_dim as f64).sqrt()).matmul(split(keys).swap_dims(2, 3));
    let probabilities = activation::softmax(scores + bias, 3);
    let probabilities = match probability_dropout.filter(|dropout| dropout.probability > 0.0) {
        Some(dropout) => dropped(probabilities, dropout),
        None => probabilities,
    };
    let output = probabilities.matmul(split(values)) * any_key;
    output.swap_dims(1, 2).reshape([tokens, hidden])
}
