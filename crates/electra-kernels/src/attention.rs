//! Multi-head self-attention with a padding mask and dropout on the probabilities.
//!   P = softmax(Q K^T / sqrt(head_dim) + mask);  O = dropout(P) V
//! A row whose keys are all masked gives 0 and passes no gradient, never NaN.

use burn::tensor::{Tensor, activation};

use crate::{
    cpu,
    dropout::Dropout,
    gpu::{self, Kernel},
    shape::expect,
};

/// Added to the score of a masked key. Finite, so that a row without any key stays a number.
const MASKED_SCORE: f64 = -1e30;

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
    let on_cpu = [cpu::is_cpu(&queries), cpu::is_cpu(&keys), cpu::is_cpu(&values), cpu::is_cpu(attention_mask)];
    if on_cpu == [true; 4] && tokens > 0 {
        let operands = [cpu::operand(queries), cpu::operand(keys), cpu::operand(values)];
        let mask = cpu::dropout::Mask::new(probability_dropout);
        return cpu::attention::attention(operands, &cpu::constant(attention_mask), heads, mask).into_tensor();
    }
    let on_gpu = [gpu::is_gpu(&queries), gpu::is_gpu(&keys), gpu::is_gpu(&values), gpu::is_gpu(attention_mask)];
    if gpu::runs(Kernel::Attention, &queries, on_gpu) && tokens > 0 && hidden / heads <= gpu::attention::WIDEST_HEAD {
        let operands = [gpu::operand(queries), gpu::operand(keys), gpu::operand(values)];
        let noise = gpu::Noise::new(probability_dropout);
        return gpu::attention::attention(operands, gpu::constant(attention_mask), heads, noise).into_tensor();
    }
    reference(queries, keys, values, attention_mask, heads, probability_dropout)
}

/// The function above in primitives.
#[doc(hidden)]
pub fn reference(
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
        Some(dropout) => crate::dropout::reference(probabilities, dropout),
        None => probabilities,
    };
    let output = probabilities.matmul(split(values)) * any_key;
    output.swap_dims(1, 2).reshape([tokens, hidden])
}
