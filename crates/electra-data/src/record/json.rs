//! JSON as it is met: what Python's json writes beyond it is mended in records that serde_json refuses, and read then; and
//! how a text of records is laid out.

use std::borrow::Cow;

use serde::de::{Deserialize, IgnoredAny};
use serde_json::de::StrRead;

use super::Layout;
use super::json_values::{JsonValues, is_start};

/// A record must be held whole to be parsed; a longer one is an error.
pub const MAX_RECORD_BYTES: usize = 64 << 20;
/// Lines of a file's start that are tried as records.
const LINES_TRIED: usize = 5;

/// Parses one record with `read`; one that is JSON only as Python writes it is mended and parsed again.
///
/// # Errors
/// It is neither, or not what `read` takes.
pub fn parse_json<V>(
    text: &str,
    read: impl for<'t> Fn(&mut serde_json::Deserializer<StrRead<'t>>) -> serde_json::Result<V>,
) -> serde_json::Result<V> {
    let whole = |text: &str| {
        let mut parser = serde_json::Deserializer::from_str(text);
        let value = read(&mut parser)?;
        parser.end().map(|()| value)
    };
    whole(text).or_else(|failure| match mend(text) {
        Cow::Owned(mended) => whole(&mended).map_err(|_| failure),
        Cow::Borrowed(_) => Err(failure),
    })
}

/// What Python's json and other common writers write, as JSON: NaN and infinities become null, halves of surrogate pairs
/// U+FFFD, and control characters within strings are escaped.
fn mend(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut mended = String::with_capacity(text.len());
    let mut copied = 0;
    let mut replace = |from: usize, to: usize, by: &str| {
        mended.push_str(&text[copied..from]);
        mended.push_str(by);
        copied = to;
    };
    let (mut at, mut in_string) = (0, false);
    while at < bytes.len() {
        let rest = &bytes[at..];
        at += match (in_string, rest[0]) {
            (_, b'"') => {
                in_string = !in_string;
                1
            }
            (true, b'\\') => match escaped_unit(rest) {
                Some(0xd800..=0xdbff)
                    if escaped_unit(&rest[6..]).is_some_and(|low| (0xdc00..=0xdfff).contains(&low)) =>
                {
                    12
                }
                Some(0xd800..=0xdfff) => {
                    replace(at, at + 6, "\\ufffd");
                    6
                }
                _ => 2,
            },
            (true, control @ 0..0x20) => {
                replace(at, at + 1, &format!("\\u{control:04x}"));
                1
            }
            (false, b'N' | b'I' | b'-') => {
                let names: [&[u8]; 4] = [b"NaN", b"Infinity", b"-Infinity", b"-NaN"];
                match names.iter().find(|name| rest.starts_with(name)) {
                    Some(name) => {
                        replace(at, at + name.len(), "null");
                        name.len()
                    }
                    None => 1,
                }
            }
            _ => 1,
        };
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    mended.push_str(&text[copied..]);
    Cow::Owned(mended)
}

/// The number of an escape such as `\ud83d` that `bytes` start with.
fn escaped_unit(bytes: &[u8]) -> Option<u32> {
    let digits = bytes.strip_prefix(b"\\u")?.get(..4)?;
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// How a text is laid out that starts with `text` (all of it if `whole`), if it is JSON.
pub fn json_layout(text: &str, whole: bool, named_json: bool) -> Option<Layout> {
    let start = text.trim_start();
    if start.starts_with('[') && (named_json || is_start(start)) {
        return Some(Layout::JsonValues);
    }
    if named_json || start.starts_with('{') {
        let mut lines: Vec<&str> = start.split('\n').collect();
        if !whole && lines.len() > 1 {
            lines.pop();
        }
        let lines = lines.into_iter().map(str::trim).filter(|line| !line.is_empty()).take(LINES_TRIED);
        let is_record =
            |line: &str| line.starts_with('{') && parse_json(line, |parser| IgnoredAny::deserialize(parser)).is_ok();
        if lines.clone().any(is_record) {
            return Some(Layout::JsonLines);
        }
        // An object over several lines, several in one line, or one so long that its end is not in sight.
        if start.starts_with('{') && is_start(start) {
            let is_finished = JsonValues::new(start.as_bytes(), MAX_RECORD_BYTES).next().is_ok();
            let over_lines = is_finished || start.contains('\n');
            return Some(if over_lines { Layout::JsonValues } else { Layout::JsonLines });
        }
    }
    named_json.then_some(Layout::JsonLines)
}
