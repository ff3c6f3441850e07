//! What the tests of the shaders share: a device, and an oracle in f64.
//!
//! An operation runs twice from the same values: through its public function on a graphics adapter, and through its
//! reference body in f64 on the CPU. The oracle itself is held against finite differences.

use burn::tensor::{DType, Device, Tensor, TensorData};
use burn_wgpu::CubeTensor;

use super::bounds;
use crate::device::for_tests::gpu;
use crate::gpu::instruments::{as_on_a_card, assert_canaries, divided, poison};
use crate::gpu::{constant, tensor, view};
use crate::noise::NoiseKey;

/// The adapter that tests run on, a software one included, with poison on; `None` where it is left out.
///
/// # Panics
/// Where there is none.
pub(crate) fn device() -> Option<Device> {
    poison();
    bounds::repeat_if_asked();
    Some(gpu()?.device)
}

/// Uniform in [-1, 1), reproducible.
pub(crate) fn random(seed: u64, length: usize) -> Vec<f64> {
    let key = NoiseKey::new(seed);
    // Rounded, so that f32 and f64 start from the same values.
    (0..length).map(|index| f64::from(key.uniform_f64(index as u64, 0) as f32 * 2.0 - 1.0)).collect()
}

/// An operation's operands: values and shape of each.
pub(crate) type Operands = Vec<(Vec<f64>, [usize; 2])>;

/// Random operands of these shapes.
pub(crate) fn operands(shapes: &[[usize; 2]]) -> Operands {
    shapes
        .iter()
        .enumerate()
        .map(|(i, &[rows, columns])| (random(i as u64 + 1, rows * columns), [rows, columns]))
        .collect()
}

/// The result of `operation` and the gradients of all operands, for a loss that weighs each value of the result
/// differently.
pub(crate) fn run(
    device: &Device,
    dtype: DType,
    operands: &Operands,
    operation: &dyn Fn(Vec<Tensor<2>>) -> Tensor<2>,
) -> Vec<Vec<f64>> {
    let device = device.clone().autodiff();
    let leaf = |values: &[f64], shape: [usize; 2]| {
        Tensor::<2>::from_data(TensorData::new(values.to_vec(), shape).convert_dtype(dtype), (&device, dtype))
    };
    let leaves: Vec<Tensor<2>> = operands.iter().map(|(values, shape)| leaf(values, *shape).require_grad()).collect();
    let result = operation(leaves.clone());
    let shape = result.dims();
    let weights = leaf(&random(99, shape[0] * shape[1]), shape);
    let gradients = (result.clone() * weights).sum().backward();
    let host = |tensor: Tensor<2>| tensor.into_data().iter::<f64>().collect::<Vec<f64>>();
    let mut found = vec![host(result)];
    for leaf in leaves {
        found.push(leaf.grad(&gradients).map_or_else(Vec::new, host));
    }
    found
}

/// Largest difference of two arrays, relative to the largest expected value (at least 1e-2).
pub(crate) fn error(found: &[f64], expected: &[f64]) -> f64 {
    error_above(1e-2, found, expected)
}

fn error_above(floor: f64, found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(floor, |largest: f64, x| largest.max(x.abs()));
    let difference = |(&found, &expected): (&f64, &f64)| {
        let difference = (found - expected).abs();
        if difference.is_nan() { f64::INFINITY } else { difference }
    };
    found.iter().zip(expected).map(difference).fold(0.0, f64::max) / largest
}

/// Dispatches of a launch where a test divides it.
pub(crate) const PIECES: u32 = 3;

/// Asserts that `operation` on the adapter gives what `oracle` gives in f64, result and gradients, twice in the same
/// bits, the second time with every launch divided into dispatches, and once more in the forms that cards get; and that
/// it wrote nothing but its own arrays.
pub(crate) fn assert_matches(
    what: &str,
    operands: &Operands,
    tolerance: f64,
    operation: &dyn Fn(Vec<Tensor<2>>) -> Tensor<2>,
    oracle: &dyn Fn(Vec<Tensor<2>>) -> Tensor<2>,
) {
    let Some(device) = device() else { return };
    let expected = run(&Device::flex(), DType::F64, operands, oracle);
    let found = run(&device, DType::F32, operands, operation);
    let as_on_a_card = as_on_a_card(|| run(&device, DType::F32, operands, operation));
    // An array that is zero in truth (the gradient of key's bias) holds what rounding leaves of the others.
    let floor = expected.iter().flatten().fold(1.0, |largest: f64, x| largest.max(x.abs())) * 1e-2;
    for (forms, found) in [("", &found), (" as on a card", &as_on_a_card)] {
        for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let error = error_above(floor, found, expected);
            let part = if index == 0 { "result".to_owned() } else { format!("gradient of operand {}", index - 1) };
            assert!(error < tolerance, "{what}{forms}: {part} is off by {error:.2e}, allowed is {tolerance:.0e}");
        }
    }
    let bits = |values: &Vec<Vec<f64>>| -> Vec<Vec<u64>> {
        values.iter().map(|values| values.iter().map(|value| value.to_bits()).collect()).collect()
    };
    let again = divided(PIECES, || run(&device, DType::F32, operands, operation));
    assert!(bits(&found) == bits(&again), "{what}: two runs differ, the second of which was divided into dispatches");
    assert_canaries(what);
}

/// Asserts that the oracle's gradients are those of finite differences, in f64.
pub(crate) fn assert_differentiates(what: &str, operands: &Operands, oracle: &dyn Fn(Vec<Tensor<2>>) -> Tensor<2>) {
    let gradients = run(&Device::flex(), DType::F64, operands, oracle);
    let weights = random(99, gradients[0].len());
    let loss = |operands: &Operands| {
        let result = &run(&Device::flex(), DType::F64, operands, oracle)[0];
        result.iter().zip(&weights).map(|(value, weight)| value * weight).sum::<f64>()
    };
    const STEP: f64 = 1e-5;
    for (operand, gradient) in gradients[1..].iter().enumerate() {
        for (index, &gradient) in gradient.iter().enumerate() {
            let moved = |by: f64| {
                let mut operands = operands.clone();
                operands[operand].0[index] += by;
                loss(&operands)
            };
            let difference = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
            let error = (difference - gradient).abs();
            assert!(
                error < 1e-6 * gradient.abs().max(1.0),
                "{what}: operand {operand}, {index}: {gradient} and {difference}"
            );
        }
    }
}

/// The same values as an array of an adapter, without autodiff.
pub(crate) fn upload(device: &Device, values: &[f64], shape: [usize; 2]) -> CubeTensor {
    let data = TensorData::new(values.iter().map(|&value| value as f32).collect::<Vec<f32>>(), shape);
    constant(&Tensor::<2>::from_data(data, device))
}

/// The values of an array.
pub(crate) fn download(array: CubeTensor) -> Vec<f64> {
    let length = array.meta.shape().num_elements();
    let flat = view(&array, 0, 0, [length]);
    tensor::<1>(flat).into_data().iter::<f64>().collect()
}
