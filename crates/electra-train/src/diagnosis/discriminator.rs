//! Does the discriminator learn? Its accuracy is no sign: saying "original" of every token is right in 85 % of them.

use electra_model::Sharing;

use super::record::{Record, late, mean, steps_of};
use super::{Finding, number};
use crate::pretraining::metrics::MetricsRow;

/// Areas of chance are .5; a few rows of a small batch stray so far.
const CHANCE: f64 = 0.55;
/// Shares as far apart are the same answer for every token.
const SAME: f64 = 0.01;
/// A discriminator that finds its own generator's samples so well …
const FINDS_SAMPLES: f64 = 0.8;
/// … and swapped words as badly as this has learnt the generator's habits, not the language.
const MISSES_SWAPS: f64 = 0.6;

pub(super) fn check(record: &Record) -> Vec<Finding> {
    let rows = record.judged();
    let late = late(&rows);
    let of = |value: fn(&MetricsRow) -> Option<f64>| mean(late.iter().map(|row| value(row)));
    let Some(auc) = of(|row| row.discriminator_auc) else { return Vec::new() };
    let (accuracy, rate, recall) =
        (of(|row| row.discriminator_accuracy), of(|row| row.replaced_rate), of(|row| row.discriminator_recall));
    let judged = record.validation.last();
    let bigram = judged.and_then(|row| row.extra.get("bigram_auc").copied().flatten());
    let held_out = judged.and_then(|row| row.discriminator_auc);
    let mut evidence = format!("over {}: AUC {}", steps_of(late.iter().copied()), number(auc));
    if let (Some(accuracy), Some(rate)) = (accuracy, rate) {
        evidence += &format!(
            ", accuracy {} where {} of the tokens are replaced (\"original\" for all scores {}), recall {}",
            number(accuracy),
            number(rate),
            number(1.0 - rate),
            recall.map_or_else(|| "none".to_owned(), number),
        );
    }
    if let (Some(held_out), Some(bigram)) = (held_out, bigram) {
        evidence += &format!("; held out: AUC {}, a table of word pairs {}", number(held_out), number(bigram));
    }
    let (step, patience) = (record.step(), record.patience());
    let is_majority = matches!((accuracy, rate, recall), (Some(accuracy), Some(rate), Some(recall))
        if (recall < SAME && (accuracy - (1.0 - rate)).abs() < SAME) || (recall > 1.0 - SAME && (accuracy - rate).abs() < SAME));
    let what = if is_majority {
        "the discriminator gives every token the same answer: it stands at the majority class"
    } else {
        "the discriminator tells replaced tokens from others no better than chance"
    };
    if auc < CHANCE && step >= patience {
        return vec![Finding::wrong(what, evidence, &remedy(record))];
    }
    if auc < CHANCE {
        let what = format!("too early to judge the discriminator: until step {patience} or so one like this may stand at chance");
        if record.config.train.steps < patience && step >= record.config.train.steps {
            let remedy = "more steps (--resume --set train.steps=N), or position_initializer = \"neighbours\" for short runs";
            return vec![Finding::suspicious("the run ended before its discriminator learnt anything", evidence, remedy)];
        }
        return vec![Finding::fine(what, evidence)];
    }
    let mut findings = Vec::new();
    if let (Some(held_out), Some(bigram)) = (held_out, bigram)
        && held_out < bigram
    {
        let what = "the discriminator knows less than a table of word pairs";
        findings.push(if step < patience {
            Finding::fine(format!("{what}, which it should pass by step {patience} or so"), evidence.clone())
        } else {
            Finding::suspicious(what, evidence.clone(), "train on; a healthy one passes the table early: compare the curves below")
        });
    }
    let swaps = judged.and_then(|row| row.extra.get("swap_auc").copied().flatten());
    if let (Some(held_out), Some(swaps)) = (held_out, swaps)
        && held_out > FINDS_SAMPLES
        && swaps < MISSES_SWAPS
    {
        findings.push(Finding::suspicious(
            "the discriminator finds its own generator's samples, but not swapped words",
            format!("held out: AUC {} on samples, {} on swapped words", number(held_out), number(swaps)),
            "the samples are too easy: let the generator learn more (model.generator_size, a longer run)",
        ));
    }
    if findings.is_empty() {
        findings.push(Finding::fine("the discriminator learns", evidence));
    }
    findings
}

/// What has helped, without what the run has already (docs/LOG.md, 2026-11-25).
fn remedy(record: &Record) -> String {
    let model = &record.config.model;
    let mut remedies = Vec::new();
    if !model.position_initializer.has_neighbours() {
        let neighbours = "position_initializer = \"neighbours\" with initializer_range = 0.1, a first layer that looks at the tokens beside each";
        remedies.push(neighbours.to_owned());
    }
    if matches!(model.sharing, Sharing::Embeddings | Sharing::All) {
        remedies.push("model.sharing = \"gdes\" or \"none\", where a fast generator pulls the shared tables along".to_owned());
    }
    remedies.push(format!("a weaker generator (model.generator_size is {})", model.generator_size));
    remedies.push(format!("half the learning rate (it is {:e}) with a longer warm-up", record.config.train.learning_rate));
    format!("in a new run, one at a time: {}", remedies.join("; "))
}
