//! JSONL: one object a line, whose text is one document.

use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};

use super::compressed::TextReader;
use super::{LineReader, LineSink, pass_document};
use crate::error::{DataError, Result};

/// A record must be held whole to be parsed.
const MAX_RECORD_BYTES: usize = 64 << 20;

pub(super) fn read(reader: &mut TextReader, text_key: &str, sink: &mut dyn LineSink) -> Result<()> {
    let mut lines = LineReader::new(reader, MAX_RECORD_BYTES);
    let path = lines.path();
    loop {
        let number = lines.line + 1;
        let error = |reason: String, remedy: &str| DataError::Input {
            path: path.clone(),
            place: format!("line {number}"),
            reason,
            remedy: remedy.into(),
        };
        let Some((line, whole)) = lines.next()? else { return Ok(()) };
        if !whole {
            let reason = format!("the record is longer than {} MiB", MAX_RECORD_BYTES >> 20);
            return Err(error(reason, "split its text into several records, or write it as plain text"));
        }
        if line.trim().is_empty() {
            continue;
        }
        let mut parser = serde_json::Deserializer::from_str(line);
        let record = TextOf { key: text_key }
            .deserialize(&mut parser)
            .and_then(|record| parser.end().map(|()| record))
            .map_err(|failure| {
                error(format!("not a JSON record: {failure}"), "every line must hold one JSON object")
            })?;
        match record {
            Record::Text(text) => pass_document(&text, sink)?,
            Record::Null => {}
            Record::Missing(keys) => {
                let reason = format!("the record has no key {text_key:?}, only {}", keys.join(", "));
                return Err(error(reason, "name the key with --text-key"));
            }
        }
    }
}

enum Record {
    Text(String),
    Null,
    Missing(Vec<String>),
}

/// Picks one key's text out of an object, without building the rest.
struct TextOf<'k> {
    key: &'k str,
}

impl<'de> DeserializeSeed<'de> for TextOf<'_> {
    type Value = Record;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> std::result::Result<Record, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for TextOf<'_> {
    type Value = Record;

    fn expecting(&self, out: &mut fmt::Formatter) -> fmt::Result {
        write!(out, "a JSON object with the key {:?}", self.key)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Record, A::Error> {
        let mut found = None;
        let mut keys = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            if key == self.key {
                found = Some(map.next_value::<Option<String>>()?);
            } else {
                map.next_value::<IgnoredAny>()?;
                keys.push(key);
            }
        }
        Ok(match found {
            Some(Some(text)) => Record::Text(text),
            Some(None) => Record::Null,
            None => Record::Missing(keys),
        })
    }
}
