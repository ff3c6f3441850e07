//! How many examples a forward pass may take.

use electra_model::ElectraConfig;

use super::footprint;
use crate::config::{RunConfig, TrainConfig};

/// The largest micro-batch whose step should fit in `memory_bytes`, by the estimate of [`memory_estimate`],
/// where `width` of them are worked on at a time ([`electra_kernels::side_by_side::width`]).
///
/// A power-of-two share of the batch, so that micro-batches are equal; at least one example.
pub fn resolve_micro_batch(config: &RunConfig, memory_bytes: f64, width: usize, on_kernels: bool) -> usize {
    let batch = config.train.batch_size;
    let mut size = batch;
    while size > 1 {
        let memory = memory_estimate(config, size, on_kernels);
        let at_a_time = batch.div_ceil(size).min(width) as f64;
        if memory.parameters_bytes + at_a_time * memory.activations_bytes <= memory_bytes {
            break;
        }
        size = size.div_ceil(2);
    }
    size
}

/// Memory of a step with `micro_batch` examples per forward pass. `on_kernels`: where every kernel of a graphics adapter
/// runs ([`electra_kernels::all_enabled`] of the device).
pub fn memory_estimate(config: &RunConfig, micro_batch: usize, on_kernels: bool) -> footprint::MemoryEstimate {
    let plans = config.trained_networks();
    let (trained, masked) = footprint::encoders_and_logits(&plans, config.data.masking_probability);
    let parameters = footprint::parameter_count(config);
    let TrainConfig { sequence_length, recompute, .. } = config.train;
    if on_kernels {
        return footprint::kernels_memory(&trained, parameters, micro_batch, sequence_length, masked, recompute);
    }
    footprint::training_memory(&trained, parameters, micro_batch, sequence_length, masked)
}

/// Bytes of the largest array that a micro-batch makes, where kernels of ours run: adapters bound what one may bind. Word
/// tables and logits come in pieces and are none of it.
pub fn largest_activation_bytes(config: &RunConfig, micro_batch: usize) -> u64 {
    let networks = config.model.networks();
    // Queries, keys and values are one product's result, three hidden sizes wide.
    let widest =
        |network: &ElectraConfig| network.intermediate_size.max(3 * network.hidden_size).max(network.embedding_size);
    let width = widest(&networks.generator).max(widest(&networks.discriminator));
    (4 * micro_batch as u64).saturating_mul(config.train.sequence_length as u64).saturating_mul(width as u64)
}
