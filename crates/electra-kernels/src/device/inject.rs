//! Failures that a test of the program asks for through its environment.

use crate::gpu::adapter::Adapter;

/// Where a test of the program asks for a failure: `memory=BYTES`, or `lost=N` (before the Nth read).
const INJECTED: &str = "ELECTRA_TEST_DEVICE";

/// The failure that the environment asks for.
pub(super) fn inject(adapter: &Adapter) {
    let injected = std::env::var(INJECTED).unwrap_or_default();
    match injected.split_once('=').map(|(what, number)| (what, number.parse().unwrap_or(0))) {
        Some(("memory", bytes)) => adapter.limit_memory(bytes),
        Some(("lost", reads)) => adapter.lose_at_read(reads),
        _ => {}
    }
}
