//! Dropout whose mask is a hash of the element's place, so that it can be made again at any time.
//!
//!   y = x * keep / (1 - p),   keep = hash(key, example, index within the example) >= p * 2^32
//! The example's number in the global batch is part of the key: micro-batches of any size give the same masks.

use burn::tensor::{Device, Tensor, TensorData};

use crate::{
    cpu,
    gpu::{self, Kernel},
    noise::NoiseKey,
};

/// One site's dropout in one step.
#[derive(Debug, Clone)]
pub struct Dropout<'a> {
    /// Probability of dropping an element, in [0, 1).
    pub probability: f64,
    /// (seed, step, network, layer, site).
    pub key: NoiseKey,
    /// Number of each row's example in the global batch, `[batch]`.
    pub examples: &'a [u32],
}

impl Dropout<'_> {
    /// Bits below it drop. Compared as integers, so that every platform keeps the same elements.
    pub(crate) fn threshold(&self) -> u32 {
        (self.probability * 4_294_967_296.0) as u32
    }

    /// 1 / (1 - p)
    pub(crate) fn scale(&self) -> f32 {
        (1.0 / (1.0 - self.probability)) as f32
    }

    /// Factors 0 or 1 / (1 - p), `[batch * per_example]`.
    pub fn factors(&self, per_example: usize) -> Vec<f32> {
        let (threshold, scale) = (self.threshold(), self.scale());
        let mut factors = vec![0.0; self.examples.len() * per_example];
        let fill = |row: usize, factors: &mut [f32]| {
            let key = self.key.child(u64::from(self.examples[row]));
            for (index, factor) in factors.iter_mut().enumerate() {
                *factor = if key.bits(index as u32) >= threshold { scale } else { 0.0 };
            }
        };
        crate::parallel_rows(&mut factors, per_example, fill);
        factors
    }

    /// The factors as a tensor of `shape`, whose first dimensions are `[batch, ...]`.
    pub fn mask<const D: usize>(&self, shape: [usize; D], device: &Device) -> Tensor<D> {
        let per_example = shape.iter().product::<usize>() / self.examples.len();
        Tensor::from_data(TensorData::new(self.factors(per_example), shape), device)
    }
}

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
    match cpu::dropout::Mask::new(Some(dropout)) {
        Some(mask) if cpu::is_cpu(&x) && elements > 0 => cpu::dropout::dropout(cpu::operand(x), mask).into_tensor(),
        Some(_) if gpu::runs(Kernel::Dropout, &x, [gpu::is_gpu(&x)]) && elements > 0 => {
            let noise = gpu::Noise::new(Some(dropout)).expect("something is dropped");
            gpu::dropout::dropout(gpu::operand(x), noise).into_tensor()
        }
        _ => reference(x, dropout),
    }
}

/// The function above in primitives.
#[doc(hidden)]
pub fn reference<const D: usize>(x: Tensor<D>, dropout: &Dropout<'_>) -> Tensor<D> {
    let mask = dropout.mask(x.dims(), &x.device()).cast(x.dtype());
    x * mask
}
