//! Which device does the work: listing adapters, choosing one by the user's word, opening it once.
//!
//! The choice is made at run time. `auto` wants what is fastest without surprises: a real GPU, else the CPU backend,
//! never an adapter that emulates a GPU on the CPU, since Burn's own CPU backend is many times faster than that. `gpu`
//! wants a GPU's code path and therefore takes the emulation too, with a warning; tests on machines without a GPU use
//! it. Adapters are opened through wgpu handles of our own and then lent to Burn, so that the adapter that was listed
//! as number N is the adapter that is opened as `gpu:N`: Burn's own selectors count each kind of adapter separately.
//!
//! Native only: a page asks its browser for the one adapter that it offers.
#![cfg(not(target_family = "wasm"))]

pub(crate) mod adapters;
mod choice;
#[doc(hidden)]
pub mod for_tests;
mod inject;
mod memory;
mod open;
#[cfg(test)]
mod tests;

pub use adapters::{AdapterFeatures, AdapterInfo, AdapterKind, AdapterLimits, adapters, automatic};
pub use choice::{DeviceChoice, DeviceError};
pub use open::{OpenDevice, open, reopen};
