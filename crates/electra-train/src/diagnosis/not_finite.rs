//! Steps whose loss or gradient was no number.

use super::record::Record;
use super::{Finding, percent};

/// Beyond this share it is not a rare batch any more.
const MANY: f64 = 0.01;

const REMEDY: &str = "lower train.learning_rate or lengthen train.warmup_steps in another run (--init-from starts it from this one's last checkpoint); \
                      with precision = \"f16\" compare with \"f32\"";

pub(super) fn check(record: &Record) -> Vec<Finding> {
    if let Some(batch) = record.broken_batches.last() {
        let what = "the run ended because its numbers were no longer finite";
        return vec![Finding::wrong(what, format!("{batch} has the batch of the last such step"), REMEDY)];
    }
    let without_loss = record.train.iter().find(|row| row.loss.is_none_or(|loss| !loss.is_finite()));
    if let Some(row) = without_loss {
        return vec![Finding::wrong("a row of training has no loss", format!("at step {}", row.step), REMEDY)];
    }
    let Some(state) = &record.state else { return Vec::new() };
    let share = state.nonfinite_steps as f64 / state.step.max(1) as f64;
    let evidence = format!("{} of {} steps were skipped, {}", state.nonfinite_steps, state.step, percent(share));
    if state.nonfinite_steps == 0 {
        vec![Finding::fine("every loss and every gradient was finite", evidence)]
    } else if share > MANY || state.nonfinite_in_a_row > 0 {
        let evidence = format!("{evidence}, {} of them the latest in a row", state.nonfinite_in_a_row);
        vec![Finding::wrong("losses or gradients are not finite", evidence, REMEDY)]
    } else {
        vec![Finding::suspicious("some losses or gradients were not finite", evidence, REMEDY)]
    }
}
