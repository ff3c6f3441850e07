//! What a step's kernels cost.

use serde_json::{Value, json};

/// Runs `submit`, and says what its kernels cost, the most expensive first. Nothing on the CPU, which launches none, and
/// nothing in a browser, which tells no times.
pub(super) fn profiled<R>(step: u64, submit: impl FnOnce() -> R) -> (R, Value) {
    #[cfg(target_family = "wasm")]
    return (submit(), json!({ "step": step }));
    #[cfg(not(target_family = "wasm"))]
    {
        let (result, times) = electra_kernels::launches::profile(submit);
        let launches: u64 = times.iter().map(|time| time.launches).sum();
        let seconds: f64 = times.iter().map(|time| time.seconds).sum();
        (result, json!({ "step": step, "launches": launches, "seconds": seconds, "kernels": times }))
    }
}
