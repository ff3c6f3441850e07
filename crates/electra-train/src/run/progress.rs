//! Where a run stands, and how fast it gets there.

use super::checkpoint::TrainState;

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
}

impl Progress {
    /// As it was when `state` was saved.
    pub(super) fn of<M>(state: &TrainState<M>) -> Self {
        Self {
            step: state.step,
            tokens_seen: state.tokens_seen,
            flops: state.flops,
            nonfinite_steps: state.nonfinite_steps,
            nonfinite_in_a_row: state.nonfinite_in_a_row,
            rows: state.rows,
        }
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
