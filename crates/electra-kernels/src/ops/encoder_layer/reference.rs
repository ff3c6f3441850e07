//! A layer as its operations, one after another: where it is no node of its own, and where keys are of another stream.

use burn::tensor::Tensor;

use super::layer::{EncoderLayer, LayerSettings};
use crate::ops::attention::attention;
use crate::ops::layer_norm::add_layer_norm;
use crate::ops::linear::linear;
use crate::ops::linear_gelu::linear_gelu;
use crate::types::{dropout::Dropout, visibility::Visibility};

/// The layer over `x`, whose queries see keys and values of `memory`: of `x` itself in self-attention.
pub(crate) fn composed(
    x: Tensor<2>,
    memory: Tensor<2>,
    visibility: &Visibility,
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
        dense(memory.clone(), &layer.key),
        dense(memory, &layer.value),
        visibility,
        settings.heads,
        of_probabilities.as_ref(),
    );
    let branch = dense(attended, &layer.attention_output);
    let x = residual(x, branch, of_attention, &layer.attention_layer_norm);
    let expanded = linear_gelu(x.clone(), layer.intermediate.0.clone(), layer.intermediate.1.clone());
    residual(x, dense(expanded, &layer.output), of_output, &layer.output_layer_norm)
}
