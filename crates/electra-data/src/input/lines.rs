//! Cuts bytes into lines of bounded length, whatever ends them (LF, CR LF, or CR alone), and knows where it is, for messages.

use std::borrow::Cow;
use std::io::BufRead;

use memchr::{memchr2, memchr2_iter};

use super::report::{Bad, Reading};
use super::{LineSink, OnError};
use crate::error::{DataError, Result};
use crate::record::{Encoding, Stream};

/// Longer lines are cut into several, at white space where there is any.
pub const MAX_LINE_BYTES: usize = 1 << 20;

/// Text on its way to lines: what it is called, and how it was encoded.
pub(super) struct Text<'t, 's> {
    pub stream: &'t mut Stream<'s>,
    pub name: &'t str,
    pub encoding: Encoding,
}

/// A line without its end, or a piece of a longer one.
pub(super) struct Line<'b> {
    pub bytes: &'b [u8],
    /// 1-based.
    pub number: u64,
    /// Of its first byte, in the text as UTF-8.
    pub offset: u64,
    /// Neither cut off at its start nor at its end.
    pub whole: bool,
}

pub(super) struct LineReader<'t, 's> {
    pub text: Text<'t, 's>,
    buffer: Vec<u8>,
    max_bytes: usize,
    line: u64,
    offset: u64,
    /// Bytes of the buffer that belong to the piece handed out last.
    taken: usize,
    /// Bytes of the line end behind them.
    end_bytes: u64,
    ended_line: bool,
}

impl<'t, 's> LineReader<'t, 's> {
    pub(super) fn new(text: Text<'t, 's>, max_bytes: usize) -> Self {
        Self { text, buffer: Vec::new(), max_bytes, line: 0, offset: 0, taken: 0, end_bytes: 0, ended_line: true }
    }

    /// The next line, or piece of a line.
    pub(super) fn next(&mut self, reading: &Reading<'_>) -> Result<Option<Line<'_>>> {
        self.buffer.drain(..self.taken);
        self.offset += self.taken as u64 + self.end_bytes;
        (self.taken, self.end_bytes) = (0, 0);
        let (end_bytes, at_end) = self.fill().map_err(|error| reading.error(self.text.name, error))?;
        if self.buffer.is_empty() && end_bytes == 0 {
            return Ok(None);
        }
        let starts_line = std::mem::replace(&mut self.ended_line, end_bytes > 0 || at_end);
        self.line += u64::from(starts_line);
        self.taken = if self.ended_line { self.buffer.len() } else { piece_end(&self.buffer) };
        self.end_bytes = end_bytes;
        Ok(Some(Line {
            bytes: &self.buffer[..self.taken],
            number: self.line,
            offset: self.offset,
            whole: starts_line && self.ended_line,
        }))
    }

    /// Reads up to a line end, the limit, or the end of the text; returns the line end's bytes, and whether the text ended.
    fn fill(&mut self) -> std::io::Result<(u64, bool)> {
        while self.buffer.len() < self.max_bytes {
            let available = self.text.stream.fill_buf()?;
            if available.is_empty() {
                return Ok((0, true));
            }
            let window = &available[..available.len().min(self.max_bytes - self.buffer.len())];
            let Some(at) = memchr2(b'\n', b'\r', window) else {
                self.buffer.extend_from_slice(window);
                let bytes = window.len();
                self.text.stream.consume(bytes);
                continue;
            };
            self.buffer.extend_from_slice(&window[..at]);
            let is_return = window[at] == b'\r';
            self.text.stream.consume(at + 1);
            let is_pair = is_return && self.text.stream.peek(1)? == b"\n";
            self.text.stream.consume(usize::from(is_pair));
            return Ok((1 + u64::from(is_pair), false));
        }
        Ok((0, false))
    }
}

/// Where to cut text that goes on: behind the last white space, else at a character's start.
fn piece_end(bytes: &[u8]) -> usize {
    if let Some(space) = bytes.iter().rposition(u8::is_ascii_whitespace) {
        return space + 1;
    }
    let mut end = bytes.len();
    // A character has at most three bytes that continue it; more of them are corrupt, which the decoding then says.
    while end > bytes.len().saturating_sub(4) && end > 1 && (bytes[end - 1] & 0b1100_0000) == 0b1000_0000 {
        end -= 1;
    }
    if end > 1 && bytes[end - 1] >= 0b1100_0000 { end - 1 } else { bytes.len() }
}

impl Line<'_> {
    pub(super) fn place(&self, name: &str) -> String {
        format!("{name}: line {}", self.number)
    }

    /// The line as text; `None` if it holds bytes that are none and is to be left out for that.
    pub(super) fn decode(&self, name: &str, encoding: Encoding, reading: &Reading<'_>) -> Result<Option<Cow<'_, str>>> {
        let error = match std::str::from_utf8(self.bytes) {
            Ok(text) => return Ok(Some(Cow::Borrowed(text))),
            Err(error) => error,
        };
        let at = error.valid_up_to();
        let cause = || match encoding {
            Encoding::Utf8 => DataError::Utf8 {
                path: name.into(),
                line: self.number,
                byte: self.offset + at as u64,
                value: self.bytes[at],
            },
            _ => DataError::Input {
                path: name.into(),
                place: format!("line {}", self.number),
                reason: format!("not valid {}", encoding.name()),
                remedy: "save it again, or go on without such lines with --on-error skip".into(),
            },
        };
        reading.skip_or_stop(Bad::Bytes, || self.place(name), cause)?;
        let replaced = (reading.options.on_error == OnError::Replace).then(|| String::from_utf8_lossy(self.bytes));
        Ok(replaced)
    }
}

/// Prose: each line is one, and blank lines end documents unless the file is one. In what wikiextractor writes a document
/// stands between two tags, and a blank line behind its title means nothing.
pub(super) fn read_prose(text: Text<'_, '_>, reading: &Reading<'_>, sink: &mut dyn LineSink) -> Result<()> {
    let mut blank_ends_document = !reading.options.one_document_per_file;
    let mut is_tagged = false;
    let (name, encoding) = (text.name, text.encoding);
    let mut lines = LineReader::new(text, MAX_LINE_BYTES);
    while let Some(line) = lines.next(reading)? {
        let Some(text) = line.decode(name, encoding, reading)? else { continue };
        let text = text.trim();
        let opens = text.starts_with("<doc id=") && text.ends_with('>');
        if line.number == 1 && opens {
            (is_tagged, blank_ends_document) = (true, false);
        }
        // Replacing may lengthen a line at the limit.
        if is_tagged && (opens || text == "</doc>") {
            sink.end_document()?;
        } else if !text.is_empty() {
            pass_line(text, sink)?;
        } else if blank_ends_document && line.whole {
            sink.end_document()?;
        }
    }
    sink.end_document()
}

/// Passes on a document's text: its lines, long ones in pieces. Blank lines within a record mean nothing.
pub(super) fn pass_document(text: &str, sink: &mut dyn LineSink) -> Result<()> {
    pass_lines(text, sink)?;
    sink.end_document()
}

pub(super) fn pass_lines(text: &str, sink: &mut dyn LineSink) -> Result<()> {
    let mut start = 0;
    for end in memchr2_iter(b'\n', b'\r', text.as_bytes()) {
        pass_line(&text[start..end], sink)?;
        start = end + 1;
    }
    pass_line(&text[start..], sink)
}

/// Passes on a line, trimmed and in pieces that are not too long; blank ones not at all.
pub(super) fn pass_line(mut line: &str, sink: &mut dyn LineSink) -> Result<()> {
    while !line.is_empty() {
        let end = if line.len() <= MAX_LINE_BYTES {
            line.len()
        } else {
            let window = &line[..line.floor_char_boundary(MAX_LINE_BYTES)];
            window.rfind(char::is_whitespace).filter(|&space| space > 0).unwrap_or(window.len())
        };
        let piece = line[..end].trim();
        if !piece.is_empty() {
            sink.line(piece)?;
        }
        line = &line[end..];
    }
    Ok(())
}
