//! Does the network learn that says what stands at a place: a generator, a masked or a causal model?

use super::record::{Record, late, mean, steps_of};
use super::{Finding, number};
use crate::pretraining::metrics::MetricsRow;

/// Updates after which a masked model is past mere frequencies, unless the warm-up takes longer.
const PATIENCE: u64 = 1000;
/// Nats that a loss must be better than guessing, or than frequencies, to be more than that.
const MARGIN: f64 = 0.1;
/// A loss that fell by less over half of a run, of its value, stands still …
const STILL: f64 = 0.01;
/// … which matters while the model is right so seldom, and the rate is not yet so low.
const MUCH_TO_LEARN: f64 = 0.25;
const HIGH_RATE: f64 = 0.5;
/// An area above chance that rose by so much is no noise.
const CHANCE: f64 = 0.55;
const RISEN: f64 = 0.002;

pub(super) fn check(record: &Record) -> Vec<Finding> {
    let rows = record.modelled();
    let late = late(&rows);
    let Some(loss) = mean(late.iter().map(|(_, loss)| Some(*loss))) else { return Vec::new() };
    let accuracy = mean(late.iter().map(|(row, _)| row.generator_accuracy));
    let guess = (record.config.model.vocab_size as f64).ln();
    let frequencies = record.text.as_ref().map(|text| text.unigram_entropy);
    let mut evidence = format!(
        "over {}: {} nats, {}guessing costs {}",
        steps_of(late.iter().map(|(row, _)| *row)),
        number(loss),
        accuracy.map_or_else(String::new, |accuracy| format!("accuracy {}; ", number(accuracy))),
        number(guess)
    );
    if let Some(frequencies) = frequencies {
        evidence += &format!(", knowing frequencies alone {}", number(frequencies));
    }
    let patience = PATIENCE.max(2 * record.config.train.warmup_steps);
    let name = if record.has_generator() && !record.judged().is_empty() { "the generator" } else { "the language model" };
    let floor = frequencies.map_or(guess, |frequencies| frequencies.min(guess));
    if loss > floor - MARGIN {
        if record.step() < patience {
            return vec![Finding::fine(format!("too early to judge {name}: it is to be past frequencies by step {patience}"), evidence)];
        }
        let what = if loss > guess - MARGIN {
            format!("{name} does not learn: it is as good as guessing")
        } else {
            format!("{name} knows how frequent words are, and nothing else")
        };
        let remedy = "raise train.learning_rate (1e-3 to 2e-3 for networks of a few million parameters) or lengthen the run; if the loss went up first, \
                      lower it; look at the text with \"electra data inspect\"";
        return vec![Finding::wrong(what, evidence, remedy)];
    }
    let half = rows.len() / 2;
    let earlier = mean(rows[half..].iter().take(late.len()).map(|(_, loss)| Some(*loss)));
    let rate = late.last().and_then(|(row, _)| row.learning_rate);
    if let (Some(earlier), Some(accuracy), Some(rate)) = (earlier, accuracy, rate)
        && record.step() >= 2 * patience
        && rows.len() >= 8
        && earlier - loss < STILL * earlier
        && accuracy < MUCH_TO_LEARN
        && rate > HIGH_RATE * record.config.train.learning_rate
        && !discriminator_improves(record)
    {
        let since = rows[half].0.step;
        let remedy = "a network this small may have no more to give: widen it (model.generator_size for a generator), or raise the learning rate";
        let evidence = format!("{evidence}; {} nats around step {since}", number(earlier));
        return vec![Finding::suspicious(format!("{name} stands on a plateau"), evidence, remedy)];
    }
    vec![Finding::fine(format!("{name} learns"), evidence)]
}

/// Whether the area still rose over the second half of the run: a weak generator is a fine one while its discriminator learns.
fn discriminator_improves(record: &Record) -> bool {
    let rows = record.judged();
    let (half, late) = (rows.len() / 2, late(&rows));
    let area = |rows: &[&MetricsRow]| mean(rows.iter().map(|row| row.discriminator_auc));
    let earlier = area(&rows[half..rows.len().min(half + late.len())]);
    matches!((earlier, area(late)), (Some(earlier), Some(now)) if now > CHANCE && now > earlier + RISEN)
}
