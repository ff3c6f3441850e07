//! Dropout whose mask is a hash of the element's place, so that it can be made again at any time.
//!
//!   y = x * keep / (1 - p),   keep = hash(key, example, index within the example) >= p * 2^32
//! The example's number in the global batch is part of the key: micro-batches of any size give the same masks.

mod cpu;
mod gpu;
pub(crate) mod reference;
#[cfg(test)]
mod tests;

use burn::tensor::Tensor;

use crate::cpu::mask::Mask;
use crate::gpu::Noise;
use crate::place::Place;
use crate::types::{dropout::Dropout, kernel::Kernel};

/// Applies `dropout`, if there is any, to `x`, whose rows belong to the examples in order.
///
/// # Panics
/// If the elements of `x` do not divide evenly among `dropout.examples`.
pub fn dropout<const D: usize>(x: Tensor<D>, dropout: Option<&Dropout<'_>>) -> Tensor<D> {
    let Some(dropout) = dropout.filter(|dropout| dropout.probability > 0.0) else { return x };
    let shape = x.dims();
    let elements: usize = shape.iter().product();
    assert!(
        elements.is_multiple_of(dropout.examples.len()),
        "{elements} elements of shape {shape:?} do not divide among {} examples",
        dropout.examples.len()
    );
    match Place::of(Kernel::Dropout, &[&x]) {
        Place::Cpu if elements > 0 => {
            let mask = Mask::new(Some(dropout)).expect("something is dropped");
            cpu::dropout(crate::cpu::operand(x), mask).into_tensor()
        }
        Place::Gpu if elements > 0 => {
            let noise = Noise::new(Some(dropout)).expect("something is dropped");
            gpu::dropout(crate::gpu::operand(x), noise).into_tensor()
        }
        _ => reference::dropped(x, dropout),
    }
}
