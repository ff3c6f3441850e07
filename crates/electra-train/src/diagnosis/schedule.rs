//! Did the learning rate get to where it was meant to?

use super::record::Record;
use super::{Finding, number};

/// Peaks outside of these are rare in pre-training: the paper's are 2e-4 to 5e-4, this project's small presets' 1e-3 and 2e-3.
const USUAL_PEAK: std::ops::RangeInclusive<f64> = 1e-5..=5e-3;
/// A larger part of a run in its warm-up leaves little at the full rate.
const LONG_WARMUP: f64 = 0.5;

pub(super) fn check(record: &Record) -> Vec<Finding> {
    let train = &record.config.train;
    let (peak, warmup, steps, step) = (train.learning_rate, train.warmup_steps, train.steps, record.step());
    let reached = record.train.iter().filter_map(|row| Some((row.step, row.learning_rate?)));
    let highest = reached.max_by(|a, b| a.1.total_cmp(&b.1));
    let mut evidence = format!("train.learning_rate {peak:e}, warm-up {warmup} of {steps} steps");
    if let Some((at, highest)) = highest {
        evidence += &format!("; the highest was {} at step {at}", number(highest));
    }
    if warmup >= steps {
        let remedy = "warm up over a tenth of the run at most: --set train.warmup_steps=N in a new run, or more steps";
        return vec![Finding::wrong("the learning rate never gets to its peak: the warm-up is as long as the run", evidence, remedy)];
    }
    let mut findings = Vec::new();
    if step < warmup {
        let remedy = "judge it after the warm-up: its numbers say little before";
        findings.push(Finding::suspicious(format!("the run is in its warm-up still, at step {step} of {warmup}"), evidence.clone(), remedy));
    } else if warmup as f64 > LONG_WARMUP * steps as f64 {
        let remedy = "the paper warms up over a hundredth of the run, short runs do over a tenth";
        findings.push(Finding::suspicious("more than half of the run is warm-up", evidence.clone(), remedy));
    } else if warmup == 0 {
        let remedy = "set train.warmup_steps: Adam's first steps are the largest";
        findings.push(Finding::suspicious("the learning rate is not warmed up", evidence.clone(), remedy));
    }
    if !USUAL_PEAK.contains(&peak) {
        let remedy = "2e-4 for networks of Base's size, 5e-4 for Small's, 1e-3 to 2e-3 for those of a few million parameters";
        findings.push(Finding::suspicious("the peak of the learning rate is unusual", evidence.clone(), remedy));
    }
    if findings.is_empty() {
        findings.push(Finding::fine("the learning rate is warmed up", evidence));
    }
    findings
}
