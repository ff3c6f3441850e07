//! What a pre-training says of its networks and of a batch that broke it.

use electra_data::Batch;
use electra_model::Objective;
use electra_model::objective::NetworkPlan;
use serde_json::{Value, json};

/// All of a batch, to be looked at by hand.
pub(super) fn batch_json(step: u64, batch: &Batch) -> Value {
    json!({
        "step": step, "batch": batch.batch, "seq": batch.seq, "max_masked": batch.max_masked,
        "original_ids": batch.original_ids, "masked_ids": batch.masked_ids,
        "token_type_ids": batch.token_type_ids, "attention_mask": batch.attention_mask,
        "masked_positions": batch.masked_positions, "mask_weights": batch.mask_weights,
    })
}

/// Objective, networks and their sizes, in words.
pub(super) fn describe(objective: &dyn Objective) -> String {
    let size = |network: &NetworkPlan| {
        format!("{} layers of {}", network.config.num_hidden_layers, network.config.hidden_size)
    };
    match objective.networks().as_slice() {
        [only] => format!("{}: {}", objective.name(), size(only)),
        several => {
            let each: Vec<String> =
                several.iter().map(|network| format!("{} {}", network.role, size(network))).collect();
            format!("{}: {}", objective.name(), each.join(", "))
        }
    }
}
