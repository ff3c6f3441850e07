//! What a run says of its networks, of a step's kernels and of a batch that broke it.

use electra_data::Batch;
use electra_model::objective::NetworkPlan;
use serde_json::{Value, json};

use crate::step::trainer::Trainer;

/// All of a batch, to be looked at by hand.
pub(super) fn batch_json(step: u64, batch: &Batch) -> Value {
    json!({
        "step": step, "batch": batch.batch, "seq": batch.seq, "max_masked": batch.max_masked,
        "original_ids": batch.original_ids, "masked_ids": batch.masked_ids,
        "token_type_ids": batch.token_type_ids, "attention_mask": batch.attention_mask,
        "masked_positions": batch.masked_positions, "mask_weights": batch.mask_weights,
    })
}

/// Runs `submit`, and says what its kernels cost, the most expensive first. Nothing on the CPU, which launches none, and
/// nothing in a browser, which tells no times.
pub(super) fn profiled<R>(step: u64, submit: impl FnOnce() -> R) -> (R, Value) {
    #[cfg(target_family = "wasm")]
    return (submit(), json!({ "step": step }));
    #[cfg(not(target_family = "wasm"))]
    {
        let (result, times) = electra_kernels::launches::profile(submit);
        let launches: u64 = times.iter().map(|time| time.launches).sum();
        let seconds: f64 = times.iter().map(|time| time.seconds).sum();
        (result, json!({ "step": step, "launches": launches, "seconds": seconds, "kernels": times }))
    }
}

/// Objective, networks and their sizes, in words.
pub(super) fn describe(trainer: &Trainer) -> String {
    let objective = trainer.objective();
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
