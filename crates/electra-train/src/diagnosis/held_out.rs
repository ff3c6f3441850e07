//! Is held-out text unseen, and is there enough of it?

use super::record::Record;
use super::text::SHORTEST_LINE;
use super::{Finding, millions, percent};

/// Of held-out text that was seen in training: quotations and prayers are a few thousandths.
const SOME: f64 = 0.01;
const MUCH: f64 = 0.1;
/// Held-out tokens below which a loss or an area is mostly noise.
const FEW_TOKENS: u64 = 10_000;

pub(super) fn check(record: &Record) -> Vec<Finding> {
    let Some(text) = &record.text else { return Vec::new() };
    let mut findings = Vec::new();
    let share = text.leaked_tokens as f64 / text.judged_tokens.max(1) as f64;
    let mut evidence = format!(
        "{} of {} held-out tokens in lines of {SHORTEST_LINE} tokens and more ({}) stand in the training text, {} lines",
        text.leaked_tokens,
        text.judged_tokens,
        percent(share),
        text.leaked_lines
    );
    if text.leaked_lines > 0 {
        evidence += &format!("; the longest begins \"{}\"", text.leaked_example);
    }
    let remedy = "remove repeated documents and lines from the text and build the dataset again: held-out numbers are too good";
    if text.judged_tokens == 0 {
        // Nothing was compared, so there is nothing to say.
    } else if share > MUCH {
        findings.push(Finding::wrong("held-out text was trained on", evidence, remedy));
    } else if share > SOME {
        findings.push(Finding::suspicious("some held-out text was trained on", evidence, remedy));
    } else {
        findings.push(Finding::fine("held-out text is unseen", evidence));
    }
    if text.held_out_tokens < FEW_TOKENS {
        findings.push(Finding::suspicious(
            "there is little held-out text: its numbers are mostly noise",
            format!("{} tokens", millions(text.held_out_tokens)),
            "more text, or a larger share of it: \"electra data build --validation-fraction 0.1\"",
        ));
    }
    findings
}
