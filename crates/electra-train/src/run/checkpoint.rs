//! What a run keeps so that it can go on: a checkpoint in memory.

use std::collections::BTreeMap;

use electra_data::CorpusRecord;
use serde::{Deserialize, Serialize};

use crate::config::Change;
use crate::host::HostTensor;
use crate::step::metrics::WindowSums;

/// What a run needs to go on, beside its tensors.
///
/// The data's position and the learning rate are functions of `step`, and random numbers of the seed and the
/// step, so that no more is needed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainState {
    /// Steps done; the next batch has this number.
    pub step: u64,
    /// [`crate::RunConfig::settings`] of the run.
    pub settings: BTreeMap<String, String>,
    /// What was set otherwise when the run was resumed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// Tells the tokenizer from any other …
    pub tokenizer_sha256: String,
    /// … and the tokens to train on and to be judged by.
    pub data_fingerprint: String,
    /// The text, for the model card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corpus: Option<CorpusRecord>,
    /// Non-padding tokens seen.
    pub tokens_seen: u64,
    /// Floating-point operations spent, by the exact rule of [`crate::estimate::ledger`]. Checkpoints of earlier releases do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flops: Option<f64>,
    /// Steps whose update was skipped because a loss or gradient was not finite …
    pub nonfinite_steps: u64,
    /// … and how many of them are the latest, in a row.
    pub nonfinite_in_a_row: u64,
    /// Moments updated so often: differs from `step` by the skipped ones; bias correction counts it.
    pub updates: u64,
    /// The loss's factor in half precision, and steps since it changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_scale: Option<[f64; 2]>,
    /// Rows of metrics.jsonl that the checkpoint vouches for.
    pub rows: u64,
    /// Metrics since the last row.
    pub window: WindowSums,
}

/// One checkpoint in memory. Tensors come back sorted by name.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// All that is no tensor.
    pub state: TrainState,
    /// Weights.
    pub parameters: Vec<HostTensor>,
    /// `m.NAME` and `v.NAME` for each parameter.
    pub optimizer: Vec<HostTensor>,
    /// Scores of the metric window.
    pub window_scores: Vec<HostTensor>,
}
