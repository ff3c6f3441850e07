//! Losses of heads.
//!
//! Those that are weighted are sums: the weights carry what a loss is divided by, over a whole batch, so that micro-batches add up.

use burn::tensor::{Int, Tensor, activation};
use electra_kernels::rtd_loss;

use super::IGNORED_LABEL;

/// Sum over rows of `weights` times the cross-entropy, `[1]`.
///
/// `logits`: `[rows, labels]`; `labels` and `weights`: `[rows]`. A row without a label has any label and weight 0.
pub fn weighted_cross_entropy(logits: Tensor<2>, labels: Tensor<1, Int>, weights: Tensor<1>) -> Tensor<1> {
    let [rows, _] = logits.dims();
    let losses = activation::log_softmax(logits, 1).gather(1, labels.reshape([rows, 1])).reshape([rows]).neg();
    (losses * weights).sum()
}

/// Sum over rows of `weights` times the squared error, `[1]`. `logits`: `[rows, 1]`; `values` and `weights`: `[rows]`.
pub fn weighted_squared_error(logits: Tensor<2>, values: Tensor<1>, weights: Tensor<1>) -> Tensor<1> {
    let [rows, _] = logits.dims();
    let difference = logits.reshape([rows]) - values;
    (difference.clone() * difference * weights).sum()
}

/// Sum over rows and labels of `weights` times the binary cross-entropy, `[1]`. All are `[rows, labels]`.
pub fn weighted_binary_cross_entropy(logits: Tensor<2>, targets: Tensor<2>, weights: Tensor<2>) -> Tensor<1> {
    rtd_loss(logits, targets, weights, 1.0)
}

/// Mean cross-entropy over the rows whose label is not [`IGNORED_LABEL`].
///
/// `logits`: `[rows, labels]`; `labels`: `[rows]`. No row with a label: 0, where PyTorch gives NaN.
pub fn cross_entropy(logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    let counted = labels.clone().not_equal_elem(IGNORED_LABEL);
    let labels = labels.mask_fill(counted.clone().bool_not(), 0);
    let weights = counted.float();
    let count = weights.clone().sum().clamp_min(1.0);
    weighted_cross_entropy(logits, labels, weights) / count
}

/// Mean squared error of one-label logits, `[rows, 1]`, against `labels`, `[rows]`.
pub fn regression_loss(logits: Tensor<2>, labels: Tensor<1>) -> Tensor<1> {
    let [rows, _] = logits.dims();
    let weights = Tensor::full([rows], 1.0 / rows as f64, &labels.device());
    weighted_squared_error(logits, labels, weights)
}

/// Mean binary cross-entropy of `logits` against `targets`, `[rows, labels]`: PyTorch's `BCEWithLogitsLoss`.
pub fn binary_cross_entropy(logits: Tensor<2>, targets: Tensor<2>) -> Tensor<1> {
    let weights = targets.ones_like();
    let count = weights.shape().num_elements();
    rtd_loss(logits, targets, weights, count as f64)
}

/// Mean of the start's and the end's cross-entropy; a position at or beyond `seq`, or negative, is ignored.
pub fn question_answering_loss(
    start_logits: Tensor<2>,
    end_logits: Tensor<2>,
    start_positions: Tensor<1, Int>,
    end_positions: Tensor<1, Int>,
) -> Tensor<1> {
    let [_, seq] = start_logits.dims();
    let label = |positions: Tensor<1, Int>| {
        // transformers clamps to [0, seq] and ignores the label seq.
        let clamped = positions.clamp_min(0);
        let outside = clamped.clone().greater_equal_elem(seq as i64);
        clamped.mask_fill(outside, IGNORED_LABEL)
    };
    (cross_entropy(start_logits, label(start_positions)) + cross_entropy(end_logits, label(end_positions)))
        .div_scalar(2.0)
}
