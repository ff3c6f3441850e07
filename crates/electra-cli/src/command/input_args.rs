//! Where text comes from and how it is read: the same options in `tokenizer train`, `data build` and the default job.

use std::fmt;
use std::path::{Path, PathBuf};

use electra_data::input::Format;
use electra_data::{InputOptions, LeftOutCharacters, OnError, TextSource};

use crate::terminal::Terminal;

/// Inputs that must be named, and how they are read.
#[derive(Debug, clap::Args)]
pub(super) struct InputArgs {
    /// Files, folders or globs of text, JSON, CSV, TSV or Parquet, in archives or not; - is standard input
    ///
    /// .txt and .md files are text; .jsonl, .ndjson and .json hold records, as do .csv, .tsv and .parquet. gzip, zstd, xz, bzip2,
    /// lzma and lzip are undone, and tar and zip archives opened, whatever the names; UTF-16 and UTF-32 are decoded. Folders are
    /// walked, links followed, and each file is read once. What is left out is counted, and named with -v
    #[arg(long, value_name = "PATH", num_args = 1.., required = true, help_heading = "Input")]
    input: Vec<PathBuf>,
    #[command(flatten)]
    reading: ReadingArgs,
}

impl InputArgs {
    /// Finds the files, and says what is taken and left out.
    pub(super) fn source(&self, terminal: &Terminal) -> electra_data::Result<TextSource> {
        let source = self.reading.source(&self.input)?;
        tell_found(&source, terminal);
        Ok(source)
    }
}

/// How inputs are read, whichever they are.
#[derive(Debug, clap::Args)]
pub(super) struct ReadingArgs {
    /// A file is one document; otherwise blank lines separate documents in text files
    #[arg(long, help_heading = "Input")]
    one_document_per_file: bool,
    /// The key of the text in JSON, or its column in CSV, TSV and Parquet
    ///
    /// Dots lead into objects: document.body. A number is a column of a table whose first line holds no names
    #[arg(long, value_name = "NAME", default_value = "text", help_heading = "Input")]
    text_key: String,
    /// Read every text as this, whatever its name and content; folders then give files of any name
    #[arg(long, help_heading = "Input")]
    format: Option<InputFormat>,
    /// What to do with bytes that are no text and with bad records: stop, leave them out, or put U+FFFD for such bytes
    #[arg(long, value_name = "WHAT", default_value = "stop", help_heading = "Input")]
    on_error: OnErrorArg,
    /// Memory that a zstd archive may ask for, such as 2GiB, or its logarithm as in zstd --long=31
    #[arg(long, value_name = "SIZE", default_value_t, value_parser = window, help_heading = "Input")]
    max_window: Window,
}

/// [`Format`] on the command line.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum InputFormat {
    /// Plain text
    Text,
    /// JSON: an object a line, an array of objects, or objects one after the other
    #[value(alias = "json")]
    Jsonl,
    /// Columns separated by commas, semicolons or tabs, as the first line shows, quoted where needed
    Csv,
    /// Columns separated by tabs, never quoted
    Tsv,
    Parquet,
}

/// [`OnError`] on the command line.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum OnErrorArg {
    Stop,
    Skip,
    Replace,
}

impl ReadingArgs {
    /// Finds the files that `input` names.
    pub(super) fn source(&self, input: &[impl AsRef<Path>]) -> electra_data::Result<TextSource> {
        let format = self.format.map(|format| match format {
            InputFormat::Text => Format::Text,
            InputFormat::Jsonl => Format::Jsonl,
            InputFormat::Csv => Format::Csv,
            InputFormat::Tsv => Format::Tsv,
            InputFormat::Parquet => Format::Parquet,
        });
        let options = InputOptions {
            one_document_per_file: self.one_document_per_file,
            text_key: self.text_key.clone(),
            format,
            on_error: match self.on_error {
                OnErrorArg::Stop => OnError::Stop,
                OnErrorArg::Skip => OnError::Skip,
                OnErrorArg::Replace => OnError::Replace,
            },
            max_window_log: self.max_window.log,
        };
        TextSource::find(input, options)
    }
}

/// Says what was taken of folders and globs, and what was left out: how much of it, and with `-v` each.
pub(super) fn tell_found(source: &TextSource, terminal: &Terminal) {
    let found = source.found();
    if found.walked > 0 || !found.left_out.is_empty() {
        let hint = if found.left_out.is_empty() { "" } else { " (-v names each)" };
        terminal.note(format_args!("Input: {}{hint}", found.summary()));
    }
    for left_out in &found.left_out {
        terminal.detail(format_args!("left out: {}: {}", left_out.path, left_out.reason));
    }
}

/// Says what the last reading of a source left out, mended or noticed.
pub(super) fn tell_read(source: &TextSource, terminal: &Terminal) {
    let read = source.last_reading();
    for notice in &read.notices {
        terminal.warn(notice);
    }
    for skipped in &read.skipped {
        let more = if skipped.count > skipped.first_places.len() as u64 { ", ..." } else { "" };
        terminal.warn(format_args!("{}: {} ({}{more})", skipped.kind, skipped.count, skipped.first_places.join(", ")));
    }
    if !read.left_out.is_empty() {
        terminal.note(format_args!("Archives: left out {} members (-v names each)", read.left_out.len()));
    }
    for left_out in &read.left_out {
        terminal.detail(format_args!("left out: {}: {}", left_out.path, left_out.reason));
    }
}

/// Says which characters a vocabulary of the text leaves out. A ten-thousandth of a text is names and noise; more is worth a
/// warning.
pub(super) fn tell_left_out_characters(left_out: &LeftOutCharacters, terminal: &Terminal) {
    let LeftOutCharacters { characters, kept, share, examples } = left_out;
    let examples: String = examples.iter().collect();
    let line = format!(
        "the alphabet has {kept} characters; {characters} rarer ones ({:.3} % of the text, such as {examples}) are left out, \
         and words with them become [UNK]: --alphabet-limit or a larger --vocab-size takes more",
        100.0 * share
    );
    if *share > 1e-4 { terminal.warn(line) } else { terminal.note(line) }
}

/// A size that is a power of two.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Window {
    log: u32,
}

impl Default for Window {
    fn default() -> Self {
        Self { log: InputOptions::default().max_window_log }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}MiB", (1u64 << self.log) >> 20)
    }
}

/// A window's size, rounded up: "31", "2GiB", "2g" and "2147483648" all have the logarithm 31.
fn window(text: &str) -> Result<Window, String> {
    const ALLOWED: std::ops::RangeInclusive<u32> = 10..=31;
    let refused =
        || format!("a size of 1KiB to 2GiB is needed, or its logarithm, {} to {}", ALLOWED.start(), ALLOWED.end());
    let lower = text.to_lowercase();
    let digits = lower.trim_end_matches(|c: char| !c.is_ascii_digit());
    let number: u64 = digits.parse().map_err(|_| refused())?;
    let unit = match lower[digits.len()..].trim() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        _ => return Err(refused()),
    };
    let is_log = unit == 0 && number <= u64::from(*ALLOWED.end());
    let log = if is_log {
        number as u32
    } else {
        let bytes = number.checked_mul(1 << unit).ok_or_else(refused)?;
        bytes.checked_next_power_of_two().ok_or_else(refused)?.trailing_zeros()
    };
    if ALLOWED.contains(&log) { Ok(Window { log }) } else { Err(refused()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_sizes_or_logarithms() {
        for text in ["31", "2147483648", "2GiB", "2GB", "2g", "1.5g", "1025m", "2048M"] {
            let expected = if text.contains('.') { None } else { Some(Window { log: 31 }) };
            assert_eq!(window(text).ok(), expected, "{text}");
        }
        assert_eq!(window(&Window::default().to_string()).ok(), Some(Window::default()));
        for text in ["", "g", "9", "3GiB", "99999999999999999999", "18446744073709551615g", "-1", "2TiB"] {
            assert!(window(text).is_err(), "{text}");
        }
    }
}
