//! A file's content as a whole, for tables that are held in memory: whatever it is packed with is undone.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use super::archive::{uncompressed, unreadable_error};
use super::kind::{self, HEAD_BYTES, Kind, kind_of};
use super::report::Reading;
use super::{InputOptions, open};
use crate::error::{DataError, Result, shown};
use crate::record::decoded;

/// What a file holds.
#[derive(Debug)]
pub enum Unpacked {
    /// Text in UTF-8, without a byte order mark; what was not valid in its encoding is not valid here either.
    Text(Vec<u8>),
    /// Parquet, which is read from the file itself: [`ParquetRows`](super::ParquetRows).
    Parquet,
}

/// Reads a file, or standard input ("-"), whole: all layers of compression are undone, and wider encodings decoded.
///
/// # Errors
/// The file cannot be read, an archive in it is damaged, or it is no text: an archive of files, a workbook, a picture.
pub fn unpack(path: &Path) -> Result<Unpacked> {
    let options = InputOptions::default();
    let reading = Reading::new(&options, Arc::default());
    let name = shown(path);
    let failed = |error| reading.error(&name, error);
    let mut packed = open(path, &Arc::default())?;
    let is_plain = packed.peek(HEAD_BYTES).map_err(failed)?.starts_with(b"PAR1");
    let mut stream = uncompressed(packed, &name, &reading).map_err(failed)?;
    let head = stream.peek(HEAD_BYTES).map_err(failed)?;
    match kind_of(head, head.len() < HEAD_BYTES, &name) {
        Kind::Parquet if is_plain && !super::is_stdin(path) => return Ok(Unpacked::Parquet),
        Kind::Parquet => return Err(unreadable_error(&name, &kind::PARQUET_INSIDE)),
        Kind::Unreadable(unreadable) => return Err(unreadable_error(&name, unreadable)),
        Kind::Tar | Kind::Zip => {
            if let Some(document) = super::archive::zip_document_in(path) {
                return Err(unreadable_error(&name, document));
            }
            let remedy = "unpack it, and name the file in it".into();
            return Err(DataError::Unreadable { path: name, what: "an archive of files".into(), remedy });
        }
        Kind::Empty | Kind::Text(_) | Kind::Compressed(_) => {}
    }
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).map_err(failed)?;
    Ok(Unpacked::Text(match decoded(&bytes) {
        std::borrow::Cow::Borrowed(text) if text.len() == bytes.len() => bytes,
        text => text.into_owned(),
    }))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn unpacked(name: &str, bytes: &[u8]) -> Result<Unpacked> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        unpack(&path)
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).expect("compressed");
        encoder.finish().expect("compressed")
    }

    #[test]
    fn any_packing_and_encoding_gives_the_same_text() {
        let text = "sentence\tlabel\nna\u{ef}ve\t1\n".repeat(9_000);
        let wide: Vec<u8> = format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect();
        let marked = format!("\u{feff}{text}").into_bytes();
        let zstd = zstd::encode_all(text.as_bytes(), 1).expect("compressed");
        for bytes in [text.clone().into_bytes(), marked, gzip(text.as_bytes()), gzip(&gzip(&wide)), zstd, wide] {
            // The content decides, whatever the name says.
            let Ok(Unpacked::Text(found)) = unpacked("train.tsv", &bytes) else { panic!("no text") };
            assert!(found == text.as_bytes());
        }
    }

    #[test]
    fn what_is_no_table_is_named_with_a_remedy() {
        let cut = gzip(&b"a,b\n1,2\n".repeat(50));
        for (bytes, said) in [
            (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3 1 0 obj".as_slice(), "pdftotext"),
            (b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "unpack it"),
            (&gzip(b"PAR1 and so on"), "Parquet is read from its end"),
            (&cut[..cut.len() - 9], "truncated"),
        ] {
            let message = unpacked("a.csv", bytes).expect_err("no table").to_string();
            assert!(message.contains(said) && message.contains("a.csv"), "{message}");
        }
        assert!(matches!(unpacked("a.csv", b""), Ok(Unpacked::Text(text)) if text.is_empty()));
    }
}
