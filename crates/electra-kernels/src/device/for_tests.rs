//! What tests of all crates need of devices: the adapter to run on, a word where there was nothing to run on, and failures
//! that a driver would not be talked into.

use std::io::Write;

use burn::tensor::Device;

use super::choice::{DeviceChoice, DeviceError};
use super::open::{OpenDevice, describe_open, open, register};
use crate::gpu::adapter;

/// Names the file to which tests without anything to run on add themselves, for the summary of `cargo xtask test`.
const SKIPPED: &str = "ELECTRA_SKIPPED";

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
