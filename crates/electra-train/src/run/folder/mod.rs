//! A run's folder.

pub mod card;
pub mod checkpoints;
pub mod record;
pub mod tensorboard;

/// Name of the record of losses and detection in a run's folder.
const METRICS: &str = "metrics.jsonl";
