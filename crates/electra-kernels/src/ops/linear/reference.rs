//! A dense layer in Burn primitives.

use burn::tensor::Tensor;

/// The operation in primitives.
pub(crate) fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
    x.matmul(weight.transpose()) + bias.unsqueeze()
}
