//! The RTD loss in Burn primitives.

use burn::tensor::{Tensor, activation};

use crate::types::losses::COUNT_EPSILON;

/// `rtd_loss` in primitives.
pub(crate) fn rtd_loss(
    logits: Tensor<2>,
    is_replaced: Tensor<2>,
    token_mask: Tensor<2>,
    total_tokens: f64,
) -> Tensor<1> {
    // -log_sigmoid(-d) = max(d, 0) + log1p(exp(-|d|)): overflows for no d, and has a true gradient at 0.
    let losses = activation::log_sigmoid(logits.clone().neg()).neg() - logits * is_replaced;
    (losses * token_mask).sum().div_scalar(total_tokens + COUNT_EPSILON)
}
