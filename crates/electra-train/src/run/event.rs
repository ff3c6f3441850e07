//! What training tells whoever watches: the terminal, a page, TensorBoard, a test.
//!
//! The library prints nothing and knows no reader; it hands typed events to a closure.

use std::path::PathBuf;

use crate::pretraining::metrics::MetricsRow;

/// Something that happened in a run.
#[derive(Debug, Clone, PartialEq)]
pub enum TrainEvent<R = MetricsRow> {
    /// Training is about to begin.
    Started {
        /// Objective, networks and their sizes, in words.
        description: String,
        /// In words.
        device: String,
        /// Trainable values, shared ones once.
        parameters: usize,
        /// Steps that were done before this process.
        first_step: u64,
        /// Steps of the whole run.
        steps: u64,
        /// Tokens per step, padding included.
        tokens_per_step: u64,
        /// Examples per forward pass.
        micro_batch: usize,
    },
    /// The run goes on after `step` steps of the checkpoint at `path`.
    Resumed {
        /// Steps done.
        step: u64,
        /// Its folder.
        path: PathBuf,
    },
    /// Something that may not be as the user wants it and that does not stop the run: a checkpoint passed over,
    /// `--resume` without anything to resume.
    Warning {
        /// One line.
        message: String,
    },
    /// Something that helps to know: a phase that begins, where a profile lies.
    Notice {
        /// One line.
        message: String,
    },
    /// A step is done. Cheap: sent every step, before its numbers are read from the device.
    Progress {
        /// Steps done.
        step: u64,
        /// Since the run was begun or resumed.
        steps_per_second: f64,
        /// Padding included.
        tokens_per_second: f64,
        /// At this speed.
        seconds_left: f64,
    },
    /// A row of training metrics was written.
    Metrics {
        /// As it was written.
        row: Box<R>,
        /// Since the run was begun or resumed.
        steps_per_second: f64,
        /// Padding included.
        tokens_per_second: f64,
        /// At this speed.
        seconds_left: f64,
    },
    /// A row of validation metrics, or of a probe's, was written.
    Validation {
        /// As it was written.
        row: Box<R>,
    },
    /// A checkpoint was written.
    CheckpointSaved {
        /// Steps done.
        step: u64,
        /// Its folder.
        path: PathBuf,
    },
    /// The loss or the gradient of `step` was not finite and its update was skipped.
    NonFinite {
        /// Steps done.
        step: u64,
        /// "loss" or "gradient norm".
        what: String,
        /// Such steps until now.
        in_a_row: u64,
        /// As many end the run.
        limit: u64,
    },
    /// Gradients of the scaled loss went beyond half precision: the update of `step` was skipped, and the loss's factor is
    /// `loss_factor` from now on.
    Overflow {
        /// Steps done.
        step: u64,
        /// Half of what it was.
        loss_factor: f64,
    },
    /// Training ended; `interrupted`: before its last step, by the user.
    Finished {
        /// Steps done.
        step: u64,
        /// Since the run was begun or resumed.
        seconds: f64,
        /// Whether there are steps left to do.
        interrupted: bool,
    },
}

/// Takes events. Called on the trainer's thread: it must not block.
pub type EventSink<'a, R = MetricsRow> = dyn FnMut(&TrainEvent<R>) + 'a;
