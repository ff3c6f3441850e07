//! A layer's weights and settings.

use burn::tensor::Tensor;

use crate::types::dropout::Dropout;

/// A layer's weights: dense ones `[out, in]` with `[out]`, layer normalizations gamma and beta `[hidden]`.
#[derive(Debug, Clone)]
pub struct EncoderLayer {
    /// `[hidden, hidden]`, as key, value and the attention's output.
    pub query: (Tensor<2>, Tensor<1>),
    /// As the query's.
    pub key: (Tensor<2>, Tensor<1>),
    /// As the query's.
    pub value: (Tensor<2>, Tensor<1>),
    /// What the heads' results go through.
    pub attention_output: (Tensor<2>, Tensor<1>),
    /// Behind the attention and its residual connection.
    pub attention_layer_norm: (Tensor<1>, Tensor<1>),
    /// `[inner, hidden]`
    pub intermediate: (Tensor<2>, Tensor<1>),
    /// `[hidden, inner]`
    pub output: (Tensor<2>, Tensor<1>),
    /// Behind the feed-forward and its residual connection.
    pub output_layer_norm: (Tensor<1>, Tensor<1>),
}

/// What a layer does beside its weights.
#[derive(Debug, Clone)]
pub struct LayerSettings<'a> {
    /// They divide the hidden size.
    pub heads: usize,
    /// Of both layer normalizations, added to the variance.
    pub epsilon: f64,
    /// Keep the layer's input alone for the backward pass, and run the layer again there: less memory, up to a third more time.
    /// On graphics adapters; elsewhere everything is kept.
    pub recompute: bool,
    /// Of the attention's probabilities, of its output, and of the feed-forward's output.
    pub dropout: [Option<Dropout<'a>>; 3],
}
