//! The gradient's norm: growing, vanished, or far beyond what it is clipped to.

use super::record::{Record, late, median, steps_of};
use super::{Finding, number, percent};
use crate::pretraining::metrics::MetricsRow;

/// Norms fall or stay as a run goes on; one that grew so much since its quietest quarter runs away.
const GROWN: f64 = 10.0;
/// Rows from which on quarters can be compared.
const ENOUGH_ROWS: usize = 12;
/// Below this an update is weight decay and nothing else.
const VANISHED: f64 = 1e-6;
/// Healthy runs are clipped throughout (the discriminator's weight of 50 sees to that) by a factor of 5 to 10.
const FAR_BEYOND: f64 = 50.0;

pub(super) fn check(record: &Record) -> Vec<Finding> {
    // What begins with another stage or ends with the warm-up is another gradient.
    let stage = if record.step() > record.generator_steps() { record.generator_steps() } else { 0 };
    let settled = (stage + record.config.train.warmup_steps).min(record.step());
    let rows: Vec<&MetricsRow> =
        record.train.iter().filter(|row| row.gradient_norm.is_some() && row.step >= settled).collect();
    let norms = |rows: &[&MetricsRow]| median(rows.iter().map(|row| row.gradient_norm));
    let late = late(&rows);
    let Some(now) = norms(late) else { return Vec::new() };
    let clip = record.config.train.clip_norm;
    let clipped = rows.iter().filter(|row| row.gradient_norm.is_some_and(|norm| norm > clip)).count();
    let evidence = format!(
        "median {} over {}; above train.clip_norm = {} in {} of the rows after the warm-up",
        number(now),
        steps_of(late.iter().copied()),
        number(clip),
        percent(clipped as f64 / rows.len() as f64)
    );
    if now < VANISHED {
        let remedy = "nothing is learnt any more: look for a loss weight of 0, a frozen network or a learning rate that killed it";
        return vec![Finding::wrong("the gradient has vanished", evidence, remedy)];
    }
    let quietest = rows.chunks(rows.len().div_ceil(4).max(3)).filter_map(norms).fold(f64::INFINITY, f64::min);
    if rows.len() >= ENOUGH_ROWS && now > GROWN * quietest {
        let evidence = format!("{evidence}; {} in its quietest quarter", number(quietest));
        let remedy = "the run is about to diverge: go back to an earlier checkpoint as --init-from of a run with a lower train.learning_rate";
        return vec![Finding::wrong("the gradient's norm runs away", evidence, remedy)];
    }
    if now > FAR_BEYOND * clip {
        let remedy = "clipping decides every update: raise train.clip_norm, or lower the loss weights and the learning rate";
        return vec![Finding::suspicious("the gradient is far beyond what it is clipped to", evidence, remedy)];
    }
    vec![Finding::fine("the gradient's norm is steady", evidence)]
}
