//! Tells from a file's first bytes what it is: an archive, text in some layout, or something that is no text.
//!
//! The content decides; a name is evidence where contents look alike (prose with commas, a table with two columns).
//! What cannot be read stands in [`UNREADABLE`], with what to do about it.

use std::borrow::Cow;

use super::layers::Compression;
use super::table;
use crate::record::{Encoding, Layout, NameKind, Stream, decode, encoding_of, is_utf8_start, json_layout, name_kind};

/// Bytes of a file's start that are looked at.
pub(super) const HEAD_BYTES: usize = 1 << 16;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Empty,
    Compressed(Compression),
    Tar,
    Zip,
    Parquet,
    Text(Layout),
    Unreadable(&'static Unreadable),
}

/// Something that is no text, and what to do about it.
#[derive(Debug, PartialEq)]
pub(super) struct Unreadable {
    /// With its article: "a PDF document".
    pub what: &'static str,
    pub remedy: &'static str,
    /// How it starts.
    magic: &'static [&'static [u8]],
}

const EXTRACT: &str = "extract its text first";
const NO_CORPUS: &str = "it is no corpus; leave it out";

/// What is told by its first bytes alone, whatever `--format` says.
const UNREADABLE: &[Unreadable] = &[
    unreadable(
        "an Arrow file",
        "write it as Parquet or JSON lines first, for example with load_from_disk(FOLDER).to_parquet(FILE) of Python's datasets",
        &[b"ARROW1", b"\xff\xff\xff\xff", b"FEA1"],
    ),
    unreadable("an Avro file", "write it as Parquet or JSON lines first", &[b"Obj\x01"]),
    unreadable("an ORC file", "write it as Parquet or JSON lines first", &[b"ORC"]),
    unreadable(
        "an SQLite database",
        "export the text first, for example with sqlite3 -json FILE 'select text from TABLE'",
        &[b"SQLite format 3\0"],
    ),
    unreadable("a PDF document", "extract its text first, for example with pdftotext", &[b"%PDF-"]),
    unreadable("a PostScript document", "extract its text first, for example with ps2ascii", &[b"%!PS-"]),
    unreadable("an RTF document", "save it as plain text first", &[b"{\\rtf"]),
    unreadable(
        "an old Microsoft Office document",
        "save it as plain text first",
        &[b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"],
    ),
    unreadable("a DjVu document", "extract its text first, for example with djvutxt", &[b"AT&TFORM"]),
    unreadable("a 7z archive", "unpack it first, for example with 7z x", &[b"7z\xbc\xaf\x27\x1c"]),
    unreadable("a RAR archive", "unpack it first, for example with unrar x", &[b"Rar!\x1a\x07"]),
    unreadable("an lz4 archive", "unpack it first with lz4 -d", &[b"\x04\x22\x4d\x18", b"\x02\x21\x4c\x18"]),
    unreadable("an archive of compress (.Z)", "unpack it first with gzip -d", &[b"\x1f\x9d", b"\x1f\xa0"]),
    unreadable("a snappy archive", "unpack it first", &[b"\xff\x06\0\0sNaPpY"]),
    unreadable("an ar archive", "unpack it first with ar x", &[b"!<arch>\n"]),
    unreadable("an HDF5 file", "write its text as Parquet or JSON lines first", &[b"\x89HDF\r\n\x1a\n"]),
    unreadable("a NumPy array", NO_CORPUS, &[b"\x93NUMPY"]),
    unreadable(
        "a Python pickle",
        "write its text as JSON lines first",
        &[b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"],
    ),
    unreadable("an image", NO_CORPUS, &[b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"II*\0", b"MM\0*", b"BM\0\0"]),
    unreadable("a sound or a film", NO_CORPUS, &[b"RIFF", b"OggS", b"fLaC", b"ID3", b"\x1a\x45\xdf\xa3"]),
    unreadable("a program", NO_CORPUS, &[b"\x7fELF", b"MZ\x90\0", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"\0asm"]),
];

const SAFETENSORS: Unreadable = unreadable("a network's weights (safetensors)", NO_CORPUS, &[]);
const BINARY: Unreadable =
    unreadable("a binary file", "convert it to text first; if it is text, say in which encoding it is written", &[]);
const WARC: Unreadable = unreadable(
    "a web archive (WARC)",
    "extract its text first, for example with trafilatura or warcio",
    &[b"WARC/0.", b"WARC/1."],
);
const HTML: Unreadable = unreadable(
    "HTML",
    "extract its text first, or read tags and all with --format text",
    &[b"<!doctype html", b"<html"],
);
const WIKIPEDIA: Unreadable = unreadable(
    "a Wikipedia dump (XML)",
    "extract its text first, for example with wikiextractor, and read that folder with --format text",
    &[b"<mediawiki"],
);
const XML: Unreadable =
    unreadable("XML", "extract its text first, or read tags and all with --format text", &[b"<?xml", b"<!doctype"]);

pub(super) const NO_PARQUET: Unreadable = unreadable(
    "no Parquet file, though it is to be read as one",
    "fetch it again if it is cut off, or name its format with --format",
    &[],
);
pub(super) const NO_ARCHIVE: Unreadable = unreadable(
    "no archive, whatever its name says",
    "fetch it again if it is cut off, or read it as plain text with --format text",
    &[],
);
pub(super) const PARQUET_INSIDE: Unreadable = unreadable(
    "a Parquet file within a stream, and Parquet is read from its end",
    "unpack it, or name the file in place of standard input",
    &[],
);
pub(super) const ZIP_INSIDE: Unreadable = unreadable(
    "a zip archive within a stream, and zip is read from its end",
    "unpack it, or name the file in place of standard input",
    &[],
);
pub(super) const TOO_DEEP: Unreadable = unreadable("an archive too deep within archives", "unpack it first", &[]);

/// Whether it is text with tags, which `--format text` reads as they are.
pub(super) fn is_markup(unreadable: &Unreadable) -> bool {
    [HTML, XML, WIKIPEDIA, WARC].iter().any(|markup| markup.what == unreadable.what)
}

/// Kinds of zip archives that are documents or weights, by a member that only they have.
const ZIP_KINDS: &[(&str, Unreadable)] = &[
    ("word/document.xml", unreadable("a Word document", "save it as plain text first", &[])),
    ("xl/workbook.xml", unreadable("an Excel workbook", "save it as CSV first", &[])),
    ("ppt/presentation.xml", unreadable("a PowerPoint presentation", EXTRACT, &[])),
    ("META-INF/container.xml", unreadable("an e-book (EPUB)", "extract its text first, for example with pandoc", &[])),
    ("META-INF/manifest.xml", unreadable("an OpenDocument file", "save it as plain text first", &[])),
    ("META-INF/MANIFEST.MF", unreadable("a Java archive", NO_CORPUS, &[])),
    ("data.pkl", unreadable("a network's weights (PyTorch)", NO_CORPUS, &[])),
    (".npy", unreadable("NumPy arrays", NO_CORPUS, &[])),
];

const fn unreadable(what: &'static str, remedy: &'static str, magic: &'static [&'static [u8]]) -> Unreadable {
    Unreadable { what, remedy, magic }
}

/// What to do about a file that was left out for being this.
pub(super) fn remedy_of(what: &str) -> Option<&'static str> {
    let documents = ZIP_KINDS.iter().map(|(_, unreadable)| unreadable);
    let markup = [&HTML, &XML, &WIKIPEDIA, &WARC];
    let known = UNREADABLE.iter().chain(documents).chain(markup).find(|unreadable| unreadable.what == what)?;
    (known.remedy != NO_CORPUS).then_some(known.remedy)
}

/// What a zip archive with these members is, if it is no archive of files but a document of its own.
pub(super) fn zip_document<'n>(mut names: impl Iterator<Item = &'n str>) -> Option<&'static Unreadable> {
    names.find_map(|name| {
        let known = ZIP_KINDS.iter().find(|(member, _)| name == *member || name.rsplit('/').next() == Some(*member));
        let known =
            known.or_else(|| ZIP_KINDS.iter().find(|(member, _)| member.starts_with('.') && name.ends_with(member)));
        known.map(|(_, unreadable)| unreadable)
    })
}

/// What the file is whose first bytes are `head`, all of them if `whole`.
pub(super) fn kind_of(head: &[u8], whole: bool, name: &str) -> Kind {
    if head.is_empty() {
        return Kind::Empty;
    }
    if let Some(compression) = Compression::of(head) {
        return Kind::Compressed(compression);
    }
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        return Kind::Zip;
    }
    if head.starts_with(b"PAR1") {
        return Kind::Parquet;
    }
    if is_tar(head) {
        return Kind::Tar;
    }
    let (encoding, mark) = encoding_of(head);
    // "ID3", "RIFF" and the like start words as well: short marks of letters count only where the rest is no text.
    let is_text = encoding != Encoding::Utf8 || (is_utf8_start(head) && !head.contains(&0));
    let decides = |magic: &[u8]| !is_text || magic.len() >= 5 || !magic.iter().all(|byte| (0x20..0x7f).contains(byte));
    let starts =
        |unreadable: &&Unreadable| unreadable.magic.iter().any(|magic| head.starts_with(magic) && decides(magic));
    if let Some(known) = UNREADABLE.iter().find(starts) {
        return Kind::Unreadable(known);
    }
    if head.len() > 9 && head[8] == b'{' && head[4..8] == [0; 4] {
        return Kind::Unreadable(&SAFETENSORS);
    }
    if encoding == Encoding::Utf8 && is_binary(head) {
        return Kind::Unreadable(&BINARY);
    }
    let text = decoded_start(&head[mark..], encoding);
    if WARC.magic.iter().any(|magic| text.as_bytes().starts_with(magic)) {
        return Kind::Unreadable(&WARC);
    }
    layout_of(&text, whole, name)
}

/// The text that `bytes` start with.
fn decoded_start(bytes: &[u8], encoding: Encoding) -> Cow<'_, str> {
    if encoding == Encoding::Utf8 {
        return String::from_utf8_lossy(bytes);
    }
    let mut decoded = Vec::new();
    // Reading from memory does not fail.
    let _ = std::io::Read::read_to_end(&mut decode(Stream::new(bytes), encoding), &mut decoded);
    Cow::Owned(String::from_utf8_lossy(&decoded).into_owned())
}

/// The layout of a text, of which `text` is the start.
fn layout_of(text: &str, whole: bool, name: &str) -> Kind {
    let named = name_kind(name);
    if let Some(layout) = json_layout(text, whole, named == Some(NameKind::Json)) {
        return Kind::Text(layout);
    }
    let opening = without_comments(text.trim_start());
    let lower: String = opening.chars().take(64).flat_map(char::to_lowercase).collect();
    let is = |markup: &Unreadable| markup.magic.iter().any(|magic| lower.as_bytes().starts_with(magic));
    let inner = if lower.starts_with("<?xml") {
        opening.split_once("?>").map_or("", |(_, inner)| without_comments(inner.trim_start()))
    } else {
        opening
    };
    if inner.starts_with("<mediawiki") {
        return Kind::Unreadable(&WIKIPEDIA);
    }
    if is(&HTML) || inner.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("<html")) {
        return Kind::Unreadable(&HTML);
    }
    if is(&XML) {
        return Kind::Unreadable(&XML);
    }
    Kind::Text(table::layout_of(text, whole, named).unwrap_or(Layout::Prose))
}

fn without_comments(mut text: &str) -> &str {
    while let Some((_, behind)) = text.strip_prefix("<!--").and_then(|comment| comment.split_once("-->")) {
        text = behind.trim_start();
    }
    text
}

/// Zero bytes and control characters that no text has, in numbers that no accident explains.
fn is_binary(head: &[u8]) -> bool {
    let zeros = head.iter().filter(|&&byte| byte == 0).count();
    let controls = head.iter().filter(|&&byte| byte < 0x20 && !matches!(byte, b'\t'..=b'\r' | 0x1b | 0)).count();
    let is_utf8 = is_utf8_start(head);
    zeros * 100 > head.len() || (!is_utf8 && (zeros > 0 || controls * 20 > head.len())) || controls * 5 > head.len()
}

/// A tar archive's first header, whose checksum holds for every dialect, the one without a magic word included.
fn is_tar(head: &[u8]) -> bool {
    let Some(header) = head.get(..512) else { return false };
    let digits: String = header[148..156].iter().map(|&byte| char::from(byte)).collect();
    let Ok(expected) = u32::from_str_radix(digits.trim_matches([' ', '\0']), 8) else { return false };
    let field = |at: usize, byte: u8| if (148..156).contains(&at) { b' ' } else { byte };
    let sum: u32 = header.iter().enumerate().map(|(at, &byte)| u32::from(field(at, byte))).sum();
    header[0] != 0 && sum == expected
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unreadable_name(bytes: &[u8]) -> Option<&'static str> {
        match kind_of(bytes, true, "a.txt") {
            Kind::Unreadable(unreadable) => Some(unreadable.what),
            _ => None,
        }
    }

    #[test]
    fn what_is_no_text_is_named() {
        for (start, what) in [
            (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3 1 0 obj".as_slice(), "a PDF document"),
            (b"SQLite format 3\0\x10\0", "an SQLite database"),
            (b"ARROW1\0\0\xff\xff\xff\xff", "an Arrow file"),
            (b"\xff\xff\xff\xffp\0\0\0\x10\0\0\0", "an Arrow file"),
            (b"\x80\x04\x95\x0b\0\0\0\0\0\0\0}", "a Python pickle"),
            (b"\x40\0\0\0\0\0\0\0{\"a\":{}}", "a network's weights (safetensors)"),
            (b"\x01\x02\x03\x04\0\0\x07\xff", "a binary file"),
            (b"<!DOCTYPE html>\n<html lang=en>", "HTML"),
            (b"\xef\xbb\xbf <!-- saved --> <HTML><body>", "HTML"),
            (b"<?xml version=\"1.0\"?>\n<html xmlns=\"x\">", "HTML"),
            (b"<mediawiki xmlns=\"http://www.mediawiki.org/xml/\">", "a Wikipedia dump (XML)"),
            (b"<?xml version=\"1.0\"?><TEI>", "XML"),
            (b"WARC/1.0\r\nWARC-Type: warcinfo", "a web archive (WARC)"),
        ] {
            assert_eq!(unreadable_name(start), Some(what));
        }
    }

    #[test]
    fn prose_that_resembles_something_else_is_prose() {
        for text in [
            "BMW builds cars.\nAnd bikes.",
            "ID3 is a kind of tag, ORC is a monster, RIFFs are music.",
            "{this} is in braces",
            "[1] Smith, J. (2001). A paper.\n[2] Jones, K.",
            "[\"Quoted\" at the start of a line] and more",
            "\"Well,\" he said, \"this is no JSON.\"",
            "<doc id=\"12\" url=\"x\">\nTitle\n</doc>",
            "< 5 is less than 5",
            "one,two,three\nand four, five\n",
            "A word.\0 Another.\nAnd text that goes on for a while, so that one stray byte makes it no binary file at all, ever.",
        ] {
            assert_eq!(kind_of(text.as_bytes(), true, "a.txt"), Kind::Text(Layout::Prose), "{text}");
        }
        assert_eq!(kind_of(b"caf\xe9 au lait, na\xefve, and so on", true, "a.txt"), Kind::Text(Layout::Prose));
    }

    #[test]
    fn zip_documents_are_told_by_their_members() {
        let what = |names: &[&str]| zip_document(names.iter().copied()).map(|unreadable| unreadable.what);
        assert_eq!(what(&["[Content_Types].xml", "word/document.xml"]), Some("a Word document"));
        assert_eq!(what(&["model/data.pkl", "model/data/0"]), Some("a network's weights (PyTorch)"));
        assert_eq!(what(&["arr_0.npy"]), Some("NumPy arrays"));
        assert_eq!(what(&["books/one.txt", "two.jsonl"]), None);
    }
}
