//! Reads text from wherever it lies, as a stream of documents of lines.
//!
//! [`find`](TextSource::find) turns what the user names into a fixed list of files and says what it leaves out; each file is
//! then read as what its content is, its name being evidence only: layers of compression are undone, members of archives are
//! read one by one, other encodings are decoded, and what is no text is named. Nothing is held but the line or record at
//! hand: a line longer than [`MAX_LINE_BYTES`] is passed on in pieces, cut at white space.

mod archive;
mod find;
mod json;
mod json_record;
mod kind;
mod layers;
mod lines;
mod names;
mod parquet;
mod parquet_rows;
mod report;
mod spool;
mod table;
mod unpacked;
pub mod zip;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Result, io_error, shown};
use crate::record::Stream;

use archive::read_stream;
pub use lines::MAX_LINE_BYTES;
use lines::pass_line;
pub use parquet_rows::ParquetRows;
use report::Reading;
pub use report::{InputReport, LeftOut, Skipped};
pub use unpacked::{Unpacked, unpack};

/// How a file's text is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Lines; a blank line ends a document.
    Text,
    /// JSON objects, one document each: one a line, or in an array, or one after the other.
    Jsonl,
    /// One record a document, columns separated by commas or by what the first line shows; a field may be quoted.
    Csv,
    /// One line a document, columns separated by tabs.
    Tsv,
    /// One row a document.
    Parquet,
}

/// What happens to bytes and records that cannot be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnError {
    /// They end the reading, with an error that says where they are.
    #[default]
    Stop,
    /// The line or record is left out and counted.
    Skip,
    /// Bytes that are no text become U+FFFD and are counted; other bad records are left out as with `Skip`.
    Replace,
}

/// How input files are read.
#[derive(Debug, Clone)]
pub struct InputOptions {
    /// A file is one document; blank lines in it mean nothing.
    pub one_document_per_file: bool,
    /// The key in JSON, and the column in CSV, TSV and Parquet, that holds the text. "document.body" is the key "body" in the
    /// object "document", unless a key of just this name is there; a number is a column of a table without a header.
    pub text_key: String,
    /// Overrides what names and contents tell of a text's layout; in folders it also admits files whatever their names.
    pub format: Option<Format>,
    /// What happens to what cannot be read.
    pub on_error: OnError,
    /// Binary logarithm of the most bytes of history that a zstd archive may ask to hold in memory: 10 to 31.
    pub max_window_log: u32,
}

impl Default for InputOptions {
    fn default() -> Self {
        Self {
            one_document_per_file: false,
            text_key: "text".into(),
            format: None,
            on_error: OnError::Stop,
            // 128 MiB: what `zstd -d` grants without being asked.
            max_window_log: 27,
        }
    }
}

/// A corpus that has been found but not read.
#[derive(Debug, Clone)]
pub struct TextSource {
    content: Content,
    found: Arc<InputReport>,
    /// What the last reading had to tell; clones share it.
    reading: Arc<Mutex<Arc<InputReport>>>,
}

#[derive(Debug, Clone)]
enum Content {
    /// In the order in which they are read.
    Files { files: Vec<InputFile>, options: InputOptions },
    /// Documents of lines.
    Memory { description: String, documents: Arc<Vec<Vec<String>>> },
    /// What was read from elsewhere, see [`TextSource::spool`].
    Spooled { names: Vec<String>, file: PathBuf, bytes: u64 },
}

/// A file that will be read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct InputFile {
    path: PathBuf,
    /// `None`: standard input or a pipe, which can be read only once.
    bytes: Option<u64>,
    /// The user named it, and not a folder or glob.
    named: bool,
}

impl TextSource {
    /// Finds the files that `paths` name: files, folders (everything in them that is text), globs, "-" for standard input.
    ///
    /// Folders are walked in sorted order, links followed; a file or folder that is reached twice is taken once.
    /// Each file's first bytes are looked at here, so that what cannot be read is known before any work is done.
    ///
    /// # Errors
    /// A path that does not exist or is no text, a folder or glob without any, stdin named twice.
    pub fn find(paths: &[impl AsRef<Path>], options: InputOptions) -> Result<Self> {
        let (files, found) = find::find(paths, &options)?;
        let content = Content::Files { files, options };
        Ok(Self { content, found: Arc::new(found), reading: Arc::default() })
    }

    /// Documents that are already in memory.
    pub fn memory(description: impl Into<String>, documents: Vec<Vec<String>>) -> Self {
        let content = Content::Memory { description: description.into(), documents: Arc::new(documents) };
        Self { content, found: Arc::default(), reading: Arc::default() }
    }

    /// The files' names, or the description.
    pub fn names(&self) -> Vec<String> {
        match &self.content {
            Content::Files { files, .. } => files.iter().map(|file| shown(&file.path)).collect(),
            Content::Memory { description, .. } => vec![description.clone()],
            Content::Spooled { names, .. } => names.clone(),
        }
    }

    /// Bytes that will be read, compressed where they are; `None` where standard input or a pipe takes part: such a
    /// source can be read once only.
    pub fn input_bytes(&self) -> Option<u64> {
        match &self.content {
            Content::Files { files, .. } => files.iter().map(|file| file.bytes).sum(),
            Content::Memory { documents, .. } => {
                Some(documents.iter().flatten().map(|line| line.len() as u64 + 1).sum())
            }
            Content::Spooled { bytes, .. } => Some(*bytes),
        }
    }

    /// What was taken and left out when the files were found.
    pub fn found(&self) -> &InputReport {
        &self.found
    }

    /// What the last [`read`](Self::read) skipped, left out of archives, and noticed; empty before.
    pub fn last_reading(&self) -> Arc<InputReport> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Passes every document's lines to `sink`, trimmed and without blank ones; adds bytes read to `bytes_read`.
    ///
    /// # Errors
    /// What [`DataError`](crate::DataError) says on unreadable, corrupt and truncated input, and what `sink` returns.
    pub fn read(&self, sink: &mut dyn LineSink, bytes_read: &Arc<AtomicU64>) -> Result<()> {
        match &self.content {
            Content::Files { files, options } => {
                let reading = Reading::new(options, bytes_read.clone());
                let result = files.iter().try_for_each(|file| read_file(file, &reading, sink, bytes_read));
                *self.reading.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(reading.into_report());
                result
            }
            Content::Memory { documents, .. } => {
                for document in documents.iter() {
                    for line in document {
                        pass_line(line, sink)?;
                        bytes_read.fetch_add(line.len() as u64 + 1, Ordering::Relaxed);
                    }
                    sink.end_document()?;
                }
                Ok(())
            }
            Content::Spooled { file, .. } => spool::read(file, sink, bytes_read),
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

fn read_file(
    file: &InputFile,
    reading: &Reading<'_>,
    sink: &mut dyn LineSink,
    bytes_read: &Arc<AtomicU64>,
) -> Result<()> {
    let path = file.path.as_path();
    let read_before = bytes_read.load(Ordering::Relaxed);
    let seekable = file.bytes.is_some().then_some(path);
    let stream = open(path, bytes_read)?;
    read_stream(
        stream,
        &archive::Place { name: shown(path), file: seekable, named: file.named, depth: 0 },
        reading,
        sink,
    )?;
    // Formats that jump about in a file estimate how far they are, and some stop before its end.
    if let Some(bytes) = file.bytes {
        bytes_read.store(read_before + bytes, Ordering::Relaxed);
    }
    Ok(())
}

/// A file or standard input; bytes read from it are added to `bytes_read`.
fn open(path: &Path, bytes_read: &Arc<AtomicU64>) -> Result<Stream<'static>> {
    let bytes = bytes_read.clone();
    Ok(if is_stdin(path) {
        Stream::new(Counting { inner: io::stdin(), bytes })
    } else {
        Stream::new(Counting { inner: File::open(path).map_err(io_error("read", path))?, bytes })
    })
}

/// Counts bytes that pass.
struct Counting<R> {
    inner: R,
    bytes: Arc<AtomicU64>,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.bytes.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
