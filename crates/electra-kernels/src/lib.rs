//! ELECTRA's operations as checked functions on Burn tensors, differentiable on every backend.
//!
//! One file per operation: the formula, the public function that checks its shapes, and the reference body
//! of Burn primitives. The reference body is the oracle of the tests, and what runs on an adapter that cannot
//! run a hand-written kernel; on the CPU the fused bodies in `cpu` run instead. Everything random comes from
//! `noise`, which has no state.

use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Device;

pub mod adam;
pub mod attention;
pub mod benchmark;
pub mod corrupt;
mod cpu;
pub mod device;
pub mod dropout;
pub mod electra_loss;
pub mod embedding;
pub mod encoder_layer;
mod failure;
pub mod gather;
pub mod gelu;
mod gpu;
mod graph;
pub mod launches;
pub mod layer_norm;
pub mod linear;
pub mod noise;
pub mod precision;
pub mod read;
mod shape;
pub mod side_by_side;
mod table;
pub mod verify;

pub use attention::attention;
pub use corrupt::corrupt;
pub use dropout::{Dropout, dropout};
pub use electra_loss::{MlmOutput, Sampling, mlm_logits, mlm_loss, rtd_loss};
pub use embedding::embeddings;
pub use encoder_layer::{EncoderLayer, LayerSettings, encoder_layer};
pub use failure::DeviceFailure;
pub use gather::gather_positions;
pub use gelu::gelu_linear;
pub use gpu::{Kernel, all_enabled, set_enabled};
pub use layer_norm::{add_layer_norm, layer_norm};
pub use linear::linear;
pub use precision::{Precision, with_precision};
pub use side_by_side::side_by_side;
pub use table::{Table, largest_array};

/// Whether the CPU, of which there is one, runs reference bodies alone.
static CPU_REFERENCE_ONLY: AtomicBool = AtomicBool::new(false);

/// Makes every operation on `device` run its reference body, or what is fastest again: for measurements.
pub fn set_reference_only(device: &Device, only: bool) {
    match gpu::adapter::behind(device) {
        Some(adapter) => adapter.set_reference_only(only),
        None => CPU_REFERENCE_ONLY.store(only, Ordering::Relaxed),
    }
}

pub(crate) fn is_cpu_reference_only() -> bool {
    CPU_REFERENCE_ONLY.load(Ordering::Relaxed)
}

/// Runs `body(row, values)` over the rows of `values`, in parallel where there are threads.
pub(crate) fn parallel_rows(values: &mut [f32], row_len: usize, body: impl Fn(usize, &mut [f32]) + Sync) {
    if row_len == 0 {
        return;
    }
    #[cfg(not(target_family = "wasm"))]
    {
        use rayon::prelude::*;
        values.par_chunks_mut(row_len).enumerate().for_each(|(row, values)| body(row, values));
    }
    #[cfg(target_family = "wasm")]
    values.chunks_mut(row_len).enumerate().for_each(|(row, values)| body(row, values));
}
