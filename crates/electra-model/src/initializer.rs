//! First values of parameters.

use electra_kernels::noise::NoiseKey;

use crate::neighbours::{NeighbourPart, Neighbours};

/// How a parameter gets its first value. docs/electra-semantics.md, "Model", point 5.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Initializer {
    /// 0 everywhere.
    Zeros,
    /// 1 everywhere.
    Ones,
    /// Normal with this standard deviation, redrawn beyond two of them (TensorFlow's `truncated_normal`).
    TruncatedNormal(f64),
    /// Uniform within `sqrt(6 / (fan_in + fan_out))`, TensorFlow's default for a dense layer.
    GlorotUniform,
    /// Row `position` of a table: sines and cosines of it (Vaswani et al. 2017, section 3.5), of this standard deviation.
    Sinusoidal(f64),
    /// A part of a network that looks at neighbours from the start.
    Neighbours(Neighbours, NeighbourPart),
}

impl Initializer {
    /// The first values of the parameter `name`, row-major. Of the seed and the name alone.
    pub(crate) fn values(&self, name: &str, shape: &[usize], seed: u64) -> Vec<f32> {
        let len = shape.iter().product();
        match *self {
            Initializer::Zeros => vec![0.0; len],
            Initializer::Ones => vec![1.0; len],
            Initializer::TruncatedNormal(deviation) => {
                let key = NoiseKey::new(seed).child_str(name);
                (0..len).map(|i| (truncated_normal(key, i) * deviation) as f32).collect()
            }
            Initializer::GlorotUniform => {
                let key = NoiseKey::new(seed).child_str(name);
                let limit = (6.0 / shape.iter().sum::<usize>() as f64).sqrt();
                (0..len).map(|i| ((2.0 * key.uniform_f64(i as u64, 0) - 1.0) * limit) as f32).collect()
            }
            Initializer::Sinusoidal(deviation) => {
                let width = shape[1];
                // A sine's standard deviation is 1 / sqrt(2) of its amplitude.
                (0..len).map(|i| (sinusoid(i / width, i % width, width) * deviation * 2f64.sqrt()) as f32).collect()
            }
            Initializer::Neighbours(neighbours, part) => {
                neighbours.values(part, len, shape[1], NoiseKey::new(seed).child_str(name))
            }
        }
    }
}

fn sinusoid(position: usize, column: usize, width: usize) -> f64 {
    let angle = position as f64 / 10_000f64.powf((column / 2 * 2) as f64 / width as f64);
    if column.is_multiple_of(2) { angle.sin() } else { angle.cos() }
}

/// A standard normal by Box and Muller, redrawn until it lies within two deviations.
pub(crate) fn truncated_normal(key: NoiseKey, index: usize) -> f64 {
    for attempt in 0.. {
        let radius = (-2.0 * (1.0 - key.uniform_f64(index as u64, 2 * attempt)).ln()).sqrt();
        let angle = std::f64::consts::TAU * key.uniform_f64(index as u64, 2 * attempt + 1);
        let value = radius * angle.cos();
        if value.abs() <= 2.0 {
            return value;
        }
    }
    unreachable!("95 % of draws lie within two deviations")
}
