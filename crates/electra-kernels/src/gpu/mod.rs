//! The runtime of the operations on graphics adapters: WGSL shaders of our own, launched on Burn's.
//!
//! The shaders lie in `shaders/`, a folder for each operation; `shader` expands their variants, `launch` runs them, `product`
//! is the engine that most operations multiply with, and `adapter` knows what each open adapter has. Nothing else here knows
//! an operation: `ops/NAME/gpu.rs` has its launches, forward and backward, and its place in Burn's graph
//! ([`crate::autodiff::fused`]).
//!
//! Two runs must agree in every bit: no atomics on floats, sums in a fixed order, every value by one invocation.

pub(crate) mod adapter;
mod arrays;
pub(crate) mod cooperative_matrix;
#[cfg(all(test, not(target_family = "wasm")))]
pub(crate) mod instruments;
pub(crate) mod launch;
mod noise;
pub(crate) mod product;
pub(crate) mod shader;
#[cfg(all(test, not(target_family = "wasm")))]
pub(crate) mod translate;

pub use arrays::largest_array;
pub(crate) use arrays::{
    Operand, SOFTWARE_TURNS, columns, constant, empty, empty_ids, empty_like, has_f16, id_tensor, ids, is_gpu,
    is_software, matrix, operand, probe, rows, stacked, tensor, view,
};
pub(crate) use noise::Noise;
