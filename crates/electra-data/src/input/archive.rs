//! Reads a stream of bytes as what it is: undoes its layers, reads an archive's members one by one, and hands text to the
//! reader of its layout.

use std::path::Path;

use super::kind::{self, HEAD_BYTES, Kind, Unreadable, kind_of};
use super::layers::{Compression, decompress};
use super::lines::{Text, read_prose};
use super::names;
use super::report::{Reading, left_out_summary};
use super::zip::{ZipArchive, ZipFailure};
use super::{Format, InputOptions, LineSink, json, table};
use crate::error::{DataError, Result};
use crate::record::{Layout, NameKind, Stream, decode, delimiter_of, encoding_of, has_extension, name_kind};

/// Archives within archives, compression included.
const MAX_DEPTH: usize = 8;

/// Where a stream comes from.
pub(super) struct Place<'p> {
    /// For messages: a path, for a member behind its archive's.
    pub name: String,
    /// The file itself, where the stream is just its bytes: formats that are read from their end need it.
    pub file: Option<&'p Path>,
    /// The user named it by itself: an archive without text is an error then.
    pub named: bool,
    pub depth: usize,
}

impl Place<'_> {
    /// The name that tells of the content: a member's own.
    fn own_name(&self) -> &str {
        self.name.rsplit(SEPARATOR).next().unwrap_or(&self.name)
    }
}

/// Between an archive's name and a member's.
const SEPARATOR: &str = ": ";

/// How a file is read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Reader {
    Text(Layout),
    Parquet,
    Tar,
    Zip,
}

/// How a file of a kind is read, or why it cannot be. `--format` decides between layouts of text, and lets markup pass.
pub(super) fn reader_of(
    kind: Kind,
    name: &str,
    head: &[u8],
    options: &InputOptions,
) -> std::result::Result<Reader, &'static Unreadable> {
    let named = name_kind(name).filter(|_| options.format.is_none());
    let layout = match kind {
        Kind::Parquet => return Ok(Reader::Parquet),
        Kind::Tar => return Ok(Reader::Tar),
        Kind::Zip => return Ok(Reader::Zip),
        Kind::Unreadable(unreadable) if !(options.format == Some(Format::Text) && kind::is_markup(unreadable)) => {
            return Err(unreadable);
        }
        // Text that a name denies: a download that failed, or a file cut off in its first bytes.
        _ if named == Some(NameKind::Parquet) => return Err(&kind::NO_PARQUET),
        _ if named == Some(NameKind::Archive) => return Err(&kind::NO_ARCHIVE),
        Kind::Text(layout) => layout,
        _ => Layout::Prose,
    };
    let first_line = || head.split(|&byte| byte == b'\n' || byte == b'\r').next().unwrap_or_default();
    Ok(match options.format {
        None => Reader::Text(layout),
        Some(Format::Text) => Reader::Text(Layout::Prose),
        Some(Format::Parquet) => return Err(&kind::NO_PARQUET),
        Some(Format::Tsv) => Reader::Text(Layout::Table { delimiter: b'\t' }),
        Some(Format::Csv) if matches!(layout, Layout::Table { .. }) => Reader::Text(layout),
        Some(Format::Csv) => {
            let delimiter = delimiter_of(&String::from_utf8_lossy(first_line()));
            Reader::Text(Layout::Table { delimiter })
        }
        Some(Format::Jsonl) => match layout {
            Layout::JsonValues => Reader::Text(layout),
            _ => Reader::Text(Layout::JsonLines),
        },
    })
}

/// Whether a file or member that no one named by itself is part of the corpus; else why not.
pub(super) fn reason_to_leave_out(
    kind: Kind,
    name: &str,
    head: &[u8],
    whole: bool,
    in_archive: bool,
    options: &InputOptions,
) -> Option<String> {
    let named = name_kind(name);
    if kind == Kind::Empty {
        return named.is_none().then(|| "empty".into());
    }
    let reader = match reader_of(kind, name, head, options) {
        Ok(reader) => reader,
        Err(unreadable) => return Some(unreadable.what.into()),
    };
    match reader {
        Reader::Text(layout @ (Layout::JsonLines | Layout::JsonValues)) => {
            let text = String::from_utf8_lossy(head);
            let text = text.trim_start_matches('\u{feff}');
            let key = &options.text_key;
            let is_alone = layout == Layout::JsonValues || (whole && text.trim().lines().count() == 1);
            let left_out = match named {
                _ if options.format == Some(Format::Jsonl) => false,
                None => json::has_text(text, whole, layout, key) != Some(true),
                // A lone object without the key is settings or the like; records without it are an error to be seen.
                Some(_) => is_alone && json::has_text(text, whole, layout, key) == Some(false),
            };
            left_out.then(|| format!("JSON without the key {key:?}"))
        }
        Reader::Text(Layout::Prose) => {
            let is_plain_member = in_archive && !has_extension(name);
            let taken = options.format == Some(Format::Text) || named.is_some() || is_plain_member;
            (!taken).then(|| "no text by its name, which --format text takes whatever it is".into())
        }
        Reader::Text(Layout::Table { .. }) => {
            let taken = named.is_some() || options.format.is_some();
            (!taken).then(|| "a table by its content, but not by its name".into())
        }
        Reader::Parquet | Reader::Tar | Reader::Zip => None,
    }
}

/// Undoes the compression of a stream, all layers of it.
pub(super) fn uncompressed<'s>(
    mut stream: Stream<'s>,
    name: &str,
    reading: &'s Reading<'_>,
) -> std::io::Result<Stream<'s>> {
    for _ in 0..MAX_DEPTH {
        let head = stream.peek(HEAD_BYTES)?;
        match Compression::of(head) {
            Some(compression) => stream = decompress(stream, compression, name, reading),
            None => return Ok(stream),
        }
    }
    Err(reading.fail(DataError::Unreadable {
        path: name.into(),
        what: format!("an archive packed more than {MAX_DEPTH} times"),
        remedy: "unpack it first".into(),
    }))
}

/// Reads a file's, standard input's or a member's bytes.
pub(super) fn read_stream(
    stream: Stream<'_>,
    place: &Place<'_>,
    reading: &Reading<'_>,
    sink: &mut dyn LineSink,
) -> Result<()> {
    let failed = |error| reading.error(&place.name, error);
    let unreadable = |what: &Unreadable| unreadable_error(&place.name, what);
    let mut stream = stream;
    let is_packed = Compression::of(stream.peek(HEAD_BYTES).map_err(failed)?).is_some();
    let file = place.file.filter(|_| !is_packed);
    let mut stream = uncompressed(stream, &place.name, reading).map_err(failed)?;
    let head = stream.peek(HEAD_BYTES).map_err(failed)?;
    let kind = kind_of(head, head.len() < HEAD_BYTES, place.own_name());
    match reader_of(kind, place.own_name(), head, reading.options).map_err(unreadable)? {
        Reader::Text(layout) => read_text(stream, layout, place, reading, sink),
        _ if place.depth > MAX_DEPTH => Err(unreadable(&kind::TOO_DEEP)),
        Reader::Tar => read_tar(stream, place, reading, sink),
        Reader::Parquet => match file {
            Some(file) => super::parquet::read(file, reading, sink),
            None => Err(unreadable(&kind::PARQUET_INSIDE)),
        },
        Reader::Zip => match file {
            Some(file) => read_zip(file, place, reading, sink),
            None => Err(unreadable(&kind::ZIP_INSIDE)),
        },
    }
}

pub(super) fn unreadable_error(path: &str, unreadable: &Unreadable) -> DataError {
    DataError::Unreadable { path: path.into(), what: unreadable.what.into(), remedy: unreadable.remedy.into() }
}

fn read_text(
    mut stream: Stream<'_>,
    layout: Layout,
    place: &Place<'_>,
    reading: &Reading<'_>,
    sink: &mut dyn LineSink,
) -> Result<()> {
    let name = place.name.as_str();
    let head = stream.peek(HEAD_BYTES).map_err(|error| reading.error(name, error))?;
    let (encoding, mark) = encoding_of(head);
    std::io::BufRead::consume(&mut stream, mark);
    let mut stream = decode(stream, encoding);
    let text = Text { stream: &mut stream, name, encoding };
    let is_named_text = name_kind(place.own_name()) == Some(NameKind::Text);
    if reading.options.format.is_none() && is_named_text && layout != Layout::Prose {
        let (what, format) = match layout {
            Layout::Table { .. } => ("a table", "csv"),
            _ => ("JSON", "jsonl"),
        };
        reading.notice(format!(
            "{name}: its content is {what}, whatever its name says, and is read so (--format {format} is sure of it, \
             --format text reads it as plain text)"
        ));
    }
    match layout {
        Layout::Prose => read_prose(text, reading, sink),
        Layout::JsonLines => json::read_lines(text, reading, sink),
        Layout::JsonValues => json::read_values(text, reading, sink),
        Layout::Table { delimiter } => table::read(text, delimiter, reading, sink),
    }
}

/// A member of an archive: left out by its name or its content, or read.
fn read_member(
    member: Stream<'_>,
    name: &str,
    place: &Place<'_>,
    reading: &Reading<'_>,
    sink: &mut dyn LineSink,
) -> Result<bool> {
    let path = format!("{}{SEPARATOR}{name}", place.name);
    let mut parts = name.split('/').filter(|part| !matches!(*part, "" | "." | ".."));
    if let Some(reason) = parts.find_map(|part| names::reason_to_leave_out(part, &|_| false)) {
        reading.leave_out(path, reason);
        return Ok(false);
    }
    let failed = |error| reading.error(&path, error);
    let mut stream = uncompressed(member, &path, reading).map_err(failed)?;
    let head = stream.peek(HEAD_BYTES).map_err(failed)?;
    let whole = head.len() < HEAD_BYTES;
    let kind = kind_of(head, whole, name);
    if let Some(reason) = reason_to_leave_out(kind, name, head, whole, true, reading.options) {
        reading.leave_out(path, reason);
        return Ok(false);
    }
    read_stream(stream, &Place { name: path, file: None, named: false, depth: place.depth + 1 }, reading, sink)?;
    Ok(true)
}

fn read_tar(stream: Stream<'_>, place: &Place<'_>, reading: &Reading<'_>, sink: &mut dyn LineSink) -> Result<()> {
    let damaged = |error: std::io::Error| match reading.has_failed() || error.raw_os_error().is_some() {
        true => reading.error(&place.name, error),
        false => archive_error(place, "tar", error.to_string()),
    };
    let mut archive = tar::Archive::new(stream);
    let mut taken = 0;
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let kind = entry.header().entry_type();
        // Directories hold nothing, and links lead to members that are read under their own names.
        if !(kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse()) {
            continue;
        }
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if name.ends_with('/') {
            continue;
        }
        let size = entry.size();
        let mut read = Counted { inner: &mut entry, bytes: 0, ended: false };
        let was_taken = read_member(Stream::new(&mut read), &name, place, reading, sink)?;
        taken += u64::from(was_taken);
        // A member that ends early looks like any other end of text.
        if read.ended && read.bytes < size {
            let reason = format!("the member {name} has {} bytes of {size}", read.bytes);
            return Err(archive_error(place, "tar", reason));
        }
    }
    nothing_taken(taken, place, reading)
}

fn archive_error(place: &Place<'_>, format: &'static str, reason: String) -> DataError {
    DataError::Archive { path: place.name.clone(), format, bytes: 0, reason }
}

/// An archive of which nothing is read: an error with the reasons where it was asked for by name.
fn nothing_taken(taken: u64, place: &Place<'_>, reading: &Reading<'_>) -> Result<()> {
    if taken > 0 {
        return Ok(());
    }
    if !place.named {
        reading.leave_out(place.name.clone(), "an archive without text");
        return Ok(());
    }
    let inside = format!("{}{SEPARATOR}", place.name);
    let left_out = reading.left_out_below(&inside);
    let what = match left_out.as_slice() {
        [] => "an archive without a file".into(),
        left_out => format!("an archive without text ({})", left_out_summary(left_out)),
    };
    Err(DataError::Unreadable {
        path: place.name.clone(),
        what,
        remedy: "unpack it, and name its files one by one".into(),
    })
}

fn read_zip(path: &Path, place: &Place<'_>, reading: &Reading<'_>, sink: &mut dyn LineSink) -> Result<()> {
    let refused = |failure: ZipFailure| match failure {
        ZipFailure::Io(error) => reading.error(&place.name, error),
        ZipFailure::Damaged(reason) => archive_error(place, "zip", reason),
        ZipFailure::Unsupported(what) => DataError::Unreadable {
            path: place.name.clone(),
            what: format!("a zip archive with {what}"),
            remedy: "unpack it first".into(),
        },
    };
    let archive = ZipArchive::open(path).map_err(refused)?;
    if let Some(document) = kind::zip_document(archive.names()) {
        return Err(unreadable_error(&place.name, document));
    }
    let mut taken = 0;
    for member in archive.members() {
        if member.name.ends_with('/') {
            continue;
        }
        let mut failure = None;
        let content = Remembering { inner: archive.read(member).map_err(refused)?, failure: &mut failure };
        let result = read_member(Stream::new(content), &member.name, place, reading, sink);
        match failure {
            Some(reason) if result.is_err() => {
                return Err(archive_error(place, "zip", format!("the member {}: {reason}", member.name)));
            }
            _ => taken += u64::from(result?),
        }
        reading.progress(member.packed_bytes);
    }
    nothing_taken(taken, place, reading)
}

/// Whether a file is a zip archive that is really a document.
pub(super) fn zip_document_in(path: &Path) -> Option<&'static Unreadable> {
    ZipArchive::open(path).ok().and_then(|archive| kind::zip_document(archive.names()))
}

/// Knows how much a member gave, and whether it had no more.
struct Counted<R> {
    inner: R,
    bytes: u64,
    ended: bool,
}

impl<R: std::io::Read> std::io::Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let bytes = self.inner.read(buffer)?;
        self.bytes += bytes as u64;
        self.ended |= bytes == 0 && !buffer.is_empty();
        Ok(bytes)
    }
}

/// Remembers an error of an archive's member, which is damage to the archive.
struct Remembering<'f, R> {
    inner: R,
    failure: &'f mut Option<String>,
}

impl<R: std::io::Read> std::io::Read for Remembering<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.inner.read(buffer).inspect_err(|error| *self.failure = Some(error.to_string()))
    }
}
