//! The log-probabilities in Burn primitives.

use burn::tensor::{Int, Tensor, activation};

use crate::ops::linear::reference::linear;
use crate::ops::mlm_loss::reference::logits_by;
use crate::types::table::Table;

/// The operation in primitives.
pub(crate) fn token_log_probabilities(
    hidden: Tensor<2>,
    table: impl Into<Table>,
    bias: Tensor<1>,
    targets: Tensor<1, Int>,
) -> Tensor<1> {
    let [rows] = targets.dims();
    let logits = logits_by(linear, &hidden, &table.into(), bias);
    activation::log_softmax(logits, 1).gather(1, targets.reshape([rows, 1])).reshape([rows])
}
