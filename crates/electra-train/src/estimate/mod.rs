//! What a run costs before it starts: floating-point operations, memory, seconds per step.

pub mod budget;
mod footprint;
pub mod ledger;
pub mod memory;
mod micro_batch;
#[cfg(feature = "native")]
pub mod seconds_per_step;

pub use footprint::MemoryEstimate;
pub use micro_batch::{largest_activation_bytes, memory_estimate, resolve_micro_batch};
