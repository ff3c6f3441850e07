//! Reads text from wherever it lies, as a stream of documents of lines.
//!
//! Text files (documents separated by blank lines, or one per file), JSONL and Parquet (one document a row), folders, globs, stdin,
//! each plain or compressed with gzip, zstd or xz (told by content, not by name), and documents in memory. Nothing is held
//! but the line at hand: a line longer than [`MAX_LINE_BYTES`] is passed on in pieces, cut at white space.

mod compressed;
mod expand;
mod jsonl;
mod parquet;
mod spool;

use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{DataError, Result, shown};

/// Longer lines are cut into several, at white space where there is any.
pub const MAX_LINE_BYTES: usize = 1 << 20;

/// What a file's text is wrapped in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Lines; a blank line ends a document.
    Text,
    /// One JSON object a line, one document each.
    Jsonl,
    /// One row a document.
    Parquet,
}

/// How input files are read.
#[derive(Debug, Clone)]
pub struct InputOptions {
    /// A file is one document; blank lines in it mean nothing.
    pub one_document_per_file: bool,
    /// The key in JSONL, and the column in Parquet, that holds the text.
    pub text_key: String,
    /// Overrides what the file names say; stdin is text unless this says otherwise.
    pub format: Option<Format>,
}

impl Default for InputOptions {
    fn default() -> Self {
        Self { one_document_per_file: false, text_key: "text".into(), format: None }
    }
}

/// A corpus that has been found but not read.
#[derive(Debug, Clone)]
pub enum TextSource {
    /// Files in the order in which they are read; "-" is stdin.
    Files { files: Vec<PathBuf>, options: InputOptions },
    /// Documents of lines.
    Memory { description: String, documents: Arc<Vec<Vec<String>>> },
    /// What was read from elsewhere, see [`TextSource::spool`].
    Spooled { names: Vec<String>, file: PathBuf, bytes: u64 },
}

impl TextSource {
    /// Finds the files that `paths` name: files, folders (all text, JSONL and Parquet files in them), globs, "-" for stdin.
    ///
    /// # Errors
    /// A path that does not exist, a folder or glob without such files, stdin named twice.
    pub fn find(paths: &[impl AsRef<str>], options: InputOptions) -> Result<Self> {
        Ok(Self::Files { files: expand::expand(paths)?, options })
    }

    /// Documents that are already in memory.
    pub fn memory(description: impl Into<String>, documents: Vec<Vec<String>>) -> Self {
        Self::Memory { description: description.into(), documents: Arc::new(documents) }
    }

    /// The files' names, or the description.
    pub fn names(&self) -> Vec<String> {
        match self {
            Self::Files { files, .. } => files.iter().map(|file| shown(file)).collect(),
            Self::Memory { description, .. } => vec![description.clone()],
            Self::Spooled { names, .. } => names.clone(),
        }
    }

    /// Bytes that will be read, compressed where they are; `None` where stdin takes part.
    pub fn input_bytes(&self) -> Option<u64> {
        match self {
            Self::Files { files, .. } => files
                .iter()
                .map(
                    |file| {
                        if is_stdin(file) { None } else { Some(std::fs::metadata(file).map_or(0, |data| data.len())) }
                    },
                )
                .sum(),
            Self::Memory { documents, .. } => Some(documents.iter().flatten().map(|line| line.len() as u64 + 1).sum()),
            Self::Spooled { bytes, .. } => Some(*bytes),
        }
    }

    /// Passes every document's lines to `sink`, trimmed and without blank ones; adds bytes read to `bytes_read`.
    ///
    /// # Errors
    /// What [`DataError`] says on unreadable, corrupt and truncated input, and what `sink` returns.
    pub fn read(&self, sink: &mut dyn LineSink, bytes_read: &Arc<AtomicU64>) -> Result<()> {
        match self {
            Self::Files { files, options } => {
                for file in files {
                    read_file(file, options, sink, bytes_read)?;
                }
                Ok(())
            }
            Self::Memory { documents, .. } => {
                for document in documents.iter() {
                    for line in document {
                        pass_line(line, sink)?;
                        bytes_read.fetch_add(line.len() as u64 + 1, Ordering::Relaxed);
                    }
                    sink.end_document()?;
                }
                Ok(())
            }
            Self::Spooled { file, .. } => spool::read(file, sink, bytes_read),
        }
    }
}

/// Takes in documents line by line.
pub trait LineSink {
    /// One line, not blank, without white space at its ends, at most [`MAX_LINE_BYTES`].
    fn line(&mut self, line: &str) -> Result<()>;
    /// The lines since the last call were a document; there may have been none.
    fn end_document(&mut self) -> Result<()>;
}

pub(crate) fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

fn read_file(file: &Path, options: &InputOptions, sink: &mut dyn LineSink, bytes_read: &Arc<AtomicU64>) -> Result<()> {
    let format = options.format.unwrap_or_else(|| expand::format_of(file));
    if format == Format::Parquet {
        return parquet::read(file, &options.text_key, sink, bytes_read);
    }
    let mut reader = compressed::open(file, bytes_read)?;
    match format {
        Format::Jsonl => jsonl::read(&mut reader, &options.text_key, sink),
        _ => read_text(&mut reader, !options.one_document_per_file, sink),
    }
}

/// Cuts bytes into lines of bounded length and knows where it is, for messages.
struct LineReader<'r> {
    reader: &'r mut compressed::TextReader,
    buffer: Vec<u8>,
    max_bytes: usize,
    /// 1-based number of the current line.
    line: u64,
    /// Bytes before the buffer's first, in the uncompressed text.
    offset: u64,
    /// Bytes of the buffer that belong to the piece handed out last.
    taken: usize,
    ended_line: bool,
}

impl<'r> LineReader<'r> {
    fn new(reader: &'r mut compressed::TextReader, max_bytes: usize) -> Self {
        Self { reader, buffer: Vec::new(), max_bytes, line: 0, offset: 0, taken: 0, ended_line: true }
    }

    fn path(&self) -> String {
        shown(self.reader.path())
    }

    /// The next line, or piece of a line; the flag says whether the line is whole.
    fn next(&mut self) -> Result<Option<(&str, bool)>> {
        self.buffer.drain(..self.taken);
        self.offset += self.taken as u64;
        self.taken = 0;
        let room = self.max_bytes.saturating_sub(self.buffer.len());
        let path = self.reader.path().to_owned();
        let mut limited = (&mut *self.reader).take(room as u64);
        if let Err(error) = limited.read_until(b'\n', &mut self.buffer) {
            return Err(self.reader.error(&path, error));
        }
        if self.buffer.is_empty() {
            return Ok(None);
        }
        if self.ended_line {
            self.line += 1;
        }
        // At the limit and no line end in sight: a piece. (Below it the file ended: a whole line.)
        let whole = self.buffer.ends_with(b"\n") || self.buffer.len() < self.max_bytes;
        self.taken = if whole { self.buffer.len() } else { piece_end(&self.buffer) };
        let started_line = self.ended_line;
        self.ended_line = whole;
        match std::str::from_utf8(&self.buffer[..self.taken]) {
            Ok(text) => {
                let first = self.line == 1 && started_line;
                let text = if first { text.strip_prefix('\u{feff}').unwrap_or(text) } else { text };
                Ok(Some((text, whole && started_line)))
            }
            Err(error) => {
                let at = error.valid_up_to();
                Err(DataError::Utf8 {
                    path: shown(&path),
                    line: self.line,
                    byte: self.offset + at as u64,
                    value: self.buffer[at],
                })
            }
        }
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

fn read_text(reader: &mut compressed::TextReader, blank_ends_document: bool, sink: &mut dyn LineSink) -> Result<()> {
    let mut lines = LineReader::new(reader, MAX_LINE_BYTES);
    while let Some((line, whole)) = lines.next()? {
        let line = line.trim();
        if !line.is_empty() {
            sink.line(line)?;
        } else if blank_ends_document && whole {
            sink.end_document()?;
        }
    }
    sink.end_document()
}

/// Passes on a document's text: its lines, long ones in pieces. Blank lines within a record mean nothing.
fn pass_document(text: &str, sink: &mut dyn LineSink) -> Result<()> {
    for line in text.lines() {
        pass_line(line, sink)?;
    }
    sink.end_document()
}

fn pass_line(mut line: &str, sink: &mut dyn LineSink) -> Result<()> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    pub(super) struct Collected {
        pub documents: Vec<Vec<String>>,
        current: Vec<String>,
    }

    impl LineSink for Collected {
        fn line(&mut self, line: &str) -> Result<()> {
            assert!(!line.is_empty() && line.len() <= MAX_LINE_BYTES && line.trim() == line);
            self.current.push(line.to_owned());
            Ok(())
        }

        fn end_document(&mut self) -> Result<()> {
            if !self.current.is_empty() {
                self.documents.push(std::mem::take(&mut self.current));
            }
            Ok(())
        }
    }

    fn collect(source: &TextSource) -> Result<Vec<Vec<String>>> {
        let mut sink = Collected::default();
        source.read(&mut sink, &Arc::new(AtomicU64::new(0)))?;
        Ok(sink.documents)
    }

    fn file_source(name: &str, bytes: &[u8]) -> (tempfile::TempDir, TextSource) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("a file written");
        let source = TextSource::find(&[path.to_str().expect("UTF-8")], InputOptions::default()).expect("found");
        (folder, source)
    }

    #[test]
    fn blank_lines_separate_documents() {
        let (_folder, source) = file_source("a.txt", b"\xef\xbb\xbf one \r\ntwo\r\n\r\n \t\nthree");
        assert_eq!(collect(&source).expect("read"), [vec!["one", "two"], vec!["three"]]);
    }

    #[test]
    fn an_endless_line_comes_in_pieces_and_loses_nothing() {
        let words: String = (0..400_000).map(|number| format!("w{number} ")).collect();
        let (_folder, source) = file_source("a.txt", words.as_bytes());
        let documents = collect(&source).expect("read");
        assert_eq!(documents.len(), 1);
        assert!(documents[0].len() > 2);
        assert_eq!(documents[0].join(" "), words.trim());

        // Without white space pieces end between characters; three bytes each never divide the limit evenly.
        let text = "語".repeat(MAX_LINE_BYTES);
        let (_folder, source) = file_source("a.txt", text.as_bytes());
        assert_eq!(collect(&source).expect("read").concat().concat(), text);
        let memory = TextSource::memory("test", vec![vec![text.clone()]]);
        assert_eq!(collect(&memory).expect("read").concat().concat(), text);
    }

    #[test]
    fn what_was_spooled_is_read_again_as_it_was() {
        let text = "one\n\n\ntwo\rthree\n\u{feff}four\n\nfive";
        let (folder, source) = file_source("a.txt", text.as_bytes());
        let spooled = source.spool(&folder.path().join("spool"), &mut |_| std::ops::ControlFlow::Continue(()));
        let spooled = spooled.expect("spooled");
        assert_eq!(spooled.names(), source.names());
        let documents = collect(&source).expect("read");
        for _ in 0..2 {
            assert_eq!(collect(&spooled).expect("read"), documents);
        }
        let bytes_read = Arc::new(AtomicU64::new(0));
        spooled.read(&mut Collected::default(), &bytes_read).expect("read");
        assert_eq!(spooled.input_bytes(), Some(bytes_read.load(Ordering::Relaxed)));
    }

    #[test]
    fn corrupt_utf8_is_found_by_line_and_byte() {
        let (_folder, source) = file_source("bad.txt", b"good\nal\xffso\n");
        let message = collect(&source).expect_err("corrupt").to_string();
        assert!(message.contains("bad.txt: line 2, byte 7: not valid UTF-8 (byte 0xff)"), "{message}");
        // A character cut off by the end of the file.
        let (_folder, source) = file_source("bad.txt", b"good\n\xe8\xaa");
        assert!(matches!(collect(&source), Err(DataError::Utf8 { line: 2, byte: 5, .. })));
        // Corrupt bytes without an end must not loop.
        let (_folder, source) = file_source("bad.txt", &vec![0x80; MAX_LINE_BYTES * 2]);
        assert!(matches!(collect(&source), Err(DataError::Utf8 { line: 1, byte: 0, .. })));
    }
}
