//! The model card of a run's networks.

use std::path::Path;

use super::metrics::MetricsRow;
use crate::config::{Change, RunConfig};
use crate::exchange::model_card::ModelCard;
use crate::exchange::networks::run_id;
use crate::run::checkpoint::TrainState;
#[cfg(feature = "native")]
use crate::run::folder::METRICS;

/// The model card of a saved checkpoint, with its validation row where metrics.jsonl has one.
#[cfg(feature = "native")]
pub fn card_of_checkpoint(run: &Path, config: &RunConfig, state: &TrainState) -> ModelCard {
    let rows = std::fs::read_to_string(run.join(METRICS)).unwrap_or_default();
    let row = rows
        .lines()
        .filter_map(|line| serde_json::from_str::<MetricsRow>(line).ok())
        .find(|row| row.split == "validation" && row.step == state.step);
    card_of(run, config, state, row.as_ref())
}

/// The model card of the run in the folder `run`, at `state`.
pub fn card_of(run: &Path, config: &RunConfig, state: &TrainState, validation: Option<&MetricsRow>) -> ModelCard {
    let train = &config.train;
    // Devices and how often something is written are nobody's business but the user's.
    let changes = state.changes.iter().filter(|change| change.key == "train.steps");
    let changed = |change: &Change| {
        ("steps, as changed on the way".to_owned(), format!("{} for {} at {}", change.to, change.from, change.step))
    };
    let text = |name: &str, value: &dyn std::fmt::Display| (name.to_owned(), value.to_string());
    let named = validation.map(|row| {
        [
            ("discriminator AUC", row.discriminator_auc),
            ("discriminator loss", row.discriminator_loss),
            ("generator loss", row.generator_loss),
            ("generator accuracy", row.generator_accuracy),
        ]
    });
    ModelCard {
        run: Some(run_id(&state.settings, &state.changes, &state.data_fingerprint)),
        corpus: state.corpus.as_ref().map(ToString::to_string),
        name: run.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        training: [
            text("objective", &config.objective.name),
            text("preset", &config.preset),
            text("steps", &state.step),
            text("tokens seen", &state.tokens_seen),
            text(
                "floating-point operations",
                &state.flops.map_or_else(|| "not recorded".to_owned(), |flops| format!("{flops:.3e}")),
            ),
            text("batch size", &train.batch_size),
            text("sequence length", &train.sequence_length),
            text("peak learning rate", &train.learning_rate),
        ]
        .into_iter()
        .chain(changes.map(changed))
        .collect(),
        metrics: named.into_iter().flatten().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect(),
        ..ModelCard::default()
    }
}
