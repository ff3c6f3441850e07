//! What a run keeps so that it can go on: a checkpoint in memory, and the files that it is outside of it.
//!
//! | file | holds |
//! |---|---|
//! | parameters.safetensors | weights, by their names in `Parameters` |
//! | optimizer.safetensors | `m.NAME` and `v.NAME` |
//! | metrics.safetensors | scores of the metric window |
//! | state.json | step, counters, sums of the metric window, configuration, what it was trained on |

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use electra_data::CorpusRecord;
use electra_model::{Layout, Parameters};
use serde::{Deserialize, Serialize};

use crate::config::Change;
use crate::error::{Error, Result};
use crate::file::tensor_file::{TensorFile, encode};
use crate::host::{self, HostTensor};
use crate::pretraining::metrics::WindowSums;
use crate::run::work::Memory;
use crate::step::optimizer::{Adam, AdamConfig, LossScale};

/// Version of the files; those of another version are not read. 2: the state names the configuration key by key.
const FORMAT_VERSION: u32 = 2;
pub(crate) const PARAMETERS: &str = "parameters.safetensors";
pub(crate) const OPTIMIZER: &str = "optimizer.safetensors";
pub(crate) const METRICS: &str = "metrics.safetensors";
pub(crate) const STATE: &str = "state.json";

#[derive(Serialize, Deserialize)]
struct StateFile {
    format_version: u32,
    #[serde(flatten)]
    state: serde_json::Value,
}

/// What a run needs to go on, beside its tensors.
///
/// The data's position and the learning rate are functions of `step`, and random numbers of the seed and the
/// step, so that no more is needed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainState<M = WindowSums> {
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
    /// The step whose weights were judged best so far, where they are compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best_step: Option<u64>,
    /// Metrics since the last row, and what else the run's work must remember.
    pub window: M,
}

impl<M: Memory> TrainState<M> {
    /// The state in `bytes`, the content of a checkpoint's state.json at `path`.
    ///
    /// # Errors
    /// [`Error::OtherVersion`]: another release wrote it.
    pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<Self> {
        let not_understood = |error: serde_json::Error| other_version(path, error.to_string());
        let file: StateFile = serde_json::from_slice(bytes).map_err(not_understood)?;
        if file.format_version != FORMAT_VERSION {
            let problem = format!("format version {}, expected {FORMAT_VERSION}", file.format_version);
            return Err(other_version(path, problem));
        }
        serde_json::from_value(file.state).map_err(not_understood)
    }
}

/// What is as it was written and cannot be understood, another release wrote.
fn other_version(path: &Path, problem: String) -> Error {
    let remedy = "resume with the release of Electra that wrote it, or begin again in another folder".to_owned();
    Error::OtherVersion { path: path.to_owned(), problem, remedy }
}

/// One checkpoint in memory. Tensors come back sorted by name.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint<M = WindowSums> {
    /// All that is no tensor.
    pub state: TrainState<M>,
    /// Weights.
    pub parameters: Vec<HostTensor>,
    /// `m.NAME` and `v.NAME` for each parameter.
    pub optimizer: Vec<HostTensor>,
    /// Scores of the metric window.
    pub window_scores: Vec<HostTensor>,
}

impl<M> Checkpoint<M> {
    /// Parameters of `layout` and their optimizer as they were. Takes their tensors out; errors call the checkpoint `place`.
    ///
    /// # Errors
    /// A tensor is missing or does not fit.
    pub(crate) fn restore(
        &mut self,
        layout: &Layout,
        adam: AdamConfig,
        place: &Path,
        device: &Device,
    ) -> Result<(Parameters, Adam)> {
        let (parameters, moments) = (std::mem::take(&mut self.parameters), std::mem::take(&mut self.optimizer));
        let parameters = host::parameters_from_host(layout, parameters, place, device)?;
        let adam = Adam::from_host(adam, layout, moments, self.state.updates, place, device)?;
        let scale = self.state.loss_scale;
        let scale = scale.map(|[factor, good_steps]| LossScale { factor, good_steps: good_steps as u64 });
        Ok((parameters, adam.with_loss_scale(scale)))
    }
}

/// Names of a checkpoint's files, as [`Checkpoint::write`] hands them out.
pub const CHECKPOINT_FILES: [&str; 4] = [PARAMETERS, OPTIMIZER, METRICS, STATE];

impl<M: Memory> Checkpoint<M> {
    /// Hands `write` the name and the bytes of each file, of one at a time: a checkpoint of a large network is several GB.
    ///
    /// # Errors
    /// Those of `write`.
    pub fn write(&self, mut write: impl FnMut(&'static str, &[u8]) -> Result<()>) -> Result<()> {
        let state = serde_json::to_value(&self.state).expect("plain data");
        let state = StateFile { format_version: FORMAT_VERSION, state };
        let mut state = serde_json::to_vec_pretty(&state).expect("plain data");
        state.push(b'\n');
        write(PARAMETERS, &encode(&self.parameters, []))?;
        write(OPTIMIZER, &encode(&self.optimizer, []))?;
        write(METRICS, &encode(&self.window_scores, []))?;
        write(STATE, &state)
    }

    /// The checkpoint whose files `read` gives, each with what messages call it, as they were written.
    ///
    /// # Errors
    /// Those of `read`; [`Error::OtherVersion`]: another release wrote it.
    pub fn read(read: impl Fn(&'static str) -> Result<(PathBuf, Vec<u8>)>) -> Result<Self> {
        let tensors = |name: &'static str| {
            let (path, bytes) = read(name)?;
            let parsed = TensorFile::parse(&path, bytes).and_then(|file| file.tensors());
            parsed.map_err(|error| other_version(&path, error.to_string()))
        };
        let (path, bytes) = read(STATE)?;
        Ok(Self {
            state: TrainState::parse(&path, &bytes)?,
            parameters: tensors(PARAMETERS)?,
            optimizer: tensors(OPTIMIZER)?,
            window_scores: tensors(METRICS)?,
        })
    }
}
