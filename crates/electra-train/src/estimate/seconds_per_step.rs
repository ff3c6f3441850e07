//! What a step costs on this device, measured: for the dry run, and to fit the default job into its minutes.

use std::time::Instant;

use electra_kernels::side_by_side;

use crate::data::TrainingData;
use crate::error::{During, Result};
use crate::pretraining::Plan;

/// Seconds that are spent on timed steps, after one that is not timed: it compiles shaders and touches fresh memory.
const BUDGET_SECONDS: f64 = 2.0;

/// Seconds per step of `plan`.
///
/// # Errors
/// The device failed.
pub fn measure(plan: &Plan, data: &TrainingData) -> Result<f64> {
    let mut trainer = plan.trainer();
    let batch_size = plan.config().train.batch_size;
    // As many micro-batches as run side by side, scaled to the batch.
    let examples = (plan.micro_batch() * side_by_side::width(plan.device())).min(batch_size);
    let batch = data.train.batch(0).slice(0..examples);
    let measuring = "the measurement of a step";
    trainer.step(&batch, 0, 0.0).during(measuring)?;
    let started = Instant::now();
    let mut steps = 0;
    while started.elapsed().as_secs_f64() < BUDGET_SECONDS {
        trainer.step(&batch, steps, 0.0).during(measuring)?;
        steps += 1;
    }
    let seconds = started.elapsed().as_secs_f64() / steps as f64;
    Ok(seconds * batch_size as f64 / examples as f64)
}
