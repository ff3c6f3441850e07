//! Rows of the word table that no token has.

use burn::tensor::Device;
use electra_model::Parameters;

use crate::error::{During, Result};
use crate::host;

/// The output bias of word-table rows that no token has. Their probability is then exactly 0 in f32: they are never drawn, take
/// nothing from other tokens, and get no gradient, so that it stays. Half precision holds it too.
const CLOSED: f32 = -1e4;

/// Closes the rows of the generator's output beyond the tokenizer's `tokens` entries ([`CLOSED`]).
///
/// # Errors
/// The device fails.
pub(crate) fn close_unused_rows(parameters: Parameters, tokens: usize, device: &Device) -> Result<Parameters> {
    let is_output = |name: &str| name.ends_with("generator_lm_head.bias");
    if !parameters.specs().iter().any(|spec| is_output(&spec.name) && spec.len() > tokens) {
        return Ok(parameters);
    }
    let mut read = host::parameters_to_host(&parameters).during("closing rows without a token")?.into_iter();
    Ok(Parameters::from_values(parameters.layout(), device, |spec| {
        let mut values = read.next().expect("one per parameter").values;
        if is_output(&spec.name) {
            values[tokens..].fill(CLOSED);
        }
        values
    }))
}
