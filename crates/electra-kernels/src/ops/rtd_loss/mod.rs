//! The discriminator's replaced-token-detection loss.
//!   l = max(d, 0) - d y + log1p(exp(-|d|)) over all tokens, padding excluded;  loss = sum l m / (M + 1e-6)
//! M counts the *whole* batch, known from the masks beforehand, so that micro-batches add up exactly. ELECTRA paper,
//! section 3.1.

mod cpu;
mod gpu;
pub(crate) mod reference;
#[cfg(test)]
mod tests;

use burn::tensor::Tensor;

use crate::place::Place;
use crate::types::{kernel::Kernel, losses::COUNT_EPSILON, shape::expect};

/// Replaced-token-detection loss, `[1]`.
///
/// `logits`, `is_replaced` (0 or 1), `token_mask` (0 for padding): `[batch, seq]`; `total_tokens`: number of
/// tokens in the whole batch, [CLS] and [SEP] included.
///
/// # Panics
/// If the shapes do not fit.
pub fn rtd_loss(logits: Tensor<2>, is_replaced: Tensor<2>, token_mask: Tensor<2>, total_tokens: f64) -> Tensor<1> {
    expect("rtd_loss: is_replaced [batch, seq]", is_replaced.dims(), logits.dims());
    expect("rtd_loss: token_mask [batch, seq]", token_mask.dims(), logits.dims());
    let denominator = total_tokens + COUNT_EPSILON;
    match Place::of(Kernel::ElectraLoss, &[&logits, &is_replaced, &token_mask]) {
        Place::Cpu => {
            let [is_replaced, token_mask] = [is_replaced, token_mask].map(|x| crate::cpu::constant(&x));
            cpu::loss(crate::cpu::operand(logits), &is_replaced, &token_mask, denominator).into_tensor()
        }
        Place::Gpu => {
            let [is_replaced, token_mask] = [is_replaced, token_mask].map(|x| crate::gpu::constant(&x));
            gpu::loss(crate::gpu::operand(logits), is_replaced, token_mask, denominator).into_tensor()
        }
        Place::Reference => reference::rtd_loss(logits, is_replaced, token_mask, total_tokens),
    }
}
