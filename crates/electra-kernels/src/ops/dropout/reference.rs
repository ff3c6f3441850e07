//! Dropout in Burn primitives.

use burn::tensor::Tensor;

use crate::types::dropout::Dropout;

/// The operation in primitives.
pub(crate) fn dropped<const D: usize>(x: Tensor<D>, dropout: &Dropout<'_>) -> Tensor<D> {
    let mask = dropout.mask(x.dims(), &x.device()).cast(x.dtype());
    x * mask
}
