//! What the tests of the CPU's operations share.

use burn::tensor::{Device, Tensor, TensorData};

use crate::noise::NoiseKey;

/// f64's complementary error function.
pub(crate) fn erfc(x: f64) -> f64 {
    libm::erfc(x)
}

/// Uniform in [-1, 1), reproducible.
pub(crate) fn random(seed: u64, length: usize) -> Vec<f32> {
    let key = NoiseKey::new(seed);
    (0..length).map(|index| key.uniform_f64(index as u64, 0) as f32 * 2.0 - 1.0).collect()
}

/// A tensor of the CPU backend that wants a gradient.
pub(crate) fn leaf<const D: usize>(values: &[f32], shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), &Device::flex().autodiff()).require_grad()
}

/// A tensor of the CPU backend that takes none.
pub(crate) fn plain<const D: usize>(values: &[f32], shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), &Device::flex().autodiff())
}

pub(crate) fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec::<f32>().unwrap()
}

/// Largest difference relative to the largest expected value, at least `floor`. NaN counts as infinite.
pub(crate) fn error(found: &[f32], expected: &[f64], floor: f64) -> f64 {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(floor, |largest, x| largest.max(x.abs()));
    let difference = |(&found, &expected): (&f32, &f64)| {
        let difference = (f64::from(found) - expected).abs();
        if difference.is_nan() { f64::INFINITY } else { difference }
    };
    found.iter().zip(expected).map(difference).fold(0.0, f64::max) / largest
}

pub(crate) fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

/// Runs `body` twice on the usual threads and once on pools of 1, 2 and 4: the same bits each time.
pub(crate) fn assert_same_bits(body: impl Fn() -> Vec<Vec<f32>> + Sync) {
    let bits = |values: Vec<Vec<f32>>| -> Vec<Vec<u32>> {
        values.into_iter().map(|values| values.into_iter().map(f32::to_bits).collect()).collect()
    };
    let expected = bits(body());
    assert!(expected == bits(body()), "two runs differ");
    for threads in [1, 2, 4] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert!(expected == bits(pool.install(&body)), "{threads} threads differ");
    }
}
