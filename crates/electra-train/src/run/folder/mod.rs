//! A run's folder: run.toml, tokenizer/ (a copy, so that the run can be used without its dataset), metrics.jsonl (nothing
//! that differs between two equal runs), timings.jsonl, tensorboard/, step_NNNNNN/ (checkpoints) and, at the end,
//! discriminator/ and generator/ in Hugging Face's layout.

pub mod card;
pub mod checkpoints;
mod pretrain;
pub(crate) mod record;
mod tensorboard;

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::Value;

use self::checkpoints::Checkpoints;
pub use self::pretrain::{Outcome, RunOptions, pretrain};
use self::record::Record;
use self::tensorboard::TensorBoard;
use super::checkpoint::Checkpoint;
use super::event::{EventSink, TrainEvent};
use super::sink::{Sink, TimingsRow};
use crate::config::RunConfig;
use crate::data::{TrainingData, keep_tokenizer};
use crate::error::Result;
use crate::file;
pub use crate::host::wait_for;
use crate::step::metrics::MetricsRow;

/// Name of the record of losses and detection in a run's folder.
pub(crate) const METRICS: &str = "metrics.jsonl";
/// Name of the record of times.
pub(crate) const TIMINGS: &str = "timings.jsonl";

/// Keeps a run in its folder, which must be locked ([`crate::RunFolder`]).
pub struct FolderSink<'a> {
    folder: &'a Path,
    config: &'a RunConfig,
    /// The dataset's tokenizer: its folder, and what tells it from others.
    tokenizer: (PathBuf, String),
    checkpoints: Checkpoints,
    open: Option<Files>,
    began: Instant,
    events: &'a mut EventSink<'a>,
}

/// Files that rows are appended to.
struct Files {
    metrics: Record,
    timings: Record,
    board: TensorBoard,
}

impl<'a> FolderSink<'a> {
    /// Writes nothing yet.
    pub fn new(folder: &'a Path, config: &'a RunConfig, data: &TrainingData, events: &'a mut EventSink<'a>) -> Self {
        Self {
            folder,
            config,
            tokenizer: (data.tokenizer.clone(), data.tokenizer_sha256.clone()),
            checkpoints: Checkpoints::new(folder, config.train.keep),
            open: None,
            began: Instant::now(),
            events,
        }
    }

    /// The folder of the run's own copy of the tokenizer.
    pub(crate) fn tokenizer(&self) -> PathBuf {
        self.folder.join(electra_data::TOKENIZER_FOLDER)
    }

    fn files(&mut self) -> &mut Files {
        self.open.as_mut().expect("a run opens its sink before it hands it anything")
    }
}

impl Sink for FolderSink<'_> {
    fn open(&mut self, step: u64, expected: u64) -> Result<u64> {
        let folder = self.folder;
        let metrics = Record::open(&folder.join(METRICS), step)?;
        let timings = Record::open(&folder.join(TIMINGS), step)?;
        let board = TensorBoard::create(&folder.join("tensorboard"), step)?;
        checkpoints::remove_leftovers(folder)?;
        self.config.save_in(folder)?;
        keep_tokenizer(&self.tokenizer.0, &self.tokenizer.1, folder)?;
        let rows = metrics.rows();
        self.open = Some(Files { metrics, timings, board });
        if rows < expected {
            let message = format!(
                "{}: {rows} rows up to step {step}, but there were {expected} when the checkpoint was written; training goes \
                 on without the lost ones",
                folder.join(METRICS).display(),
            );
            self.event(&TrainEvent::Warning { message });
        }
        Ok(rows)
    }

    fn row(&mut self, row: &MetricsRow, timings: &TimingsRow) -> Result<()> {
        let files = self.files();
        files.metrics.append(row)?;
        files.board.row(row)?;
        files.timings.append(timings)
    }

    fn validation(&mut self, row: &MetricsRow) -> Result<()> {
        let files = self.files();
        files.metrics.append(row)?;
        files.board.row(row)
    }

    async fn save(&mut self, checkpoint: Checkpoint) -> Result<()> {
        self.files().metrics.sync()?;
        let saved = self.checkpoints.save(&checkpoint)?;
        self.event(&TrainEvent::CheckpointSaved { step: checkpoint.state.step, path: saved.path });
        if let Some(error) = saved.not_removed {
            self.event(&TrainEvent::Warning { message: format!("an older checkpoint stays: {error}") });
        }
        Ok(())
    }

    fn profile(&mut self, profile: &Value) -> Result<String> {
        let path = self.folder.join("profile.json");
        file::write_atomically(&path, &serde_json::to_vec_pretty(profile).expect("numbers and names are JSON"))?;
        Ok(path.display().to_string())
    }

    fn broken_batch(&mut self, step: u64, batch: &Value) -> Result<String> {
        let path = self.folder.join(format!("nonfinite_step_{step:06}.json"));
        file::write_atomically(&path, batch.to_string().as_bytes())?;
        Ok(path.display().to_string())
    }

    fn event(&mut self, event: &TrainEvent) {
        (self.events)(event);
    }

    fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    fn place(&self) -> PathBuf {
        self.folder.to_owned()
    }
}
