//! Text that can be read only once, kept in a file for whoever must read it twice.
//!
//! The file holds what a reading passes on, line by line, so that the second reading finds exactly the documents of the first,
//! however the input was packed: a length of four bytes before each line, [`DOCUMENT_END`] in its place behind a document.

use std::fs::File;
use std::io::{BufReader, BufWriter, ErrorKind, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Content, LineSink, TextSource};
use crate::error::{DataError, Result, io_error};
use crate::pipeline::{OnProgress, Progress, report};

/// Longer than any line.
const DOCUMENT_END: u32 = u32::MAX;
/// Between two reports of progress.
const REPORT_BYTES: u64 = 1 << 20;

impl TextSource {
    /// The same text under the same names, read now and kept in the new file `file`.
    ///
    /// # Errors
    /// Those of reading, and a full disk.
    pub fn spool(&self, file: &Path, on_progress: &mut OnProgress) -> Result<Self> {
        let bytes_read = Arc::new(AtomicU64::new(0));
        let total = self.input_bytes();
        let mut spool = Spool {
            file: BufWriter::with_capacity(1 << 16, File::create(file).map_err(io_error("create", file))?),
            path: file,
            bytes: 0,
            on_progress: &mut |written| {
                let input_bytes = bytes_read.load(Ordering::Relaxed);
                let progress =
                    Progress { input_bytes, input_total_bytes: total, text_bytes: written, ..Progress::default() };
                report(on_progress, &progress)
            },
        };
        self.read(&mut spool, &bytes_read)?;
        spool.file.flush().map_err(io_error("write to", file))?;
        let bytes = spool.bytes;
        // What there was to tell of the input stays with it.
        let content = Content::Spooled { names: self.names(), file: file.to_owned(), bytes };
        Ok(Self { content, found: self.found.clone(), reading: self.reading.clone() })
    }
}

struct Spool<'s> {
    file: BufWriter<File>,
    path: &'s Path,
    bytes: u64,
    on_progress: &'s mut dyn FnMut(u64) -> Result<()>,
}

impl Spool<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(io_error("write to", self.path))?;
        let reports = self.bytes / REPORT_BYTES;
        self.bytes += bytes.len() as u64;
        if self.bytes / REPORT_BYTES > reports { (self.on_progress)(self.bytes) } else { Ok(()) }
    }
}

impl LineSink for Spool<'_> {
    fn line(&mut self, line: &str) -> Result<()> {
        self.write(&(line.len() as u32).to_le_bytes())?;
        self.write(line.as_bytes())
    }

    fn end_document(&mut self) -> Result<()> {
        self.write(&DOCUMENT_END.to_le_bytes())
    }
}

/// Passes on what [`TextSource::spool`] kept.
pub(super) fn read(path: &Path, sink: &mut dyn LineSink, bytes_read: &Arc<AtomicU64>) -> Result<()> {
    let file = File::open(path).map_err(io_error("read", path))?;
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let (mut length, mut line) = ([0; 4], Vec::new());
    loop {
        match reader.read_exact(&mut length) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(io_error("read", path)(error)),
        }
        let length = u32::from_le_bytes(length);
        bytes_read.fetch_add(4, Ordering::Relaxed);
        if length == DOCUMENT_END {
            sink.end_document()?;
            continue;
        }
        line.resize(length as usize, 0);
        reader.read_exact(&mut line).map_err(io_error("read", path))?;
        bytes_read.fetch_add(u64::from(length), Ordering::Relaxed);
        let text = std::str::from_utf8(&line).map_err(|_| {
            let error = std::io::Error::new(ErrorKind::InvalidData, "another program has changed the file");
            DataError::Io { path: path.display().to_string(), action: "read", source: error }
        })?;
        sink.line(text)?;
    }
}
