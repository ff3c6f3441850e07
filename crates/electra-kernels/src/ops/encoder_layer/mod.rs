//! One layer of a post-LN transformer encoder: attention, feed-forward, and a residual connection with layer
//! normalization behind each (Devlin et al. 2018; Vaswani et al. 2017, section 3.1).

mod gpu;
pub(crate) mod layer;
pub(crate) mod reference;
#[cfg(test)]
mod tests;

use burn::tensor::Tensor;

use self::layer::{EncoderLayer, LayerSettings};
use crate::gpu::{Noise, operand};
use crate::ops::attention::gpu::{Pattern, WIDEST_HEAD};
use crate::place::{Place, Placed};
use crate::types::{kernel::Kernel, shape::expect, visibility::Visibility};

/// A layer whose tokens see one another. `x`: `[batch * seq, hidden]`, each row a query and a key. Returns the shape of `x`.
///
/// # Panics
/// If the shapes do not fit.
pub fn encoder_layer(
    x: Tensor<2>,
    visibility: &Visibility,
    layer: &EncoderLayer,
    settings: &LayerSettings<'_>,
) -> Tensor<2> {
    let ([tokens, hidden], batch) = (x.dims(), visibility.batch());
    expect("encoder_layer: x [batch * keys, hidden]", x.dims(), [batch * visibility.keys(), hidden]);
    expect("encoder_layer: x [batch * queries, hidden]", x.dims(), [batch * visibility.queries(), hidden]);
    let dense = [&layer.query, &layer.key, &layer.value, &layer.attention_output, &layer.intermediate, &layer.output];
    let norms = [&layer.attention_layer_norm, &layer.output_layer_norm];
    let mut operands: Vec<&dyn Placed> = vec![&x, &visibility.pattern];
    operands.extend(dense.iter().flat_map(|(weight, bias)| [weight as &dyn Placed, bias]));
    operands.extend(norms.iter().flat_map(|(gamma, beta)| [gamma as &dyn Placed, beta]));
    let kernels = [Kernel::Attention, Kernel::LayerNorm, Kernel::Linear, Kernel::EncoderLayer];
    let runs = kernels.into_iter().all(|kernel| Place::of(kernel, &operands) == Place::Gpu);
    let is_narrow = hidden / settings.heads.max(1) <= WIDEST_HEAD;
    if !(is_narrow && tokens > 0 && runs) {
        return reference::composed(x.clone(), x, visibility, layer, settings);
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
        pattern: Pattern::new(visibility),
        heads: settings.heads,
        epsilon: settings.epsilon as f32,
        recompute: settings.recompute,
        noise: settings.dropout.each_ref().map(|dropout| Noise::new(dropout.as_ref())),
    };
    gpu::encoder_layer(operands, settings).into_tensor()
}

/// A layer whose queries are of one stream, and keys and values of another (XLNet's query stream): its operations one after
/// another, each where it is fastest. `x`: `[batch * queries, hidden]`; `memory`: `[batch * keys, hidden]`. Returns the shape of `x`.
///
/// # Panics
/// If the shapes do not fit.
pub fn cross_layer(
    x: Tensor<2>,
    memory: Tensor<2>,
    visibility: &Visibility,
    layer: &EncoderLayer,
    settings: &LayerSettings<'_>,
) -> Tensor<2> {
    reference::composed(x, memory, visibility, layer, settings)
}
