//! The loss's bodies against f64, the reference and each other.

mod cpu;
#[cfg(not(target_family = "wasm"))]
mod gpu;
