//! Whether an adapter computes what the CPU computes: every kernel, forward and backward, on numbers that are the same
//! everywhere.
//!
//! Drivers have bugs, and a wrong gradient looks like a bad learning rate. `electra devices --verify` prints this as a
//! report; training runs the short form before it trusts an adapter for the first time, and switches off what fails. The short
//! form holds what a step of training launches: layers as one node, projections joined, the products that cards take.

mod case;
mod operations;
mod products;
mod steps;
#[cfg(test)]
mod tests;

use burn::tensor::Device;
use serde::Serialize;

pub use self::case::Extent;
use self::case::{Arrays, Asked, Case};
use crate::place::set_enabled;
use crate::types::{failure::DeviceFailure, kernel::Kernel};

/// What one kernel made of one case.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// What is switched off where the check fails.
    pub kernel: Kernel,
    /// Operation and sizes.
    pub case: String,
    /// Largest difference of a result or a gradient from the CPU's, relative to the largest value of that array; infinite
    /// where one is NaN, or there is none.
    pub error: f64,
    /// The largest error that passes.
    pub tolerance: f64,
    /// What the case took on the device, compiling its shaders included.
    pub seconds: f64,
    /// Why there are no results.
    pub failure: Option<String>,
}

impl Check {
    /// Whether results came and are right.
    pub fn passed(&self) -> bool {
        self.failure.is_none() && self.error <= self.tolerance
    }

    /// Whether results came and were wrong, rather than none: that is no passing weakness, and worth remembering.
    pub fn differs(&self) -> bool {
        self.failure.is_none() && !self.passed()
    }
}

/// How a verification goes on.
#[derive(Debug, Clone, Copy)]
pub enum Progress<'a> {
    /// A case begins: operation and sizes. Its shaders may have to be compiled first.
    Begins(&'a str),
    /// A case ended: what came of it.
    Ends(&'a Check),
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
#[cfg(not(target_family = "wasm"))]
pub fn verify(
    device: &Device,
    extent: Extent,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Vec<Check>, DeviceFailure> {
    let started = std::time::Instant::now();
    cubecl::future::block_on(verify_async(device, extent, &|| started.elapsed().as_secs_f64(), progress))
}

/// As [`verify`], where waiting must not block (a browser). `clock`: seconds since some moment.
///
/// # Errors
/// As [`verify`].
pub async fn verify_async(
    device: &Device,
    extent: Extent,
    clock: &dyn Fn() -> f64,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Vec<Check>, DeviceFailure> {
    let mut checks = Vec::new();
    for Case { kernel, name, tolerance, body, twin } in cases(device, extent) {
        progress(Progress::Begins(&name));
        let started = clock();
        let found = arrays(body(device)).await;
        let seconds = clock() - started;
        let expected = arrays(twin.map_or_else(|| body(&Device::flex()), |twin| twin(device))).await;
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

async fn arrays(asked: Result<Asked, DeviceFailure>) -> Result<Arrays, DeviceFailure> {
    asked?.arrays().await
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
