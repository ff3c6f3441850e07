//! What a step costs on this device, measured: for the dry run, and to fit the default job into its minutes.

use std::time::Instant;

use burn::tensor::Device;
use electra_kernels::side_by_side;
use electra_train::pretrain::{TrainingData, fresh_trainer, layout_of, objective_of};
use electra_train::run_config::{MicroBatch, RunConfig};

/// Seconds that are spent on timed steps, after one that is not timed: it compiles shaders and touches fresh memory.
const BUDGET_SECONDS: f64 = 2.0;

/// Seconds per step of `config`, whose micro-batch must be settled.
///
/// # Errors
/// The configuration's networks cannot be built.
pub fn measure(config: &RunConfig, data: &TrainingData, device: &Device) -> anyhow::Result<f64> {
    let MicroBatch::Size(micro_batch) = config.train.micro_batch else { panic!("settle micro_batch first") };
    let objective = objective_of(config, &config.objective)?;
    let layout = layout_of(config, objective.as_ref());
    // The very trainer that a run would have: precision and recomputation change what a step costs.
    let mut trainer = fresh_trainer(config, objective, &layout, data.special, device);
    // As many micro-batches as run side by side, scaled to the batch.
    let examples = (micro_batch * side_by_side::width(device)).min(config.train.batch_size);
    let batch = data.train.batch(0).slice(0..examples);
    trainer.step(&batch, 0, 0.0);
    let started = Instant::now();
    let mut steps = 0;
    while started.elapsed().as_secs_f64() < BUDGET_SECONDS {
        trainer.step(&batch, steps, 0.0);
        steps += 1;
    }
    let seconds = started.elapsed().as_secs_f64() / steps as f64;
    Ok(seconds * config.train.batch_size as f64 / examples as f64)
}
