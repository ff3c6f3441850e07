//! Whether an adapter computes what the CPU computes: every kernel, forward and backward, on numbers that are the same
//! everywhere.
//!
//! Drivers have bugs, and a wrong gradient looks like a bad learning rate. `electra devices --verify` prints this as a
//! report; training runs the short form before it trusts an adapter for the first time, and switches off what fails. The short
//! form holds what a step of training launches: layers as one node, projections joined, the products that cards take.
#![cfg(not(target_family = "wasm"))]

mod operations;
mod products;
mod steps;

use std::time::Instant;

use burn::tensor::{Device, Int, Tensor, TensorData};
use serde::Serialize;

use crate::read::{self, Reads};
use crate::{DeviceFailure, Kernel, noise::NoiseKey, set_enabled};

/// What one kernel made of one case.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    pub kernel: Kernel,
    /// Operation and sizes.
    pub case: String,
    /// Largest difference of a result or a gradient from the CPU's, relative to the largest value of that array; infinite
    /// where one is no number, or there is none.
    pub error: f64,
    pub tolerance: f64,
    pub seconds: f64,
    /// Why there are no results.
    pub failure: Option<String>,
}

impl Check {
    pub fn passed(&self) -> bool {
        self.failure.is_none() && self.error <= self.tolerance
    }

    /// Whether results came and were wrong, rather than none: that is no passing weakness, and worth remembering.
    pub fn differs(&self) -> bool {
        self.failure.is_none() && !self.passed()
    }
}

/// How much is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// What training launches, at sizes that no tile divides.
    Short,
    /// Sizes around tiles and workgroups, and those of real networks.
    Full,
}

/// How a verification goes on.
#[derive(Debug, Clone, Copy)]
pub enum Progress<'a> {
    /// A case begins: operation and sizes. Its shaders may have to be compiled first.
    Begins(&'a str),
    Ends(&'a Check),
}

/// f32 sums in other orders, and functions that WGSL rounds loosely: what a healthy adapter stays far below.
const TOLERANCE: f64 = 1e-4;

type Arrays = Vec<Vec<f64>>;
type Body = Box<dyn Fn(&Device) -> Result<Arrays, DeviceFailure>>;

/// A case: what to compute, and how far apart the results may be.
struct Case {
    kernel: Kernel,
    name: String,
    tolerance: f64,
    body: Body,
    /// What gives the expected arrays on the adapter itself, where it is not `body` on the CPU.
    twin: Option<Body>,
}

impl Case {
    fn new(kernel: Kernel, name: String, body: impl Fn(&Device) -> Result<Arrays, DeviceFailure> + 'static) -> Self {
        Self { kernel, name, tolerance: TOLERANCE, body: Box::new(body), twin: None }
    }
}

/// All cases for `device`.
fn cases(device: &Device, extent: Extent) -> Vec<Case> {
    let mut cases = operations::cases(device, extent);
    cases.extend(steps::cases(extent));
    cases.extend(products::cases(device, extent));
    cases
}

/// Runs the cases on `device` and on the CPU, telling `progress` of each.
///
/// # Errors
/// The device failed for good; a case that it merely refuses is a failed one.
pub fn verify(
    device: &Device,
    extent: Extent,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Vec<Check>, DeviceFailure> {
    let mut checks = Vec::new();
    for Case { kernel, name, tolerance, body, twin } in cases(device, extent) {
        progress(Progress::Begins(&name));
        let started = Instant::now();
        let found = body(device);
        let seconds = started.elapsed().as_secs_f64();
        let expected = twin.map_or_else(|| body(&Device::flex()), |twin| twin(device));
        let (error, failure) = match (found, expected) {
            (Ok(found), Ok(expected)) => {
                let errors = found.iter().zip(&expected).map(|(found, expected)| error(found, expected));
                let is_whole = found.len() == expected.len();
                (if is_whole { errors.fold(0.0, f64::max) } else { f64::INFINITY }, None)
            }
            (Err(failure), _) | (_, Err(failure)) if failure.is_final() => return Err(failure),
            (Err(failure), _) | (_, Err(failure)) => (f64::INFINITY, Some(failure.to_string())),
        };
        let check = Check { kernel, case: name, error, tolerance, seconds, failure };
        progress(Progress::Ends(&check));
        checks.push(check);
    }
    Ok(checks)
}

/// Switches off, for `device`, every kernel that failed one of `checks`; returns them.
pub fn switch_off_failed(device: &Device, checks: &[Check]) -> Vec<Kernel> {
    let failed = kernels_of(checks, |check| !check.passed());
    for &kernel in &failed {
        set_enabled(device, kernel, false);
    }
    failed
}

/// The kernels of the checks that `are`.
pub fn kernels_of(checks: &[Check], are: impl Fn(&Check) -> bool) -> Vec<Kernel> {
    let concerned = |kernel: &Kernel| checks.iter().any(|check| check.kernel == *kernel && are(check));
    Kernel::ALL.into_iter().filter(concerned).collect()
}

fn error(found: &[f64], expected: &[f64]) -> f64 {
    if found.len() != expected.len() {
        return f64::INFINITY;
    }
    let largest = expected.iter().fold(1e-3, |largest: f64, x| largest.max(x.abs()));
    let difference = |(found, expected): (&f64, &f64)| {
        let difference = (found - expected).abs();
        if difference.is_nan() { f64::INFINITY } else { difference }
    };
    found.iter().zip(expected).map(difference).fold(0.0, f64::max) / largest
}

fn values(seed: u64, length: usize) -> Vec<f32> {
    let key = NoiseKey::new(seed);
    (0..length).map(|index| key.uniform_f64(index as u64, 0) as f32 * 2.0 - 1.0).collect()
}

/// The values of tensors of one device, read together.
fn host<const D: usize>(tensors: &[Tensor<D>]) -> Result<Arrays, DeviceFailure> {
    let mut reads = Reads::default();
    for tensor in tensors {
        reads.floats(tensor);
    }
    Ok(reads.read()?.iter().map(wide).collect())
}

fn wide(data: &TensorData) -> Vec<f64> {
    read::floats_of(data).into_iter().map(f64::from).collect()
}

fn ids(rows: usize, columns: usize, limit: usize, device: &Device) -> Tensor<2, Int> {
    let ids: Vec<i32> = (0..rows * columns).map(|index| (index * 7919 % limit) as i32).collect();
    Tensor::from_data(TensorData::new(ids, [rows, columns]), device)
}

/// Random values, the same on every device.
fn matrix(seed: u64, shape: [usize; 2], device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values(seed, shape[0] * shape[1]), shape), device)
}

/// The result of `operation` on random operands of these shapes, and their gradients.
fn differentiate(
    device: &Device,
    shapes: &[[usize; 2]],
    operation: impl Fn(Vec<Tensor<2>>, &Device) -> Tensor<2>,
) -> Result<Arrays, DeviceFailure> {
    let device = device.clone().autodiff();
    let leaves: Vec<_> =
        shapes.iter().zip(1..).map(|(&shape, seed)| matrix(seed, shape, &device).require_grad()).collect();
    let result = operation(leaves.clone(), &device);
    with_gradients(result, &leaves)
}

/// A result, and the gradients of `leaves` for a loss that weighs each of its values differently.
fn with_gradients(result: Tensor<2>, leaves: &[Tensor<2>]) -> Result<Arrays, DeviceFailure> {
    let weights = matrix(99, result.dims(), &result.device());
    let gradients = (result.clone() * weights).sum().backward();
    let none = || Tensor::zeros([1, 1], &result.device().inner());
    let of_leaf = |leaf: &Tensor<2>| leaf.grad(&gradients).unwrap_or_else(none);
    let arrays: Vec<Tensor<2>> = std::iter::once(result.clone().inner()).chain(leaves.iter().map(of_leaf)).collect();
    host(&arrays)
}

/// `short`, and `more` of a full verification.
fn sizes<const N: usize>(extent: Extent, short: &[[usize; N]], more: &[[usize; N]]) -> Vec<[usize; N]> {
    let more = if extent == Extent::Full { more } else { &[] };
    short.iter().chain(more).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{DeviceChoice, for_tests};
    use crate::gpu::{
        self,
        launch::divided,
        testing::device,
        units::{Shares, Units},
    };
    use crate::launches;

    fn quietly(device: &Device, extent: Extent) -> Result<Vec<Check>, DeviceFailure> {
        verify(device, extent, &mut |_| {})
    }

    #[test]
    fn a_software_adapter_passes_in_full() {
        let Some(device) = device() else { return };
        let checks = quietly(&device, Extent::Full).unwrap();
        let kernels = kernels_of(&checks, |_| true);
        let has_units = gpu::adapter::of(&gpu::probe(&device)).units.is_some();
        let all = Kernel::ALL.into_iter().filter(|&kernel| kernel != Kernel::MatrixUnits || has_units);
        assert_eq!(kernels, all.collect::<Vec<_>>(), "every kernel has a case");
        if gpu::has_f16(&device) {
            assert!(checks.iter().any(|check| check.case.starts_with("linear in half precision")));
        }
        let failed: Vec<&Check> = checks.iter().filter(|check| !check.passed()).collect();
        assert!(failed.is_empty(), "{failed:?}");
        // Were the kernels off, the primitives would have passed.
        assert_eq!(switch_off_failed(&device, &checks), []);
    }

    /// The short form on a card: what a training step launches there is among what was checked.
    #[test]
    fn what_training_launches_is_checked_before_the_first_training() {
        let Some(device) = device() else { return };
        let (checks, launched) =
            launches::record(|| gpu::testing::as_on_a_card(|| quietly(&device, Extent::Short).unwrap()));
        assert!(checks.iter().all(Check::passed), "{checks:?}");
        for stem in [
            "attention_fwd",
            "attention_bwd_query",
            "attention_bwd_key",
            "layer_norm_fwd",
            "layer_norm_bwd",
            "layer_norm_bwd_parameters",
            "product_staged",
            "sum_parts",
            "gelu",
            "mlm_rows",
            "weighted_sum",
            "scale",
            "rtd_fwd",
            "rtd_bwd",
            "embeddings_fwd",
            "sort_ids",
            "embedding_bwd_words",
            "embedding_bwd_positions",
            "embedding_bwd_types",
            "gather",
            "corrupt",
            "gather_gradients",
            "adam_norm",
            "adam_decide",
            "adam_update",
        ] {
            let name = format!("{}{stem}", launches::PREFIX);
            assert!(launched.contains(&name.as_str()), "{stem} is launched in training and was not checked");
        }
        for part in ["heads of 64", "joined", "draw", "128 x 256 x 256"] {
            assert!(checks.iter().any(|check| check.case.contains(part)), "{part}");
        }
    }

    #[test]
    fn dividing_launches_into_dispatches_changes_no_bit() {
        let Some(device) = device() else { return };
        let bits = |arrays: Result<Arrays, DeviceFailure>| -> Vec<u64> {
            arrays.unwrap().into_iter().flatten().map(f64::to_bits).collect()
        };
        for Case { name, body, .. } in cases(&device, Extent::Full) {
            let (whole, dispatches) = launches::record(|| bits(body(&device)));
            for pieces in [2, u32::MAX] {
                let (found, divided) = launches::record(|| divided(pieces, || bits(body(&device))));
                assert!(whole == found, "{name}, in {pieces} dispatches a launch");
                let ours = |names: &[&str]| names.iter().filter(|name| name.starts_with(launches::PREFIX)).count();
                assert!(ours(&divided) >= ours(&dispatches), "{name}: {dispatches:?}, {divided:?}");
            }
        }
    }

    #[test]
    fn a_shader_that_the_device_refuses_is_a_failure_and_no_more() {
        let Some(device) = device() else { return };
        if gpu::adapter::of(&gpu::probe(&device)).units.is_some() {
            return;
        }
        let units = Units::new(16, [32, 32], true, 256, 16 << 10).unwrap();
        let failure = products::on_units(&device, [7, 5, 3], units, Shares::SMALL).unwrap_err();
        assert!(matches!(failure, DeviceFailure::Refused(_)) && !failure.is_final(), "{failure}");
        let expected = products::staged_in_half(&device, [7, 5, 3]).unwrap();
        assert_eq!(expected[0].len(), 35, "what follows is as if nothing had been");
    }

    #[test]
    fn units_are_held_against_the_portable_form() {
        let Some(device) = device() else { return };
        let units = Units { is_emulated: true, ..Units::new(16, [32, 32], true, 256, 16 << 10).unwrap() };
        let found = products::on_units(&device, [67, 68, 100], units, Shares::SMALL).unwrap();
        let expected = products::staged_in_half(&device, [67, 68, 100]).unwrap();
        assert_eq!(found.len(), 5);
        for (found, expected) in found.iter().zip(&expected) {
            assert!(error(found, expected) <= TOLERANCE);
        }
    }

    /// On a device of its own: nothing else here should notice.
    #[test]
    fn a_device_that_goes_away_ends_the_verification_and_no_verdict_comes_of_it() {
        if device().is_none() {
            return;
        }
        let alone = for_tests::open_alone(DeviceChoice::Gpu).unwrap();
        let mut count = 0;
        let verdict = verify(&alone.device, Extent::Short, &mut |progress| {
            count += 1;
            if count == 3 && matches!(progress, Progress::Begins(_)) {
                for_tests::lose(&alone.device);
            }
        });
        assert!(matches!(verdict, Err(DeviceFailure::Lost(_))), "{verdict:?}");
    }

    #[test]
    fn one_adapters_switches_are_not_anothers() {
        if device().is_none() {
            return;
        }
        let alone = for_tests::open_alone(DeviceChoice::Gpu).unwrap();
        let shared = device().unwrap();
        set_enabled(&alone.device, Kernel::Linear, false);
        assert!(!crate::all_enabled(&alone.device) && crate::all_enabled(&shared));
        let launched = |device: &Device| {
            let x = matrix(1, [3, 4], device);
            launches::record(|| crate::linear(x.clone(), x.clone(), Tensor::zeros([3], device))).1
        };
        let ours = |names: &[&str]| names.iter().any(|name| name.starts_with(launches::PREFIX));
        assert!(!ours(&launched(&alone.device)) && ours(&launched(&shared)));
    }

    #[test]
    fn wrong_numbers_missing_ones_and_nan_are_failures() {
        assert!(error(&[1.0, 2.0], &[1.0, 2.0]) <= TOLERANCE);
        assert!(error(&[1.0, 2.1], &[1.0, 2.0]) > TOLERANCE);
        assert!(error(&[1.0], &[1.0, 2.0]) > TOLERANCE);
        assert!(error(&[f64::NAN, 2.0], &[1.0, 2.0]) > TOLERANCE);
    }

    #[test]
    fn only_wrong_numbers_are_a_difference() {
        let check = |error, failure: Option<&str>| Check {
            kernel: Kernel::Linear,
            case: "a case".to_owned(),
            error,
            tolerance: TOLERANCE,
            seconds: 0.0,
            failure: failure.map(str::to_owned),
        };
        assert!(check(1.0, None).differs() && !check(1.0, None).passed());
        let none = check(f64::INFINITY, Some("the device refused its work"));
        assert!(!none.differs() && !none.passed());
        assert!(check(0.0, None).passed());
    }
}
