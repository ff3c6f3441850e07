//! Which device does the work: listing adapters, choosing one by the user's word, opening it once.
//!
//! The choice is made at run time. `auto` wants what is fastest without surprises: a real GPU, else the CPU backend,
//! never an adapter that emulates a GPU on the CPU, since Burn's own CPU backend is many times faster than that. `gpu`
//! wants a GPU's code path and therefore takes the emulation too, with a warning; tests on machines without a GPU use
//! it. Adapters are opened through wgpu handles of our own and then lent to Burn, so that the adapter that was listed
//! as number N is the adapter that is opened as `gpu:N`: Burn's own selectors count each kind of adapter separately.
//!
//! A page asks its browser for the one adapter that it offers (`in_browser`); all else here is native.

#[cfg(not(target_family = "wasm"))]
pub(crate) mod adapters;
#[cfg(not(target_family = "wasm"))]
mod choice;
#[cfg(not(target_family = "wasm"))]
#[doc(hidden)]
pub mod for_tests;
#[cfg(target_family = "wasm")]
mod in_browser;
#[cfg(not(target_family = "wasm"))]
mod inject;
#[cfg(not(target_family = "wasm"))]
mod memory;
#[cfg(not(target_family = "wasm"))]
mod open;
#[cfg(all(test, not(target_family = "wasm")))]
mod tests;

#[cfg(not(target_family = "wasm"))]
pub use adapters::{AdapterFeatures, AdapterInfo, AdapterKind, AdapterLimits, adapters, automatic};
#[cfg(not(target_family = "wasm"))]
pub use choice::{DeviceChoice, DeviceError};
#[cfg(target_family = "wasm")]
pub use in_browser::{BrowserDevice, NoWebGpu, lose, open_in_browser, run_constructors};
#[cfg(not(target_family = "wasm"))]
pub use open::{OpenDevice, open, reopen};
