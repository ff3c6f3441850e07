//! A run in memory: for a page without storage, for experiments that keep numbers alone, and for tests.

use std::path::PathBuf;

use serde_json::Value;

use super::checkpoint::Checkpoint;
use super::event::TrainEvent;
use super::sink::{Sink, TimingsRow};
use crate::error::Result;
use crate::step::metrics::MetricsRow;

/// Keeps all rows, the newest checkpoint and all events.
#[derive(Debug)]
pub struct MemorySink {
    /// Rows of training and of held-out text, in their order.
    pub rows: Vec<MetricsRow>,
    /// The newest checkpoint.
    pub checkpoint: Option<Checkpoint>,
    /// What was told, but for each step's [`TrainEvent::Progress`].
    pub events: Vec<TrainEvent>,
    /// Profiles, and batches whose numbers were not finite.
    pub reports: Vec<Value>,
    clock: fn() -> f64,
}

impl MemorySink {
    /// An empty one. `clock`: seconds since some moment, by whatever clock there is.
    pub fn new(clock: fn() -> f64) -> Self {
        Self { rows: Vec::new(), checkpoint: None, events: Vec::new(), reports: Vec::new(), clock }
    }

    fn report(&mut self, report: &Value) -> String {
        self.reports.push(report.clone());
        format!("report {} in memory", self.reports.len())
    }
}

impl Sink for MemorySink {
    fn open(&mut self, step: u64, _: u64) -> Result<u64> {
        self.rows.retain(|row| row.step <= step);
        if step == 0 {
            self.rows.clear();
        }
        Ok(self.rows.len() as u64)
    }

    fn row(&mut self, row: &MetricsRow, _: &TimingsRow) -> Result<()> {
        self.rows.push(row.clone());
        Ok(())
    }

    fn validation(&mut self, row: &MetricsRow) -> Result<()> {
        self.rows.push(row.clone());
        Ok(())
    }

    async fn save(&mut self, checkpoint: Checkpoint) -> Result<()> {
        self.checkpoint = Some(checkpoint);
        Ok(())
    }

    fn profile(&mut self, profile: &Value) -> Result<String> {
        Ok(self.report(profile))
    }

    fn broken_batch(&mut self, _: u64, batch: &Value) -> Result<String> {
        Ok(self.report(batch))
    }

    fn event(&mut self, event: &TrainEvent) {
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
