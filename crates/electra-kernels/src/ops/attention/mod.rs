//! Multi-head attention with a pattern of who sees whom, and dropout on the probabilities.
//!   P = softmax(Q K^T / sqrt(head_dim)) over the keys that a query sees;  O = dropout(P) V
//! A query that sees nothing gives 0 and passes no gradient, never NaN. Queries may be of another stream than keys and values,
//! and of another number.

mod cpu;
pub(in crate::ops) mod gpu;
pub(crate) mod reference;
#[cfg(test)]
mod tests;

use burn::tensor::Tensor;

use crate::cpu::mask::Mask;
use crate::gpu::Noise;
use crate::place::Place;
use crate::types::{dropout::Dropout, kernel::Kernel, shape::expect, visibility::Visibility};

/// Vaswani et al. 2017, section 3.2.
///
/// `queries`: `[batch * queries, hidden]`; `keys`, `values`: `[batch * keys, hidden]`; heads side by side in `hidden`. Returns the
/// shape of `queries`.
///
/// # Panics
/// If the shapes do not fit or `heads` does not divide `hidden`.
pub fn attention(
    queries: Tensor<2>,
    keys: Tensor<2>,
    values: Tensor<2>,
    visibility: &Visibility,
    heads: usize,
    probability_dropout: Option<&Dropout<'_>>,
) -> Tensor<2> {
    let ([tokens, hidden], batch) = (queries.dims(), visibility.batch());
    let of_keys = [batch * visibility.keys(), hidden];
    expect("attention: queries [batch * queries, hidden]", queries.dims(), [batch * visibility.queries(), hidden]);
    expect("attention: keys [batch * keys, hidden]", keys.dims(), of_keys);
    expect("attention: values [batch * keys, hidden]", values.dims(), of_keys);
    if let Some(dropout) = probability_dropout {
        assert_eq!(dropout.examples.len(), batch, "attention: examples of the dropout, expected one per example");
    }
    assert!(heads > 0 && hidden.is_multiple_of(heads), "attention: {heads} heads do not divide hidden {hidden}");
    let is_any = tokens > 0 && visibility.keys() > 0;
    match Place::of(Kernel::Attention, &[&queries, &keys, &values, &visibility.pattern]) {
        Place::Cpu if is_any => {
            let operands = [queries, keys, values].map(crate::cpu::operand);
            cpu::attention(operands, visibility, heads, Mask::new(probability_dropout)).into_tensor()
        }
        Place::Gpu if is_any && hidden / heads <= gpu::WIDEST_HEAD => {
            let operands = [queries, keys, values].map(crate::gpu::operand);
            let pattern = gpu::Pattern::new(visibility);
            gpu::attention(operands, pattern, heads, Noise::new(probability_dropout)).into_tensor()
        }
        _ => reference::attention(queries, keys, values, visibility, heads, probability_dropout),
    }
}
