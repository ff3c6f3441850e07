//! What tests of all crates need of devices: the adapter to run on, a word where there was nothing to run on, and failures
//! that a driver would not be talked into.

use std::io::Write;

use burn::tensor::Device;

use super::{DeviceChoice, DeviceError, OpenDevice, describe_open, open, register};
use crate::gpu::adapter::{self, Adapter};

/// Names the file to which tests without anything to run on add themselves, for the summary of `cargo xtask test`.
const SKIPPED: &str = "ELECTRA_SKIPPED";

/// Where a test of the program asks for a failure: `memory=BYTES` ([`limit_memory`]), or `lost=N` ([`lose`] before the
/// Nth read).
const INJECTED: &str = "ELECTRA_TEST_DEVICE";

/// The best graphics adapter, a software one included; `None`, and a word of it, where `ELECTRA_NO_GPU=1` leaves it out.
///
/// # Panics
/// Where there is no adapter, or it does not open: a test that has nothing to run on must not pass in silence.
pub fn gpu() -> Option<OpenDevice> {
    if is_gpu_left_out() {
        skip("ELECTRA_NO_GPU=1 leaves out graphics adapters");
        return None;
    }
    Some(open(DeviceChoice::Gpu).unwrap_or_else(|error| panic!("{error}; ELECTRA_NO_GPU=1 leaves out what needs one")))
}

/// As [`gpu`]; `None`, too, where the adapter has no half precision.
///
/// # Panics
/// As [`gpu`].
pub fn gpu_with_f16() -> Option<OpenDevice> {
    let opened = gpu()?;
    if !opened.has_f16 {
        skip("the adapter has no half precision");
        return None;
    }
    Some(opened)
}

/// Whether tests that need a graphics adapter are left out.
pub fn is_gpu_left_out() -> bool {
    std::env::var_os("ELECTRA_NO_GPU").is_some_and(|value| value == "1")
}

/// Says that the test of this thread had nothing to run on, and why.
pub fn skip(reason: &str) {
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    eprintln!("NOT RUN: {name}, since {reason}");
    let Some(file) = std::env::var_os(SKIPPED) else { return };
    let file = std::fs::OpenOptions::new().create(true).append(true).open(file);
    let line = format!("{name}\t{reason}\n");
    file.and_then(|mut file| file.write_all(line.as_bytes())).expect("the file of skipped tests can be written");
}

/// As [`open`], on a device of its own that nobody else gets.
///
/// # Errors
/// As [`open`].
pub fn open_alone(choice: DeviceChoice) -> Result<OpenDevice, DeviceError> {
    let shared = open(choice)?;
    let Some(adapter) = &shared.adapter else { return Ok(shared) };
    Ok(describe_open(adapter, register(adapter)?))
}

/// Loses a device, as a driver does that resets its card.
pub fn lose(device: &Device) {
    if let Some(adapter) = adapter::behind(device) {
        adapter.destroy();
    }
}

/// Makes an adapter say that it has no memory once its arrays take more than so many bytes.
pub fn limit_memory(device: &Device, bytes: u64) {
    if let Some(adapter) = adapter::behind(device) {
        adapter.limit_memory(bytes);
    }
}

/// The failure that the environment asks for.
pub(super) fn inject(adapter: &Adapter) {
    let injected = std::env::var(INJECTED).unwrap_or_default();
    match injected.split_once('=').map(|(what, number)| (what, number.parse().unwrap_or(0))) {
        Some(("memory", bytes)) => adapter.limit_memory(bytes),
        Some(("lost", reads)) => adapter.lose_at_read(reads),
        _ => {}
    }
}
