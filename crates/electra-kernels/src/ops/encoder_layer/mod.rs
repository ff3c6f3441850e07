//! One layer of a post-LN transformer encoder: attention, feed-forward, and a residual connection with layer
//! normalization behind each (Devlin et al. 2018; Vaswani et al. 2017, section 3.1).

mod gpu;
pub(crate) mod layer;
pub(crate) mod reference;
#[cfg(test)]
mod tests;

use burn::tensor::Tensor;

use self::layer::{EncoderLayer, LayerSettings};
use crate::gpu::{Noise, constant, operand};
use crate::ops::attention::gpu::WIDEST_HEAD;
use crate::place::{Place, Placed};
use crate::types::{kernel::Kernel, shape::expect};

/// `x`: `[batch * seq, hidden]`; `attention_mask`: `[batch, seq]`, 1 for a token, 0 for padding. Returns the shape of `x`.
///
/// # Panics
/// If the shapes do not fit.
pub fn encoder_layer(
    x: Tensor<2>,
    attention_mask: &Tensor<2>,
    layer: &EncoderLayer,
    settings: &LayerSettings<'_>,
) -> Tensor<2> {
    let ([tokens, hidden], [batch, seq]) = (x.dims(), attention_mask.dims());
    expect("encoder_layer: x [batch * seq, hidden]", x.dims(), [batch * seq, hidden]);
    let dense = [&layer.query, &layer.key, &layer.value, &layer.attention_output, &layer.intermediate, &layer.output];
    let norms = [&layer.attention_layer_norm, &layer.output_layer_norm];
    let mut operands: Vec<&dyn Placed> = vec![&x, attention_mask];
    operands.extend(dense.iter().flat_map(|(weight, bias)| [weight as &dyn Placed, bias]));
    operands.extend(norms.iter().flat_map(|(gamma, beta)| [gamma as &dyn Placed, beta]));
    let kernels = [Kernel::Attention, Kernel::LayerNorm, Kernel::Linear, Kernel::EncoderLayer];
    let runs = kernels.into_iter().all(|kernel| Place::of(kernel, &operands) == Place::Gpu);
    let is_narrow = hidden / settings.heads.max(1) <= WIDEST_HEAD;
    if !(is_narrow && tokens > 0 && runs) {
        return reference::composed(x, attention_mask, layer, settings);
    }
    let inner = layer.intermediate.0.dims()[0];
    for (what, (weight, bias), shape) in [
        ("query", &layer.query, [hidden, hidden]),
        ("key", &layer.key, [hidden, hidden]),
        ("value", &layer.value, [hidden, hidden]),
        ("attention output", &layer.attention_output, [hidden, hidden]),
        ("intermediate", &layer.intermediate, [inner, hidden]),
        ("output", &layer.output, [hidden, inner]),
    ] {
        expect(&format!("encoder_layer: {what} weight [out, in]"), weight.dims(), shape);
        expect(&format!("encoder_layer: {what} bias [out]"), bias.dims(), [shape[0]]);
    }
    for (gamma, beta) in norms {
        expect("encoder_layer: gamma [hidden]", gamma.dims(), [hidden]);
        expect("encoder_layer: beta [hidden]", beta.dims(), [hidden]);
    }
    assert!(hidden.is_multiple_of(settings.heads), "encoder_layer: {} heads do not divide {hidden}", settings.heads);

    let two = |(weight, bias): &(Tensor<2>, Tensor<1>)| [operand(weight.clone()), operand(bias.clone())];
    let norm = |(gamma, beta): &(Tensor<1>, Tensor<1>)| [operand(gamma.clone()), operand(beta.clone())];
    let [query, key] = [two(&layer.query), two(&layer.key)];
    let [value, output] = [two(&layer.value), two(&layer.attention_output)];
    let [first, second] = norms.map(norm);
    let [up, down] = [two(&layer.intermediate), two(&layer.output)];
    let mut operands = vec![operand(x)];
    operands.extend([query, key, value, output, first, up, down, second].into_iter().flatten());
    let operands = operands.try_into().unwrap_or_else(|_| unreachable!("the input and sixteen parameters"));
    let settings = gpu::Settings {
        mask: constant(attention_mask),
        heads: settings.heads,
        epsilon: settings.epsilon as f32,
        recompute: settings.recompute,
        noise: settings.dropout.each_ref().map(|dropout| Noise::new(dropout.as_ref())),
    };
    gpu::encoder_layer(operands, settings).into_tensor()
}
