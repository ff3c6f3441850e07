//! One layer of a post-LN transformer encoder: attention, feed-forward, and a residual connection with layer
//! normalization behind each (Devlin et al. 2018; Vaswani et al. 2017, section 3.1).

use burn::tensor::Tensor;

use crate::{
    add_layer_norm, attention,
    dropout::Dropout,
    gelu_linear,
    gpu::{self, Kernel},
    linear,
    shape::expect,
};

/// A layer's weights: dense ones `[out, in]` with `[out]`, layer normalizations gamma and beta `[hidden]`.
#[derive(Debug, Clone)]
pub struct EncoderLayer {
    pub query: (Tensor<2>, Tensor<1>),
    pub key: (Tensor<2>, Tensor<1>),
    pub value: (Tensor<2>, Tensor<1>),
    pub attention_output: (Tensor<2>, Tensor<1>),
    pub attention_layer_norm: (Tensor<1>, Tensor<1>),
    /// `[inner, hidden]`
    pub intermediate: (Tensor<2>, Tensor<1>),
    /// `[hidden, inner]`
    pub output: (Tensor<2>, Tensor<1>),
    pub output_layer_norm: (Tensor<1>, Tensor<1>),
}

/// What a layer does beside its weights.
#[derive(Debug, Clone)]
pub struct LayerSettings<'a> {
    pub heads: usize,
    pub epsilon: f64,
    /// Keep the layer's input alone for the backward pass, and run the layer again there: less memory, up to a third more time.
    /// On graphics adapters; elsewhere everything is kept.
    pub recompute: bool,
    /// Of the attention's probabilities, of its output, and of the feed-forward's output.
    pub dropout: [Option<Dropout<'a>>; 3],
}

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
    let fit = gpu::is_gpu(&x)
        && gpu::is_gpu(attention_mask)
        && dense.iter().all(|(weight, bias)| gpu::is_gpu(weight) && gpu::is_gpu(bias))
        && norms.iter().all(|(gamma, beta)| gpu::is_gpu(gamma) && gpu::is_gpu(beta));
    let kernels = [Kernel::Attention, Kernel::LayerNorm, Kernel::Linear, Kernel::EncoderLayer];
    let narrow = hidden / settings.heads.max(1) <= gpu::attention::WIDEST_HEAD;
    if !(narrow && tokens > 0 && kernels.into_iter().all(|kernel| gpu::runs(kernel, &x, [fit]))) {
        return composed(x, attention_mask, layer, settings);
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

    let two = |(weight, bias): &(Tensor<2>, Tensor<1>)| [gpu::operand(weight.clone()), gpu::operand(bias.clone())];
    let norm = |(gamma, beta): &(Tensor<1>, Tensor<1>)| [gpu::operand(gamma.clone()), gpu::operand(beta.clone())];
    let [query, key] = [two(&layer.query), two(&layer.key)];
    let [value, output] = [two(&layer.value), two(&layer.attention_output)];
    let [first, second] = norms.map(norm);
    let [up, down] = [two(&layer.intermediate), two(&layer.output)];
    let mut operands = vec![gpu::operand(x)];
    operands.extend([query, key, value, output, first, up, down, second].into_iter().flatten());
    let operands = operands.try_into().unwrap_or_else(|_| unreachable!("the input and sixteen parameters"));
    let settings = gpu::encoder_layer::Settings {
        mask: gpu::constant(attention_mask),
        heads: settings.heads,
        epsilon: settings.epsilon as f32,
        recompute: settings.recompute,
        noise: settings.dropout.each_ref().map(|dropout| gpu::Noise::new(dropout.as_ref())),
    };
    gpu::encoder_layer::encoder_layer(operands, settings).into_tensor()
}

/// The function above as its operations, one after another.
#[doc(hidden)]
pub fn composed(
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
    let expanded = gelu_linear(x.clone(), layer.intermediate.0.clone(), layer.intermediate.1.clone());
    residual(x, dense(expanded, &layer.output), of_output, &layer.output_layer_norm)
}
