//! Where a step's time goes: forward pass, backward pass, optimizer.
//!
//! A graphics adapter works on what was asked of it long ago, so that a part's time is known only where the host waits at
//! both its ends. A trainer has a clock for steps that are run to be measured, and none in training.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use burn::tensor::Device;

/// Seconds of a step's parts. What they leave out is the reading of the step's numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PartSeconds {
    /// Batch to the device, networks and losses. The kernels of the MLM loss make its gradients here.
    pub forward: f64,
    /// All other gradients.
    pub backward: f64,
    /// Gradients of micro-batches added up, the norm, the update.
    pub optimizer: f64,
}

/// Adds up what parts take.
#[derive(Debug)]
pub struct PartClock {
    device: Device,
    seconds: Mutex<PartSeconds>,
}

/// A part of a step, as a place in its seconds.
pub(crate) type Part = fn(&mut PartSeconds) -> &mut f64;

impl PartClock {
    /// A clock at zero, for steps on `device`.
    pub fn new(device: &Device) -> Self {
        Self { device: device.clone(), seconds: Mutex::default() }
    }

    /// The seconds since the last call.
    pub fn take(&self) -> PartSeconds {
        std::mem::take(&mut *self.seconds.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Runs `body`, which is one of `side_by_side` pieces that share a part's time; with a clock, to its end on the device.
pub(crate) fn timed<R>(clock: Option<&PartClock>, part: Part, side_by_side: usize, body: impl FnOnce() -> R) -> R {
    let Some(clock) = clock else { return body() };
    let started = Instant::now();
    let result = body();
    // A failure shows where results are read.
    let _ = clock.device.sync();
    let seconds = started.elapsed().as_secs_f64() / side_by_side as f64;
    *part(&mut clock.seconds.lock().unwrap_or_else(PoisonError::into_inner)) += seconds;
    result
}
