//! The graphics adapter that tests run on.

use electra_kernels::device::{DeviceChoice, DeviceError, OpenDevice, open};

/// The best graphics adapter, a software one included, or `None` where there is none and none is required.
///
/// # Panics
/// Where there is no adapter although `ELECTRA_REQUIRE_GPU=1` asks for one, and where one does not open.
pub fn gpu() -> Option<OpenDevice> {
    match open(DeviceChoice::Gpu) {
        Ok(device) => Some(device),
        Err(DeviceError::NoAdapter(_)) if !requires_gpu() => {
            eprintln!("not run: there is no graphics adapter (ELECTRA_REQUIRE_GPU=1 makes this a failure)");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// Whether a machine without any graphics adapter fails the tests.
pub fn requires_gpu() -> bool {
    std::env::var_os("ELECTRA_REQUIRE_GPU").is_some_and(|value| value == "1")
}
