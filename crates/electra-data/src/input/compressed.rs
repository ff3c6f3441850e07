//! Opens a file or stdin as plain text, undoing gzip, zstd and xz, which its first bytes tell.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::is_stdin;
use crate::error::{DataError, Result, io_error, shown};

/// Text from a file, with what error messages need.
pub(super) struct TextReader {
    path: PathBuf,
    /// The archive's format; `None` for plain text.
    format: Option<&'static str>,
    text: BufReader<Box<dyn Read>>,
    text_bytes: Arc<AtomicU64>,
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

/// Opens `path` ("-" is stdin); bytes read from it are added to `bytes_read`.
pub(super) fn open(path: &Path, bytes_read: &Arc<AtomicU64>) -> Result<TextReader> {
    let raw: Box<dyn Read> = if is_stdin(path) {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(path).map_err(io_error("read", path))?)
    };
    let mut raw = Counting { inner: raw, bytes: bytes_read.clone() };
    let mut magic = Vec::new();
    (&mut raw).take(6).read_to_end(&mut magic).map_err(io_error("read", path))?;
    let (is_gzip, is_zstd, is_xz) =
        (magic.starts_with(b"\x1f\x8b"), magic.starts_with(b"\x28\xb5\x2f\xfd"), magic.starts_with(b"\xfd7zXZ\0"));
    let raw = Cursor::new(magic).chain(raw);
    let (format, text): (_, Box<dyn Read>) = if is_gzip {
        (Some("gzip"), Box::new(flate2::read::MultiGzDecoder::new(raw)))
    } else if is_zstd {
        (Some("zstd"), Box::new(zstd::stream::read::Decoder::new(raw).map_err(io_error("read", path))?))
    } else if is_xz {
        // Buffered, since the decoder reads byte by byte.
        (Some("xz"), Box::new(lzma_rust2::XzReader::new(BufReader::with_capacity(1 << 16, raw), true)))
    } else {
        (None, Box::new(raw))
    };
    let text_bytes = Arc::new(AtomicU64::new(0));
    let text = Counting { inner: text, bytes: text_bytes.clone() };
    Ok(TextReader {
        path: path.to_owned(),
        format,
        text: BufReader::with_capacity(1 << 16, Box::new(text)),
        text_bytes,
    })
}

impl TextReader {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What a failed read means: for an archive that it is damaged, unless the system itself refused.
    pub(super) fn error(&self, path: &Path, source: io::Error) -> DataError {
        match self.format {
            Some(format) if source.raw_os_error().is_none() => DataError::Archive {
                path: shown(path),
                format,
                bytes: self.text_bytes.load(Ordering::Relaxed),
                reason: source.to_string(),
            },
            _ => DataError::Io { path: shown(path), action: "read", source },
        }
    }
}

impl Read for TextReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.text.read(buffer)
    }
}

impl io::BufRead for TextReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.text.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.text.consume(count);
    }
}
