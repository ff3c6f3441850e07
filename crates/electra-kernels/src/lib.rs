//! ELECTRA's operations as checked functions on Burn tensors, differentiable on every backend.
//!
//! One folder per operation in `ops`: the formula and the public function that checks its shapes, the reference body of Burn
//! primitives, and fused bodies for the CPU and for graphics adapters. The reference body is the oracle of the tests, and
//! what runs where no fused one can. Everything random comes from `noise`, which has no state.
//!
//! Arrows go one way, and `cargo xtask test structure` holds them to it: `check` knows the operations; they know the runtimes
//! of the devices (`cpu`, `gpu`), which know no operation; all know the `types` at the bottom.

#![warn(missing_docs)]

mod autodiff;
pub mod check;
mod cpu;
pub mod device;
mod gpu;
pub mod noise;
mod ops;
mod parallel;
mod place;
pub mod precision;
pub mod read;
mod reference_only;
pub mod side_by_side;
mod types;

#[cfg(not(target_family = "wasm"))]
pub use check::benchmark;
pub use check::{launches, verify};
pub use cpu::vectors;
pub use gpu::largest_array;
pub use ops::adam;
pub use ops::attention::attention;
pub use ops::corrupt::corrupt;
pub use ops::dropout::dropout;
pub use ops::embedding::embeddings;
pub use ops::encoder_layer::layer::{EncoderLayer, LayerSettings};
pub use ops::encoder_layer::{cross_layer, encoder_layer};
pub use ops::gather::gather_positions;
pub use ops::layer_norm::{add_layer_norm, layer_norm};
pub use ops::linear::linear;
pub use ops::linear_gelu::linear_gelu;
pub use ops::mlm_loss::{mlm_logits, mlm_loss};
pub use ops::rtd_loss::rtd_loss;
pub use ops::token_log_probabilities::token_log_probabilities;
pub use place::{all_enabled, set_enabled};
pub use precision::{Precision, with_precision};
pub use reference_only::with_reference_only;
pub use side_by_side::side_by_side;
pub use types::dropout::Dropout;
pub use types::failure::DeviceFailure;
pub use types::kernel::Kernel;
pub use types::losses::{MlmOutput, Sampling};
pub use types::table::Table;
pub use types::visibility::Visibility;
