//! JSON: each object's text is one document, whether objects stand one a line, in an array, or one after the other.
//! A record that cannot be read ends the reading or is passed over, as `--on-error` says; a null is how an absent text is
//! written and is always passed over.

use std::collections::BTreeMap;

use serde::de::{Deserialize, DeserializeSeed, IgnoredAny};

use super::LineSink;
use super::json_record::{Found, Key};
use super::lines::{Line, LineReader, Text, pass_document};
use super::report::{Bad, Reading};
use crate::error::{DataError, Result};
use crate::record::{JsonFailure, JsonValues, Layout, MAX_RECORD_BYTES, parse_json};

/// Whether the first record that `text` starts with holds text under `key`; `None` if its end is not in sight.
pub(super) fn has_text(text: &str, whole: bool, layout: Layout, key: &str) -> Option<bool> {
    let key = Key::new(key);
    let found = match layout {
        Layout::JsonLines => {
            let (line, _) = text.trim_start().split_once('\n').or(whole.then_some((text, "")))?;
            parse_json(line.trim(), |parser| key.seed().deserialize(parser)).ok()?
        }
        _ => {
            let mut values = JsonValues::new(text.as_bytes(), MAX_RECORD_BYTES);
            values.next().ok().flatten()?;
            parse_json(std::str::from_utf8(values.value()).ok()?, |parser| key.seed().deserialize(parser)).ok()?
        }
    };
    Some(!matches!(found, Found::Missing))
}

pub(super) fn read_lines(text: Text<'_, '_>, reading: &Reading<'_>, sink: &mut dyn LineSink) -> Result<()> {
    let (name, encoding) = (text.name, text.encoding);
    let records = Records { name, reading, key: Key::new(&reading.options.text_key) };
    let mut lines = LineReader::new(text, MAX_RECORD_BYTES);
    let mut too_long = None;
    while let Some(line) = lines.next(reading)? {
        if !line.whole {
            if too_long != Some(line.number) {
                too_long = Some(line.number);
                records.bad(Bad::Record, line.number, TOO_LONG, SPLIT)?;
            }
            continue;
        }
        if let Some(text) = line.decode(name, encoding, reading)? {
            let text = text.trim();
            if !text.is_empty() {
                records.pass(text, line.number, sink)?;
            }
        }
    }
    Ok(())
}

pub(super) fn read_values(text: Text<'_, '_>, reading: &Reading<'_>, sink: &mut dyn LineSink) -> Result<()> {
    let records = Records { name: text.name, reading, key: Key::new(&reading.options.text_key) };
    let mut values = JsonValues::new(text.stream, MAX_RECORD_BYTES);
    loop {
        match values.next() {
            Ok(None) => return Ok(()),
            Ok(Some(number)) => {
                let line = Line { bytes: values.value(), number, offset: values.offset(), whole: true };
                if let Some(value) = line.decode(text.name, text.encoding, reading)? {
                    records.pass(&value, number, sink)?;
                }
            }
            Err(JsonFailure::Io(error)) => return Err(reading.error(text.name, error)),
            Err(JsonFailure::TooLong(line)) => records.bad(Bad::Record, line, TOO_LONG, SPLIT)?,
            Err(JsonFailure::Cut(line)) => {
                records.bad(Bad::Record, line, "the file ends within this record or array", CUT)?;
            }
            Err(JsonFailure::Unexpected(line, byte)) => {
                let reason = format!("not JSON: {:?} between records", char::from(byte));
                records.bad(Bad::Record, line, &reason, "records are objects, one after the other or in an array")?;
            }
        }
    }
}

const TOO_LONG: &str = "the record is longer than 64 MiB";
const SPLIT: &str = "split its text into several records, or write it as plain text";
const CUT: &str = "fetch the file again, or go on without the record with --on-error skip";

/// Records of one file on their way to documents.
struct Records<'r, 'o> {
    name: &'r str,
    reading: &'r Reading<'o>,
    key: Key<'o>,
}

impl Records<'_, '_> {
    fn bad(&self, bad: Bad, line: u64, reason: &str, remedy: &str) -> Result<()> {
        let place = format!("line {line}");
        self.reading.skip_or_stop(
            bad,
            || format!("{}: {place}", self.name),
            || DataError::Input {
                path: self.name.into(),
                place: place.clone(),
                reason: reason.into(),
                remedy: remedy.into(),
            },
        )
    }

    fn pass(&self, record: &str, line: u64, sink: &mut dyn LineSink) -> Result<()> {
        let key = self.key.whole;
        match parse_json(record, |parser| self.key.seed().deserialize(parser)) {
            Ok(Found::Text(text)) => pass_document(&text, sink),
            Ok(Found::Null) => {
                self.reading.count(Bad::Null, || format!("{}: line {line}", self.name));
                Ok(())
            }
            Ok(Found::Other(what)) => {
                let reason = format!("the key {key:?} holds {what}, not a string");
                self.bad(Bad::NotText, line, &reason, OTHER_KEY)
            }
            Ok(Found::Missing) => {
                let keys = parse_json(record, |parser| BTreeMap::<String, IgnoredAny>::deserialize(parser));
                let reason = match keys {
                    Ok(keys) => {
                        let keys: Vec<String> = keys.into_keys().collect();
                        format!("the record has no key {key:?}, only {}", keys.join(", "))
                    }
                    Err(_) => format!("the record is no object with the key {key:?}"),
                };
                self.bad(Bad::MissingKey, line, &reason, OTHER_KEY)
            }
            Err(failure) if failure.is_eof() => {
                let reason = format!("the record is cut off after {} bytes: {}", record.len(), without_place(&failure));
                self.bad(Bad::Record, line, &reason, CUT)
            }
            Err(failure) => {
                let reason = format!("not a JSON record: {}, at byte {}", without_place(&failure), failure.column());
                self.bad(Bad::Record, line, &reason, "mend it, or go on without it with --on-error skip")
            }
        }
    }
}

const OTHER_KEY: &str = "name the text's key with --text-key, or go on without such records with --on-error skip";

/// A failure's text without "at line 1 column 7", since that counts within the record.
fn without_place(failure: &serde_json::Error) -> String {
    let text = failure.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}
