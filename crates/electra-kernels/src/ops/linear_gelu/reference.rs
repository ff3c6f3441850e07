//! A dense layer and GELU in Burn primitives.

use burn::tensor::{Tensor, activation};

use crate::ops::linear::reference::linear;

/// The operation in primitives.
pub(crate) fn linear_gelu(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
    activation::gelu(linear(x, weight, bias))
}
