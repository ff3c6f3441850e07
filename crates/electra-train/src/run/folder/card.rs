//! The model card of a run's networks.

use std::path::Path;

use super::METRICS;
use crate::config::{Change, RunConfig};
use crate::exchange::export::run_id;
use crate::exchange::model_card::ModelCard;
use crate::run::checkpoint::TrainState;
use crate::step::metrics::MetricsRow;

/// The model card of a saved checkpoint, with its validation row where metrics.jsonl has one.
pub fn card_of_checkpoint(run: &Path, config: &RunConfig, state: &TrainState) -> ModelCard {
    let rows = std::fs::read_to_string(run.join(METRICS)).unwrap_or_default();
    let row = rows
        .lines()
        .filter_map(|line| serde_json::from_str::<MetricsRow>(line).ok())
        .find(|row| row.split == "validation" && row.step == state.step);
    ModelCard {
        run: Some(run_id(&state.settings, &state.changes, &state.data_fingerprint)),
        corpus: state.corpus.as_ref().map(ToString::to_string),
        ..card_of_steps(run, config, state.step, state.tokens_seen, &state.changes, row.as_ref())
    }
}

pub(crate) fn card_of_steps(
    run: &Path,
    config: &RunConfig,
    step: u64,
    tokens_seen: u64,
    changes: &[Change],
    validation: Option<&MetricsRow>,
) -> ModelCard {
    let train = &config.train;
    // Devices and how often something is written are nobody's business but the user's.
    let changes = changes.iter().filter(|change| change.key == "train.steps");
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
        name: run.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        training: [
            text("objective", &config.objective.name),
            text("preset", &config.preset),
            text("steps", &step),
            text("tokens seen", &tokens_seen),
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
