//! What files of records consist of, once they are bytes: encodings, and where records and their fields begin and end.
//!
//! Nothing here opens a file: the input of a corpus ([`crate::input`]) and the tables of fine-tuning are read with the same parts,
//! and a page reads the tables that a user gives it.

mod csv;
mod encoding;
mod json;
mod json_values;
mod names;
mod stream;

use std::borrow::Cow;
use std::io::Read;

pub use csv::{CsvRecords, delimiter_of};
pub use json::{MAX_RECORD_BYTES, json_layout, parse_json};
pub use json_values::{JsonFailure, JsonValues};
pub use names::{NameKind, name_kind, without_compression};

#[cfg(feature = "native")]
pub(crate) use encoding::is_utf8_start;
pub(crate) use encoding::{Encoding, decode, encoding_of};
#[cfg(feature = "native")]
pub(crate) use names::has_extension;
pub(crate) use stream::Stream;

/// Bytes of a text's start by which its encoding is told.
const HEAD_BYTES: usize = 1 << 16;

/// How a text is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// None that can be told: lines.
    Prose,
    /// One JSON value a line.
    JsonLines,
    /// JSON values one after the other, or in an array, over any lines.
    JsonValues,
    /// Records of fields.
    Table {
        /// What separates fields.
        delimiter: u8,
    },
}

/// The text of a file as UTF-8 without a byte order mark, from UTF-8, UTF-16 or UTF-32. What is not valid there stands as bytes that are
/// not valid UTF-8 either: whoever takes the text finds them where they are.
pub fn decoded(bytes: &[u8]) -> Cow<'_, [u8]> {
    let (encoding, mark) = encoding_of(&bytes[..bytes.len().min(HEAD_BYTES)]);
    if encoding == Encoding::Utf8 {
        return Cow::Borrowed(&bytes[mark..]);
    }
    let mut text = Vec::with_capacity(bytes.len());
    // Reading from memory does not fail.
    let _ = decode(Stream::new(&bytes[mark..]), encoding).read_to_end(&mut text);
    Cow::Owned(text)
}
