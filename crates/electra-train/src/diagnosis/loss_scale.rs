//! The loss's factor in half precision: halved by each overflow, doubled by 2,000 good steps (Micikevicius et al. 2018).

use electra_kernels::Precision;

use super::record::Record;
use super::{Finding, number, percent};

/// The factor never gets below 1: there gradients overflow that are not scaled at all.
const LOWEST: f64 = 1.0;
/// It begins at 65,536; gradients that overflow at so little lose what half precision cannot hold.
const LOW: f64 = 256.0;
/// One step in 2,000 finds the factor's end; many more mean that it never finds it.
const MANY_SKIPPED: f64 = 0.01;
/// Overflows with which the factor is found at first.
const FIRST_OVERFLOWS: u64 = 16;

pub(super) fn check(record: &Record) -> Vec<Finding> {
    if record.config.train.precision != Precision::F16 {
        return Vec::new();
    }
    let Some((state, [factor, good_steps])) = record.state.as_ref().and_then(|state| Some((state, state.loss_scale?))) else {
        return Vec::new();
    };
    let overflows = state.step.saturating_sub(state.updates + state.nonfinite_steps);
    let share = overflows.saturating_sub(FIRST_OVERFLOWS) as f64 / state.step.max(1) as f64;
    let evidence = format!(
        "after step {}: factor {}, unchanged for {good_steps:.0} steps; {overflows} updates skipped for overflows, {}",
        state.step,
        number(factor),
        percent(overflows as f64 / state.step.max(1) as f64)
    );
    let remedy = "train it with precision = \"f32\", or lower train.learning_rate: gradients outgrow half precision";
    if factor <= LOWEST {
        vec![Finding::wrong("the loss's factor is stuck at its lowest", evidence, remedy)]
    } else if share > MANY_SKIPPED || factor < LOW {
        vec![Finding::suspicious("the loss's factor keeps falling", evidence, remedy)]
    } else {
        vec![Finding::fine("half precision holds the gradients", evidence)]
    }
}
