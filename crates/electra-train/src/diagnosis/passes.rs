//! How often is the text read?

use super::record::Record;
use super::{Finding, millions, number};

/// Passes beyond which more of the same text teaches little (Muennighoff et al. 2023: as good as new up to 4, worth nothing near 40, for causal
/// models); the paper's own runs make 5 to 40 passes, with other masks in each.
const MANY: f64 = 40.0;

pub(super) fn check(record: &Record) -> Vec<Finding> {
    let Some(text) = record.text.as_ref().filter(|text| text.train_tokens > 0) else { return Vec::new() };
    let read = record.tokens_seen() as f64 / text.train_tokens as f64;
    let whole = read * record.config.train.steps as f64 / record.step().max(1) as f64;
    let evidence = format!(
        "{} tokens of training text, read {} times until now and {} times by step {}",
        millions(text.train_tokens),
        number(read),
        number(whole),
        record.config.train.steps
    );
    if whole > MANY {
        let remedy = "more text, or fewer steps: stop where held-out loss no longer falls";
        return vec![Finding::suspicious("the text is read many times over", evidence, remedy)];
    }
    vec![Finding::fine("there is text enough", evidence)]
}
