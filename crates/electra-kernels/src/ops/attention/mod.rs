//! Multi-head self-attention with a padding mask and dropout on the probabilities.
//!   P = softmax(Q K^T / sqrt(head_dim) + mask);  O = dropout(P) V
//! A row whose keys are all masked gives 0 and passes no gradient, never NaN.

mod cpu;
pub(in crate::ops) mod gpu;
pub(crate) mod reference;
#[cfg(test)]
mod tests;

use burn::tensor::Tensor;

use crate::cpu::mask::Mask;
use crate::gpu::Noise;
use crate::place::Place;
use crate::types::{dropout::Dropout, kernel::Kernel, shape::expect};

/// Vaswani et al. 2017, section 3.2.
///
/// `queries`, `keys`, `values`: `[batch * seq, hidden]`, heads side by side in `hidden`.
/// `attention_mask`: `[batch, seq]`, 1 for a token, 0 for padding. Returns `[batch * seq, hidden]`.
///
/// # Panics
/// If the shapes do not fit or `heads` does not divide `hidden`.
pub fn attention(
    queries: Tensor<2>,
    keys: Tensor<2>,
    values: Tensor<2>,
    attention_mask: &Tensor<2>,
    heads: usize,
    probability_dropout: Option<&Dropout<'_>>,
) -> Tensor<2> {
    let [batch, seq] = attention_mask.dims();
    let [tokens, hidden] = queries.dims();
    expect("attention: queries [batch * seq, hidden]", queries.dims(), [batch * seq, hidden]);
    expect("attention: keys [batch * seq, hidden]", keys.dims(), [batch * seq, hidden]);
    expect("attention: values [batch * seq, hidden]", values.dims(), [batch * seq, hidden]);
    if let Some(dropout) = probability_dropout {
        assert_eq!(
            dropout.examples.len(),
            batch,
            "attention: examples of the dropout, expected one per row of the mask"
        );
    }
    assert!(heads > 0 && hidden.is_multiple_of(heads), "attention: {heads} heads do not divide hidden {hidden}");
    match Place::of(Kernel::Attention, &[&queries, &keys, &values, attention_mask]) {
        Place::Cpu if tokens > 0 => {
            let operands = [queries, keys, values].map(crate::cpu::operand);
            let mask = crate::cpu::constant(attention_mask);
            cpu::attention(operands, &mask, heads, Mask::new(probability_dropout)).into_tensor()
        }
        Place::Gpu if tokens > 0 && hidden / heads <= gpu::WIDEST_HEAD => {
            let operands = [queries, keys, values].map(crate::gpu::operand);
            let mask = crate::gpu::constant(attention_mask);
            gpu::attention(operands, mask, heads, Noise::new(probability_dropout)).into_tensor()
        }
        _ => reference::attention(queries, keys, values, attention_mask, heads, probability_dropout),
    }
}
