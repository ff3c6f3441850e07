//! How near is near enough.

use std::cell::Cell;

use burn::tensor::Tensor;
use electra_kernels::launches;
use electra_kernels::read::{self, Reads};

// The fixtures' README: torch's own f32 error is 5-20x smaller.
pub const OUTPUT_TOLERANCE: f64 = 2e-5;
pub const GRADIENT_TOLERANCE: f64 = 2e-5;
pub const PARAMETER_TOLERANCE: f64 = 2e-5;
/// The total is about 44.
pub const LOSS_TOLERANCE: f64 = 1e-4;

/// Graphics adapters round exp, log, division and square roots less strictly than PyTorch's f64 on which the goldens
/// rest (WGSL asks for 2.5 ulp and more), and add long sums in other orders: tolerances there are so many times wider.
pub const ADAPTER_SLACK: f64 = 5.0;

thread_local! {
    static SLACK: Cell<f64> = const { Cell::new(1.0) };
}

/// Makes the tolerances of this thread's checks so many times wider.
pub fn set_slack(slack: f64) {
    SLACK.set(slack);
}

/// See [`set_slack`].
pub fn slack() -> f64 {
    SLACK.get()
}

/// # Panics
/// Unless each value is near the expected one.
#[track_caller]
pub fn assert_close(what: &str, found: &[f32], expected: &[f32], absolute: f64, relative: f64) {
    assert_eq!(found.len(), expected.len(), "{what}: number of values");
    let mut worst = (0.0, 0);
    for (i, (&a, &b)) in found.iter().zip(expected).enumerate() {
        let allowed = (absolute + relative * f64::from(b).abs()) * slack();
        let excess = (f64::from(a) - f64::from(b)).abs() - allowed;
        if excess.is_nan() || excess > worst.0 {
            worst = (excess, i);
        }
    }
    assert!(
        worst.0 == 0.0,
        "{what}[{}]: {} instead of {} (tolerance {absolute:e} + {relative:e} |x|, times {})",
        worst.1,
        found[worst.1],
        expected[worst.1],
        slack()
    );
}

/// # Panics
/// As [`assert_close`].
#[track_caller]
pub fn assert_gradient_close(what: &str, found: &[f32], expected: &[f32]) {
    let scale = expected.iter().fold(0.0f64, |scale, &x| scale.max(f64::from(x).abs()));
    // 1e-6 for tensors that are numerically zero, such as key.bias.
    assert_close(what, found, expected, GRADIENT_TOLERANCE * scale + 1e-6, 0.0);
}

/// Asserts that each of `shaders` (stems, several of which one may do for another: `a|b`) is among what was launched, and that
/// no reference body ran in a kernel's place.
///
/// # Panics
/// If that is not so.
pub fn assert_launched(launched: &[&str], shaders: &[&[&str]]) {
    for wanted in shaders.iter().flat_map(|shaders| shaders.iter()) {
        let ran = wanted.split('|').any(|stem| launched.contains(&format!("{}{stem}", launches::PREFIX).as_str()));
        assert!(ran, "{wanted} was not launched: a reference body ran in its place");
    }
    // The reference bodies' own products are what an operation that fell back cannot do without.
    let foreign = launched.iter().find(|name| !name.starts_with(launches::PREFIX) && name.contains("matmul"));
    assert_eq!(foreign, None, "a product of Burn's was launched");
}

/// The values of `tensor`, read back.
///
/// # Panics
/// If the device failed.
pub async fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    let mut reads = Reads::default();
    let number = reads.floats(&tensor);
    let found = reads.fetch().await.unwrap_or_else(|error| panic!("{error}"));
    read::floats_of(&found[number])
}
