//! A run in memory: for a page without storage, for experiments that keep numbers alone, and for tests.

use std::path::PathBuf;

use serde_json::Value;

use super::checkpoint::Checkpoint;
use super::event::TrainEvent;
use super::sink::{Sink, TimingsRow};
use super::work::{Row, Work};
use crate::error::{Error, Result};
use crate::pretraining::Pretraining;

/// Keeps all rows, the newest checkpoint and all events.
pub struct MemorySink<W: Work = Pretraining> {
    /// Rows of training and of held-out text, in their order.
    pub rows: Vec<W::Row>,
    /// The newest checkpoint.
    pub checkpoint: Option<Checkpoint<W::Memory>>,
    /// The one that the newest calls its best, where that is another.
    pub best: Option<Checkpoint<W::Memory>>,
    /// What was told, but for each step's [`TrainEvent::Progress`].
    pub events: Vec<TrainEvent<W::Row>>,
    /// Profiles, and batches whose numbers were not finite.
    pub reports: Vec<Value>,
    clock: fn() -> f64,
}

impl<W: Work> MemorySink<W> {
    /// An empty one. `clock`: seconds since some moment, by whatever clock there is.
    pub fn new(clock: fn() -> f64) -> Self {
        Self { rows: Vec::new(), checkpoint: None, best: None, events: Vec::new(), reports: Vec::new(), clock }
    }

    fn report(&mut self, report: &Value) -> String {
        self.reports.push(report.clone());
        format!("report {} in memory", self.reports.len())
    }
}

impl<W: Work> Sink<W> for MemorySink<W> {
    fn open(&mut self, step: u64, _: u64) -> Result<u64> {
        self.rows.retain(|row| row.step() <= step);
        if step == 0 {
            self.rows.clear();
        }
        Ok(self.rows.len() as u64)
    }

    fn row(&mut self, row: &W::Row, _: &TimingsRow) -> Result<()> {
        self.rows.push(row.clone());
        Ok(())
    }

    fn validation(&mut self, row: &W::Row) -> Result<()> {
        self.rows.push(row.clone());
        Ok(())
    }

    async fn save(&mut self, checkpoint: Checkpoint<W::Memory>) -> Result<()> {
        let best = checkpoint.state.best_step;
        let is_best = |kept: &Checkpoint<W::Memory>| Some(kept.state.step) == best;
        let kept = [self.checkpoint.replace(checkpoint), self.best.take()];
        self.best = kept.into_iter().flatten().find(is_best);
        Ok(())
    }

    async fn load(&self, step: u64) -> Result<Checkpoint<W::Memory>> {
        let mut kept = [&self.checkpoint, &self.best].into_iter().flatten();
        let found = kept.rfind(|checkpoint| checkpoint.state.step == step).cloned();
        found.ok_or_else(|| {
            let problem = format!("there is no checkpoint of step {step} any more");
            Error::invalid(&Sink::<W>::place(self), problem, "begin the run again")
        })
    }

    fn profile(&mut self, profile: &Value) -> Result<String> {
        Ok(self.report(profile))
    }

    fn broken_batch(&mut self, _: u64, batch: &Value) -> Result<String> {
        Ok(self.report(batch))
    }

    fn event(&mut self, event: &TrainEvent<W::Row>) {
        if !matches!(event, TrainEvent::Progress { .. }) {
            self.events.push(event.clone());
        }
    }

    fn seconds(&self) -> f64 {
        (self.clock)()
    }

    fn place(&self) -> PathBuf {
        PathBuf::from("memory")
    }
}
