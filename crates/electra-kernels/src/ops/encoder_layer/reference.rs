//! A layer as its operations, one after another.

use burn::tensor::Tensor;

use super::layer::{EncoderLayer, LayerSettings};
use crate::ops::attention::attention;
use crate::ops::layer_norm::add_layer_norm;
use crate::ops::linear::linear;
use crate::ops::linear_gelu::linear_gelu;
use crate::types::dropout::Dropout;

/// The layer as its operations, one after another.
pub(crate) fn composed(
    x: Tensor<2>,
    attention_mask: &Tensor<2>,
    layer: &EncoderLayer,
    settings: &LayerSettings<'_>,
) -> Tensor<2> {
    let dense = |x: Tensor<2>, (weight, bias): &(Tensor<2>, Tensor<1>)| linear(x, weight.clone(), bias.clone());
    let residual = |x, branch, dropout: &Option<Dropout<'_>>, (gamma, beta): &(Tensor<1>, Tensor<1>)| {
        add_layer_norm(x, branch, dropout.as_ref(), gamma.clone(), beta.clone(), settings.epsilon)
    };
    let [of_probabilities, of_attention, of_output] = &settings.dropout;
    let attended = attention(
        dense(x.clone(), &layer.query),
        dense(x.clone(), &layer.key),
        dense(x.clone(), &layer.value),
        attention_mask,
        settings.heads,
        of_probabilities.as_ref(),
    );
    let branch = dense(attended, &layer.attention_output);
    let x = residual(x, branch, of_attention, &layer.attention_layer_norm);
    let expanded = linear_gelu(x.clone(), layer.intermediate.0.clone(), layer.intermediate.1.clone());
    residual(x, dense(expanded, &layer.output), of_output, &layer.output_layer_norm)
}
