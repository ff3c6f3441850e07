//! A run's folder: its configuration, metrics.jsonl (nothing that differs between two equal runs), timings.jsonl,
//! tensorboard/ and step_NNNNNN/ (checkpoints).

pub mod checkpoints;
pub(crate) mod record;
mod tensorboard;

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::Value;

use self::checkpoints::Checkpoints;
use self::record::Record;
use self::tensorboard::TensorBoard;
use super::checkpoint::Checkpoint;
use super::event::{EventSink, TrainEvent};
use super::sink::{Sink, TimingsRow};
use super::work::{Row, Work};
use crate::error::Result;
use crate::file;
pub use crate::host::wait_for;

/// Name of the record of losses and detection in a run's folder.
pub(crate) const METRICS: &str = "metrics.jsonl";
/// Name of the record of times.
pub(crate) const TIMINGS: &str = "timings.jsonl";

/// Puts what a run's folder must have beside rows and checkpoints into it.
type Furnish<'a> = Box<dyn Fn(&Path) -> Result<()> + 'a>;

/// Keeps a run in its folder, which must be locked ([`crate::RunFolder`]).
pub struct FolderSink<'a, R> {
    folder: &'a Path,
    furnish: Furnish<'a>,
    checkpoints: Checkpoints,
    open: Option<Files>,
    began: Instant,
    events: &'a mut EventSink<'a, R>,
}

/// Files that rows are appended to.
struct Files {
    metrics: Record,
    timings: Record,
    board: TensorBoard,
}

impl<'a, R> FolderSink<'a, R> {
    /// Writes nothing yet. Of the run's checkpoints the `keep` newest stay; `furnish` is called when it begins or goes on.
    pub fn new(
        folder: &'a Path,
        keep: usize,
        furnish: impl Fn(&Path) -> Result<()> + 'a,
        events: &'a mut EventSink<'a, R>,
    ) -> Self {
        Self {
            folder,
            furnish: Box::new(furnish),
            checkpoints: Checkpoints::new(folder, keep),
            open: None,
            began: Instant::now(),
            events,
        }
    }

    /// Tells whoever watches, before there is a run.
    pub(crate) fn tell(&mut self, event: &TrainEvent<R>) {
        (self.events)(event);
    }

    fn files(&mut self) -> &mut Files {
        self.open.as_mut().expect("a run opens its sink before it hands it anything")
    }
}

impl<R: Row, W: Work<Row = R>> Sink<W> for FolderSink<'_, R> {
    fn open(&mut self, step: u64, expected: u64) -> Result<u64> {
        let folder = self.folder;
        let metrics = Record::open(&folder.join(METRICS), step)?;
        let timings = Record::open(&folder.join(TIMINGS), step)?;
        let board = TensorBoard::create(&folder.join("tensorboard"), step)?;
        checkpoints::remove_leftovers(folder)?;
        (self.furnish)(folder)?;
        let rows = metrics.rows();
        self.open = Some(Files { metrics, timings, board });
        if rows < expected {
            let message = format!(
                "{}: {rows} rows up to step {step}, but there were {expected} when the checkpoint was written; training goes \
                 on without the lost ones",
                folder.join(METRICS).display(),
            );
            self.tell(&TrainEvent::Warning { message });
        }
        Ok(rows)
    }

    fn row(&mut self, row: &R, timings: &TimingsRow) -> Result<()> {
        let files = self.files();
        files.metrics.append(row)?;
        files.board.row(row)?;
        files.timings.append(timings)
    }

    fn validation(&mut self, row: &R) -> Result<()> {
        let files = self.files();
        files.metrics.append(row)?;
        files.board.row(row)
    }

    async fn save(&mut self, checkpoint: Checkpoint<W::Memory>) -> Result<()> {
        self.files().metrics.sync()?;
        let saved = self.checkpoints.save(&checkpoint)?;
        self.tell(&TrainEvent::CheckpointSaved { step: checkpoint.state.step, path: saved.path });
        if let Some(error) = saved.not_removed {
            self.tell(&TrainEvent::Warning { message: format!("an older checkpoint stays: {error}") });
        }
        Ok(())
    }

    async fn load(&self, step: u64) -> Result<Checkpoint<W::Memory>> {
        checkpoints::load(&checkpoints::path_of(self.folder, step))
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

    fn event(&mut self, event: &TrainEvent<R>) {
        self.tell(event);
    }

    fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    fn place(&self) -> PathBuf {
        self.folder.to_owned()
    }
}
