//! One site's dropout: which elements are dropped is a hash of their place.

use burn::tensor::{Device, Tensor, TensorData};

use crate::noise::NoiseKey;
use crate::parallel::parallel_rows;

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
        parallel_rows(&mut factors, per_example, fill);
        factors
    }

    /// The factors as a tensor of `shape`, whose first dimensions are `[batch, ...]`.
    pub fn mask<const D: usize>(&self, shape: [usize; D], device: &Device) -> Tensor<D> {
        let per_example = shape.iter().product::<usize>() / self.examples.len();
        Tensor::from_data(TensorData::new(self.factors(per_example), shape), device)
    }
}
