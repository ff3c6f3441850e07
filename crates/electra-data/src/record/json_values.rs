//! Finds where JSON values begin and end in a stream, without parsing them: arrays of records, and records over several
//! lines, are cut here into the bytes of one record each, so that memory holds no more than one.

use std::io::{self, BufRead};

/// Cuts text into the values of its array, or into its values one after the other.
pub struct JsonValues<R> {
    stream: R,
    max_bytes: usize,
    value: Vec<u8>,
    /// Of the next byte, 1-based.
    line: u64,
    taken: u64,
    in_array: bool,
}

/// Why there is no next value, with the line of its start.
#[derive(Debug)]
pub enum JsonFailure {
    /// Reading failed.
    Io(io::Error),
    /// The value is longer than it may be; it is passed over.
    TooLong(u64),
    /// The text ends within a value or an array.
    Cut(u64),
    /// A byte that starts no value; the rest of its line is passed over.
    Unexpected(u64, u8),
}

impl<R: BufRead> JsonValues<R> {
    /// The values of `stream`, of at most `max_bytes` each.
    pub fn new(stream: R, max_bytes: usize) -> Self {
        Self { stream, max_bytes, value: Vec::new(), line: 1, taken: 0, in_array: false }
    }

    /// The bytes of the value found last.
    pub fn value(&self) -> &[u8] {
        &self.value
    }

    /// Where the value found last begins.
    pub fn offset(&self) -> u64 {
        self.taken - self.value.len() as u64
    }

    /// Finds the next value and returns the line of its start, from 1; `None` at the end.
    ///
    /// # Errors
    /// What is no value; the next call goes on behind it.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<u64>, JsonFailure> {
        self.value.clear();
        loop {
            let Some(byte) = self.peek()? else {
                let was_in_array = std::mem::take(&mut self.in_array);
                return if was_in_array { Err(JsonFailure::Cut(self.line)) } else { Ok(None) };
            };
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => self.skip(byte),
                b',' if self.in_array => self.skip(byte),
                b'[' if !self.in_array => {
                    self.in_array = true;
                    self.skip(byte);
                }
                b']' if self.in_array => {
                    self.in_array = false;
                    self.skip(byte);
                }
                b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                    let line = self.line;
                    return self.take_value(line).map(|()| Some(line));
                }
                _ => {
                    let line = self.line;
                    while self.peek()?.is_some_and(|byte| byte != b'\n') {
                        self.skip(b' ');
                    }
                    return Err(JsonFailure::Unexpected(line, byte));
                }
            }
        }
    }

    fn peek(&mut self) -> Result<Option<u8>, JsonFailure> {
        Ok(self.stream.fill_buf().map_err(JsonFailure::Io)?.first().copied())
    }

    fn skip(&mut self, byte: u8) {
        self.line += u64::from(byte == b'\n');
        self.taken += 1;
        self.stream.consume(1);
    }

    /// Takes a value up to its end: brackets that close, a string's quote, or what ends a number or a word.
    fn take_value(&mut self, line: u64) -> Result<(), JsonFailure> {
        let (mut depth, mut in_string, mut escaped) = (0u64, false, false);
        let is_word = !matches!(self.peek()?, Some(b'{' | b'[' | b'"'));
        loop {
            let available = self.stream.fill_buf().map_err(JsonFailure::Io)?;
            if available.is_empty() {
                // A word may end with the text. One end of it is told once, though the array is open, too.
                self.in_array &= is_word;
                return if is_word { Ok(()) } else { Err(JsonFailure::Cut(line)) };
            }
            let mut end = None;
            for (at, &byte) in available.iter().enumerate() {
                if byte == b'\n' {
                    self.line += 1;
                }
                if is_word {
                    if matches!(byte, b',' | b']' | b'}' | b' ' | b'\t' | b'\r' | b'\n') {
                        self.line -= u64::from(byte == b'\n');
                        end = Some(at);
                        break;
                    }
                    continue;
                }
                match byte {
                    _ if escaped => escaped = false,
                    b'\\' if in_string => escaped = true,
                    b'"' => in_string = !in_string,
                    b'{' | b'[' if !in_string => depth += 1,
                    b'}' | b']' if !in_string => depth -= 1,
                    _ => {}
                }
                if depth == 0 && !in_string {
                    end = Some(at + 1);
                    break;
                }
            }
            let bytes = end.unwrap_or(available.len());
            if self.value.len() <= self.max_bytes {
                self.value.extend_from_slice(&available[..bytes]);
            }
            self.stream.consume(bytes);
            self.taken += bytes as u64;
            if end.is_some() {
                return if self.value.len() > self.max_bytes { Err(JsonFailure::TooLong(line)) } else { Ok(()) };
            }
        }
    }
}

/// Whether `text` can be the start of JSON values and holds a whole string at least. Words such as NaN count as values.
pub(crate) fn is_start(text: &str) -> bool {
    #[derive(PartialEq)]
    enum Expect {
        Value,
        /// A value, or the array's end.
        ValueOrEnd,
        Key,
        KeyOrEnd,
        Colon,
        CommaOrEnd,
    }
    let bytes = text.as_bytes();
    let mut open: Vec<u8> = Vec::new();
    let mut expect = Expect::Value;
    let mut strings = 0;
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        at += 1;
        let after_value = if open.is_empty() { Expect::Value } else { Expect::CommaOrEnd };
        let takes_value = matches!(expect, Expect::Value | Expect::ValueOrEnd);
        expect = match byte {
            b' ' | b'\t' | b'\r' | b'\n' => continue,
            b'"' if takes_value || matches!(expect, Expect::Key | Expect::KeyOrEnd) => {
                loop {
                    match bytes.get(at) {
                        None => return strings > 0,
                        Some(b'"') => break,
                        Some(b'\\') => at += 2,
                        Some(_) => at += 1,
                    }
                }
                at += 1;
                strings += 1;
                if takes_value { after_value } else { Expect::Colon }
            }
            b'{' if takes_value => {
                open.push(b'}');
                Expect::KeyOrEnd
            }
            b'[' if takes_value => {
                open.push(b']');
                Expect::ValueOrEnd
            }
            b':' if expect == Expect::Colon => Expect::Value,
            b',' if expect == Expect::CommaOrEnd => {
                if open.last() == Some(&b'}') {
                    Expect::Key
                } else {
                    Expect::Value
                }
            }
            b'}' | b']'
                if open.last() == Some(&byte) && !matches!(expect, Expect::Value | Expect::Key | Expect::Colon) =>
            {
                open.pop();
                if open.is_empty() { Expect::Value } else { Expect::CommaOrEnd }
            }
            b'-' | b'+' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' if takes_value && !open.is_empty() => {
                while bytes.get(at).is_some_and(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte)) {
                    at += 1;
                }
                after_value
            }
            _ => return false,
        };
    }
    strings > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> (Vec<(u64, String)>, Option<JsonFailure>) {
        let mut values = JsonValues::new(text.as_bytes(), 100);
        let mut found = Vec::new();
        loop {
            match values.next() {
                Ok(Some(line)) => found.push((line, String::from_utf8_lossy(values.value()).into_owned())),
                Ok(None) => return (found, None),
                Err(failure) => return (found, Some(failure)),
            }
        }
    }

    #[test]
    fn values_are_cut_at_their_brackets_and_quotes() {
        let (found, failure) = values("[\n {\"a\": \"]}\\\"\"},\n[1, [2]] , \"x,\",\n12,null\n]");
        let expected = [(2, "{\"a\": \"]}\\\"\"}"), (3, "[1, [2]]"), (3, "\"x,\""), (4, "12"), (4, "null")];
        assert!(failure.is_none());
        assert_eq!(found, expected.map(|(line, value)| (line, value.to_owned())));
        let (found, failure) = values("{\n\"a\": 1\n}\n{\"b\":2}{\"c\":3} ");
        assert!(failure.is_none());
        assert_eq!(found.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1, 4, 4]);
    }

    #[test]
    fn ends_and_strangers_are_found_with_their_line() {
        assert!(matches!(values("[{\"a\": 1},\n{\"a\": ").1, Some(JsonFailure::Cut(2))));
        assert!(matches!(values("[{\"a\": 1}\n").1, Some(JsonFailure::Cut(2))));
        assert!(matches!(values("\n\n{\"a\": 1}\n?").1, Some(JsonFailure::Unexpected(4, b'?'))));
        let long = format!("[\"a\",\n\"{}\"]", "x".repeat(200));
        assert!(matches!(values(&long).1, Some(JsonFailure::TooLong(2))));
    }

    #[test]
    fn starts_of_json_are_told_from_prose() {
        for start in [
            "{\"a\": [1, NaN, {\"b\": \"c",
            "[\"a\", \"b\"]",
            "{\"a\":1}\n{\"b\"",
            "[{\"a\": \"b\"}, {",
            "{\n  \"a\": {",
        ] {
            assert!(is_start(start), "{start}");
        }
        for prose in
            ["[1] Smith", "[\"a\" b", "{a}", "{\"a\" b", "{}", "\"Well,\" he said", "[12, 13]", "{\"a\": }", "Words"]
        {
            assert!(!is_start(prose), "{prose}");
        }
    }
}
