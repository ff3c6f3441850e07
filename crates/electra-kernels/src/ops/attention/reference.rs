//! Attention in Burn primitives.

use burn::tensor::{Tensor, activation};

use crate::ops::dropout::reference::dropped;
use crate::types::{dropout::Dropout, visibility::Visibility};

/// Added to the score of a key that is not seen. Finite, so that a row without any key stays a number.
const MASKED_SCORE: f64 = -1e30;

/// 1 where a query sees a key, `[batch, 1, queries, keys]`; one row for all queries where they see the same.
pub(super) fn seen(visibility: &Visibility) -> Tensor<4> {
    let (batch, queries, keys) = (visibility.batch(), visibility.queries(), visibility.keys());
    let pattern = visibility.pattern.clone();
    if !visibility.is_ranked() {
        return pattern.reshape([batch, 1, 1, keys]);
    }
    let dtype = pattern.dtype();
    let shape = [batch, 1, queries, keys];
    let ranks = pattern.clone().slice([0..batch, 0..keys]).reshape([batch, 1, 1, keys]).expand(shape);
    let limits = pattern.slice([0..batch, keys..keys + queries]).reshape([batch, 1, queries, 1]).expand(shape);
    ranks.lower_equal(limits).float().cast(dtype)
}

/// The operation in primitives.
pub(crate) fn attention(
    queries: Tensor<2>,
    keys: Tensor<2>,
    values: Tensor<2>,
    visibility: &Visibility,
    heads: usize,
    probability_dropout: Option<&Dropout<'_>>,
) -> Tensor<2> {
    let (batch, [tokens, hidden]) = (visibility.batch(), queries.dims());
    let head_dim = hidden / heads;

    let split = |x: Tensor<2>, seq: usize| x.reshape([batch, seq, heads, head_dim]).swap_dims(1, 2);
    let seen = seen(visibility);
    let any_key = seen.clone().sum_dim(3).clamp_max(1.0);
    let bias = (seen - 1.0) * -MASKED_SCORE;

    let queries = split(queries, visibility.queries()).mul_scalar(1.0 / (head_dim as f64).sqrt());
    let scores = queries.matmul(split(keys, visibility.keys()).swap_dims(2, 3));
    let probabilities = activation::softmax(scores + bias, 3);
    let probabilities = match probability_dropout.filter(|dropout| dropout.probability > 0.0) {
        Some(dropout) => dropped(probabilities, dropout),
        None => probabilities,
    };
    let output = probabilities.matmul(split(values, visibility.keys())) * any_key;
    output.swap_dims(1, 2).reshape([tokens, hidden])
}
