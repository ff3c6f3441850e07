//! Does held-out text get worse while training text gets better?

use super::record::Record;
use super::{Finding, number};
use crate::pretraining::metrics::MetricsRow;

/// A rise of the held-out loss above its lowest, of its value, that is no noise …
const RISEN: f64 = 0.02;
/// … and one that has cost what was learnt.
const MUCH: f64 = 0.1;

/// A column, and what it is called.
type Loss = (&'static str, fn(&MetricsRow) -> Option<f64>);

const LOSSES: [Loss; 3] = [
    // First the language model's, which nothing but text decides; the discriminator's task gets harder as the generator learns.
    ("the language model's loss", |row| row.generator_loss),
    ("the discriminator's loss", |row| row.discriminator_loss),
    ("the loss", |row| row.loss),
];

pub(super) fn check(record: &Record) -> Vec<Finding> {
    if record.validation.len() < 2 {
        return Vec::new();
    }
    let mut judged = None;
    for (name, loss) in LOSSES {
        let held_out: Vec<(u64, f64)> = record.validation.iter().filter_map(|row| Some((row.step, loss(row)?))).collect();
        let (Some(&(last_step, last)), Some(&(best_step, best))) =
            (held_out.last(), held_out.iter().min_by(|a, b| a.1.total_cmp(&b.1)))
        else {
            continue;
        };
        let training = |step: u64| record.train.iter().rev().find(|row| row.step <= step).and_then(loss);
        let (Some(then), Some(now)) = (training(best_step), training(last_step)) else { continue };
        let (best_text, last_text) = (number(best), number(last));
        let evidence = if best_step == last_step {
            format!("{name} on held-out text at its lowest, {last_text} at step {last_step}; {} on training text", number(now))
        } else {
            let (then, now) = (number(then), number(now));
            format!("{name} on held-out text {best_text} at step {best_step}, {last_text} at step {last_step}; on training text {then} and {now}")
        };
        if last > (1.0 + RISEN) * best && now < then {
            let remedy = "stop at the step with the lowest held-out loss; more text, dropout (model.hidden_dropout_prob) or a smaller network";
            let what = "the run learns its training text by heart: held-out loss rises while training loss falls";
            let finding = if last > (1.0 + MUCH) * best { Finding::wrong } else { Finding::suspicious };
            return vec![finding(what, evidence, remedy)];
        }
        judged.get_or_insert(evidence);
    }
    judged.map_or_else(Vec::new, |evidence| vec![Finding::fine("what is learnt holds for unseen text", evidence)])
}
