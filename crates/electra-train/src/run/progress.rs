//! Where a run stands, and how fast it gets there.

use std::path::Path;

use electra_data::CorpusRecord;

use super::checkpoint::Checkpoint;
use crate::config::Change;
use crate::error::Result;
use crate::step::metrics::MetricWindow;

/// Counters of a run in progress.
#[derive(Default)]
pub(crate) struct Progress {
    pub(crate) step: u64,
    pub(crate) tokens_seen: u64,
    /// Floating-point operations; `None` where a checkpoint did not say.
    pub(crate) flops: Option<f64>,
    pub(crate) nonfinite_steps: u64,
    pub(crate) nonfinite_in_a_row: u64,
    /// Rows of metrics.
    pub(crate) rows: u64,
    /// What was set otherwise when the run was resumed.
    pub(crate) changes: Vec<Change>,
    /// The text, as a checkpoint has it.
    pub(crate) corpus: Option<CorpusRecord>,
    pub(crate) window: MetricWindow,
}

impl Progress {
    /// As it was when `saved` was taken, which is called `place` where something is wrong with it.
    pub(crate) fn restore(saved: Checkpoint, place: &Path) -> Result<Self> {
        let state = saved.state;
        Ok(Self {
            window: MetricWindow::restore(state.window, &saved.window_scores, place)?,
            step: state.step,
            tokens_seen: state.tokens_seen,
            flops: state.flops,
            nonfinite_steps: state.nonfinite_steps,
            nonfinite_in_a_row: state.nonfinite_in_a_row,
            rows: state.rows,
            changes: state.changes,
            corpus: state.corpus,
        })
    }
}

/// Steps and tokens per second, and what they predict.
pub(crate) struct Speed {
    pub(crate) steps_per_second: f64,
    pub(crate) tokens_per_second: f64,
    pub(crate) seconds_left: f64,
}

impl Speed {
    pub(crate) fn of(seconds: f64, done: u64, left: u64, tokens_per_step: u64) -> Self {
        let steps_per_second = done as f64 / seconds.max(1e-9);
        Self {
            steps_per_second,
            tokens_per_second: steps_per_second * tokens_per_step as f64,
            seconds_left: left as f64 / steps_per_second,
        }
    }
}
