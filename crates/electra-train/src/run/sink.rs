//! Where a run puts what must last.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::checkpoint::Checkpoint;
use super::event::TrainEvent;
use super::work::Work;
use crate::error::Result;

/// Takes a run's rows, checkpoints and events: a folder ([`super::folder::FolderSink`]), memory
/// ([`super::MemorySink`]), a browser's storage.
///
/// Calls come in one order: [`Sink::open`] first; then, at a step that is due for several things, the row of the step, the
/// row of its validation, that of its probe, its checkpoint. A checkpoint vouches for all rows before it.
pub trait Sink<W: Work> {
    /// Makes ready for a run that goes on after `step` steps (0: from the start), and says how many rows there are. Rows of
    /// later steps are dropped, since they will be written again. `rows`: as many as the checkpoint vouches for.
    ///
    /// Called when all that a run starts from has been read, so that a start that fails changes nothing.
    ///
    /// # Errors
    /// It cannot be written to.
    fn open(&mut self, step: u64, rows: u64) -> Result<u64>;

    /// Takes a row of training, and its times.
    ///
    /// # Errors
    /// It cannot be written.
    fn row(&mut self, row: &W::Row, timings: &TimingsRow) -> Result<()>;

    /// Takes a row of what was judged: of held-out text, of a probe.
    ///
    /// # Errors
    /// It cannot be written.
    fn validation(&mut self, row: &W::Row) -> Result<()>;

    /// Takes a checkpoint, so that it and all rows before it last.
    ///
    /// # Errors
    /// It cannot be written; the one before it lasts then.
    fn save(&mut self, checkpoint: Checkpoint<W::Memory>) -> impl Future<Output = Result<()>>;

    /// A checkpoint that was taken and must still be there: that of the step which the newest one calls its best.
    ///
    /// # Errors
    /// It cannot be read.
    fn load(&self, step: u64) -> impl Future<Output = Result<Checkpoint<W::Memory>>>;

    /// Takes what one step's kernels cost, and says where it is.
    ///
    /// # Errors
    /// It cannot be written.
    fn profile(&mut self, profile: &Value) -> Result<String>;

    /// Takes the batch whose numbers were not finite after `step` steps, and says where it is.
    ///
    /// # Errors
    /// It cannot be written.
    fn broken_batch(&mut self, step: u64, batch: &Value) -> Result<String>;

    /// Tells whoever watches.
    fn event(&mut self, event: &TrainEvent<W::Row>);

    /// Seconds since some moment before the first call.
    fn seconds(&self) -> f64;

    /// What errors call it.
    fn place(&self) -> PathBuf;
}

/// A row of timings.jsonl: everything that differs between two equal runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TimingsRow {
    /// Steps done.
    pub step: u64,
    /// Since this process began to train.
    pub seconds: f64,
    /// Since then, on average.
    pub steps_per_second: f64,
    /// Since then, on average, padding included.
    pub tokens_per_second: f64,
}
