//! Has the run come to its end, and at an even pace? Are its checkpoints whole?

use super::record::Record;
use super::{Finding, number, percent};

/// A run that slows down to less than this of what it was shares its machine, or is too hot.
const SLOWER: f64 = 0.5;

pub(super) fn check(record: &Record) -> Vec<Finding> {
    let (step, steps) = (record.step(), record.config.train.steps);
    let share = percent(step as f64 / steps.max(1) as f64);
    let mut findings = vec![if record.is_being_trained {
        Finding::fine("the run is being trained", format!("step {step} of {steps}, {share}"))
    } else if step < steps {
        let what = "the run stopped before its last step";
        let remedy = "\"electra pretrain --resume\" goes on; its learning rate has not come down yet, so that its numbers are worse than they need be";
        Finding::suspicious(what, format!("step {step} of {steps}, {share}; nobody trains in its folder"), remedy)
    } else {
        Finding::fine("the run came to its last step", format!("step {step} of {steps}"))
    }];
    if let Some(newest) = record.damaged.first() {
        let what = match record.damaged.len() {
            1 => "the newest checkpoint is damaged".to_owned(),
            several => format!("the newest {several} checkpoints are damaged"),
        };
        let remedy = "\"electra pretrain --resume\" passes it over for an older one; look at the disk";
        findings.push(Finding::suspicious(what, newest.clone(), remedy));
    }
    findings.extend(slowed(record));
    findings
}

/// Compares the median time of a step in the first quarter and in the last, of rows by themselves.
fn slowed(record: &Record) -> Option<Finding> {
    let pace = |pair: &[crate::run::TimingsRow]| {
        let (steps, seconds) = (pair[1].step.checked_sub(pair[0].step)?, pair[1].seconds - pair[0].seconds);
        // A process that resumed counts from 0.
        (seconds > 0.0 && steps > 0).then(|| steps as f64 / seconds)
    };
    let paces: Vec<f64> = record.timings.windows(2).filter_map(pace).collect();
    if paces.len() < 8 {
        return None;
    }
    let quarter = paces.len() / 4;
    let of = |part: &[f64]| super::record::median(part.iter().map(|pace| Some(*pace)));
    let (first, last) = (of(&paces[..quarter])?, of(&paces[paces.len() - quarter..])?);
    (last < SLOWER * first).then(|| {
        Finding::suspicious(
            "training has become much slower",
            format!("{} steps a second in the first quarter of the rows, {} in the last", number(first), number(last)),
            "something else uses the device now, or it is throttled; numbers of training do not suffer",
        )
    })
}
