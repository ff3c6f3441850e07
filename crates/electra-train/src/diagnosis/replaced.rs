//! Is there something to find? Replaced rate = masked rate x (1 - how often a sample is the original).

use super::record::{Record, late, mean, steps_of};
use super::{Finding, number};
use crate::pretraining::metrics::MetricsRow;

/// Of the masked tokens, so few replaced are none …
const NONE_LEFT: f64 = 0.1;
/// … and so few make a strong generator: the paper's Small is right in 35 % after a million steps.
const FEW_LEFT: f64 = 0.4;
/// By so much a sample may seem better than the likeliest token, by chance.
const BY_CHANCE: f64 = 0.05;

pub(super) fn check(record: &Record) -> Vec<Finding> {
    let rows = record.judged();
    let late = late(&rows);
    let of = |value: fn(&MetricsRow) -> Option<f64>| mean(late.iter().map(|row| value(row)));
    let Some(rate) = of(|row| row.replaced_rate) else { return Vec::new() };
    let masked = record.config.data.masking_probability;
    let (sampled, likeliest) = (of(|row| row.sampled_accuracy), of(|row| row.generator_accuracy));
    let mut evidence =
        format!("over {}: {} of the tokens are replaced, {} were masked", steps_of(late.iter().copied()), number(rate), number(masked));
    if let Some(sampled) = sampled {
        evidence += &format!("; samples are the original in {}", number(sampled));
    }
    if let (Some(sampled), Some(likeliest)) = (sampled, likeliest)
        && record.has_generator()
        && sampled > likeliest + BY_CHANCE
    {
        // A draw from a distribution cannot be right more often than its likeliest entry.
        let evidence = format!("{evidence}, the generator's likeliest token in {} only", number(likeliest));
        let remedy = "a draw cannot be right more often than the likeliest token: the originals leak into the samples; with the released objectives this is a \
                      bug to report, else look at where the objective draws";
        return vec![Finding::wrong("samples know what the generator does not", evidence, remedy)];
    }
    let remedy = "weaken the generator (model.generator_size, model.generator_depth), raise its temperature, or set disallow_correct = true in the \
                  objective's table; a vocabulary or text of few words does the same";
    if rate < NONE_LEFT * masked {
        return vec![Finding::wrong("hardly a token is replaced: the discriminator has nothing to find", evidence, remedy)];
    }
    if rate < FEW_LEFT * masked {
        return vec![Finding::suspicious("few tokens are replaced: the generator is strong", evidence, remedy)];
    }
    vec![Finding::fine("there is something to find", evidence)]
}
