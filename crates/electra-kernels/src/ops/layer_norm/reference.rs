//! Layer normalization in Burn primitives.

use burn::tensor::Tensor;

/// `layer_norm` in primitives.
pub(crate) fn layer_norm(x: Tensor<2>, gamma: Tensor<1>, beta: Tensor<1>, epsilon: f64) -> Tensor<2> {
    let centred = x.clone() - x.mean_dim(1);
    let variance = (centred.clone() * centred.clone()).mean_dim(1);
    centred * variance.add_scalar(epsilon).sqrt().recip() * gamma.unsqueeze() + beta.unsqueeze()
}
