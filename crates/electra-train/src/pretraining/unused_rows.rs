//! Rows of the word table that no token has.

use burn::tensor::Tensor;
use electra_model::Parameters;

/// The output bias of word-table rows that no token has. Their probability is then exactly 0 in f32: they are never drawn, take
/// nothing from other tokens, and get no gradient, so that it stays. Half precision holds it too.
const CLOSED: f32 = -1e4;

/// Closes the rows of the generator's output beyond the tokenizer's `tokens` entries ([`CLOSED`]), where they lie.
pub(crate) fn close_unused_rows(parameters: Parameters, tokens: usize) -> Parameters {
    parameters.into_mapped(|_, spec, value| {
        if !spec.name.ends_with("generator_lm_head.bias") || spec.len() <= tokens {
            return value;
        }
        let closed = Tensor::full([spec.len() - tokens], CLOSED, &value.device());
        Tensor::cat(vec![value.narrow(0, 0, tokens), closed], 0)
    })
}
