//! What only an adapter itself can tell and some kernels must know.
//!
//! A tensor knows no more than its device, and Burn's runtime leaves out subgroups of software adapters. So whoever opens a
//! device says here what its adapter has ([`register`]), and launches ask ([`of`]).
// Browsers tell none of it, so that nobody registers any there.
#![cfg_attr(target_family = "wasm", allow(dead_code))]

use std::sync::{PoisonError, RwLock};

use burn::tensor::Device;
use burn_wgpu::CubeTensor;

use super::units::Units;

/// What an adapter has beyond what every adapter has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Traits {
    pub(crate) units: Option<Units>,
    /// Lanes of a subgroup, where all have as many and hand values on to one another.
    pub(crate) subgroup: Option<usize>,
}

static KNOWN: RwLock<Vec<(cubecl::Device, Traits)>> = RwLock::new(Vec::new());

/// Says what the adapter of `device` has.
pub(crate) fn register(device: &Device, traits: Traits) {
    let device = super::probe(device).device;
    KNOWN.write().unwrap_or_else(PoisonError::into_inner).push((device, traits));
}

/// What the adapter that holds `array` has; nothing where nobody said.
pub(crate) fn of(array: &CubeTensor) -> Traits {
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    known.iter().find(|(device, _)| *device == array.device).map_or(Traits::default(), |(_, traits)| *traits)
}
