//! Does the vocabulary fit the text?

use super::record::Record;
use super::{Finding, millions, percent};

/// A tenth of the text that teaches nothing is not what anybody wanted.
const MUCH_UNKNOWN: f64 = 0.1;
/// Entries that never occur are rows that nothing trains; up to half of them is a vocabulary made of other text.
const UNUSED: f64 = 0.5;
/// Bytes of text for a token: 4 where a vocabulary suits an alphabet, below this where words fall apart into letters.
const BYTES_PER_TOKEN: f64 = 2.0;

pub(super) fn check(record: &Record) -> Vec<Finding> {
    let Some(text) = &record.text else { return Vec::new() };
    let remedy = "make a vocabulary of this text: \"electra tokenizer train\", then \"electra data build\"";
    let mut findings = Vec::new();
    let configured = record.config.model.vocab_size;
    if configured < text.vocab_size {
        findings.push(Finding::wrong(
            "the network has fewer words than the tokenizer",
            format!("model.vocab_size {configured}, {} entries in the tokenizer", text.vocab_size),
            "the dataset is of another tokenizer than the run was begun with: name the right one in data.dir",
        ));
    }
    if text.unknown.share() > MUCH_UNKNOWN {
        findings.push(Finding::wrong("much of the text is [UNK]", text.unknown_explained.clone(), remedy));
    } else if text.unknown.is_notable() {
        findings.push(Finding::suspicious("some of the text is [UNK]", text.unknown_explained.clone(), remedy));
    }
    let used = text.used_entries as f64 / text.vocab_size.max(1) as f64;
    let bytes = text.text_bytes as f64 / (text.train_tokens + text.held_out_tokens).max(1) as f64;
    let evidence = format!(
        "{} of {} entries occur in {} tokens of training text ({}), {bytes:.1} bytes a token, {} [UNK]",
        text.used_entries,
        text.vocab_size,
        millions(text.train_tokens),
        percent(used),
        percent(text.unknown.share())
    );
    if 1.0 - used > UNUSED {
        findings.push(Finding::suspicious("most of the vocabulary never occurs", evidence.clone(), remedy));
    }
    if bytes < BYTES_PER_TOKEN {
        findings.push(Finding::suspicious("words fall apart into letters", evidence.clone(), remedy));
    }
    if findings.is_empty() {
        findings.push(Finding::fine("the vocabulary fits the text", evidence));
    }
    findings
}
