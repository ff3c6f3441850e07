//! What text is read from which content, whatever its name, and what is refused.

mod archives;
mod folders;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use electra_data::input::{Format, InputOptions, InputReport, LineSink, OnError, TextSource};
use electra_data::{DataError, Result};

use archives::gzip;

#[derive(Default)]
struct Documents(Vec<Vec<String>>, Vec<String>);

impl LineSink for Documents {
    fn line(&mut self, line: &str) -> Result<()> {
        self.1.push(line.to_owned());
        Ok(())
    }

    fn end_document(&mut self) -> Result<()> {
        if !self.1.is_empty() {
            self.0.push(std::mem::take(&mut self.1));
        }
        Ok(())
    }
}

fn read_source(source: &TextSource) -> Result<Vec<Vec<String>>> {
    let mut documents = Documents::default();
    let bytes = Arc::new(AtomicU64::new(0));
    source.read(&mut documents, &bytes)?;
    // Whatever the format, progress ends at 100 %.
    assert_eq!(Some(bytes.into_inner()), source.input_bytes());
    Ok(documents.0)
}

fn read_with(path: &Path, options: InputOptions) -> Result<Vec<Vec<String>>> {
    read_source(&TextSource::find(&[path], options)?)
}

/// The text of one file of this content, and what reading it reported.
fn read_file(name: &str, content: &[u8], options: &InputOptions) -> (Result<Vec<Vec<String>>>, Arc<InputReport>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join(name);
    std::fs::write(&path, content).expect("written");
    match TextSource::find(&[&path], options.clone()) {
        Ok(source) => (read_source(&source), source.last_reading()),
        Err(error) => (Err(error), Arc::default()),
    }
}

fn text_of(name: &str, content: &[u8]) -> Vec<Vec<String>> {
    read_file(name, content, &InputOptions::default()).0.unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn message_of(name: &str, content: &[u8]) -> String {
    read_file(name, content, &InputOptions::default()).0.expect_err("refused").to_string()
}

fn with_error(on_error: OnError) -> InputOptions {
    InputOptions { on_error, ..InputOptions::default() }
}

const TEXT: &[u8] = b"The first line.\nThe second.\n\nAnother document.\n";

fn expected() -> Vec<Vec<&'static str>> {
    vec![vec!["The first line.", "The second."], vec!["Another document."]]
}

/// `into_inner` of an `Arc` nobody else holds.
trait IntoInner {
    fn into_inner(self) -> u64;
}

impl IntoInner for Arc<AtomicU64> {
    fn into_inner(self) -> u64 {
        self.load(std::sync::atomic::Ordering::Relaxed)
    }
}

fn read(path: &Path) -> Result<Vec<Vec<String>>> {
    read_with(path, InputOptions::default())
}

#[test]
fn jsonl_records_are_documents() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("a.jsonl");
    let write = |content: &str| std::fs::write(&path, content).expect("written");
    write(
        "{\"id\": 1, \"text\": \"one\\ntwo\\n\\nthree\"}\n\n{\"text\": \"caf\\u00e9\", \"meta\": {\"text\": 5}}\n{\"text\": null}\n",
    );
    assert_eq!(read(&path).expect("read"), [vec!["one", "two", "three"], vec!["café"]]);
    let message = |content: &str| {
        write(content);
        read(&path).expect_err("refused").to_string()
    };
    assert!(message("{\"text\": \"a\"}\n{\"text\": \"b\"\n").contains("a.jsonl: line 2: the record is cut off"));
    assert!(message("{\"text\": \"a\"} x\n").contains("line 1: not a JSON record"));
    assert!(message("[1]").contains("line 1"));
    assert!(message("{\"text\": 5}").contains("line 1: the key \"text\" holds a number, not a string"));
    let missing = message("{\"content\": \"a\", \"id\": 3}");
    assert!(missing.contains("no key \"text\", only content, id") && missing.contains("--text-key"), "{missing}");
    let options = InputOptions { text_key: "content".into(), ..InputOptions::default() };
    assert_eq!(read_with(&path, options).expect("read"), [["a"]]);
}

fn write_parquet(path: &Path, rows: &[Option<&str>], compression: parquet::basic::Compression) {
    use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    let schema = "message rows { required int64 id; optional binary text (UTF8); }";
    let schema = Arc::new(parquet::schema::parser::parse_message_type(schema).expect("a schema"));
    let properties = Arc::new(WriterProperties::builder().set_compression(compression).build());
    let file = std::fs::File::create(path).expect("made");
    let mut writer = SerializedFileWriter::new(file, schema, properties).expect("a writer");
    for group in rows.chunks(700) {
        let mut row_group = writer.next_row_group().expect("a group");
        let mut column = row_group.next_column().expect("columns").expect("a column");
        let ids: Vec<i64> = (0..group.len() as i64).collect();
        column.typed::<Int64Type>().write_batch(&ids, None, None).expect("written");
        column.close().expect("closed");
        let mut column = row_group.next_column().expect("columns").expect("a column");
        let values: Vec<ByteArray> = group.iter().flatten().map(|text| ByteArray::from(*text)).collect();
        let levels: Vec<i16> = group.iter().map(|row| i16::from(row.is_some())).collect();
        column.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None).expect("written");
        column.close().expect("closed");
        row_group.close().expect("closed");
    }
    writer.close().expect("closed");
}

#[test]
fn parquet_rows_are_documents() {
    use parquet::basic::{Compression, ZstdLevel};
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("a.parquet");
    let texts: Vec<String> = (0..2000).map(|row| format!("row {row}\nsecond line")).collect();
    let rows: Vec<Option<&str>> =
        texts.iter().enumerate().map(|(row, text)| (row % 7 != 3).then_some(text.as_str())).collect();
    let expected: Vec<Vec<String>> =
        rows.iter().flatten().map(|text| text.lines().map(str::to_owned).collect()).collect();
    for compression in [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::ZSTD(ZstdLevel::default())] {
        write_parquet(&path, &rows, compression);
        assert_eq!(read(&path).expect("read"), expected, "{compression:?}");
    }
    let missing = read_with(&path, InputOptions { text_key: "body".into(), ..InputOptions::default() });
    let message = missing.expect_err("refused").to_string();
    assert!(message.contains("no column \"body\", only id, text"), "{message}");
    let number = read_with(&path, InputOptions { text_key: "id".into(), ..InputOptions::default() });
    assert!(number.expect_err("refused").to_string().contains("INT64 and not text"));
    let whole = std::fs::read(&path).expect("read");
    for length in [0, 3, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..length]).expect("written");
        assert!(read(&path).expect_err("truncated").to_string().contains("a.parquet"), "{length}");
    }
}

#[test]
fn a_rare_compression_of_parquet_is_read_or_named() {
    for (name, word) in [("brotli", "BROTLI"), ("lz4", "LZ4")] {
        let result = read(&crate::support::own_fixtures().join(format!("parquet/{name}.parquet")));
        if cfg!(feature = "rare-codecs") {
            assert_eq!(result.expect("read"), [["a small boat"], ["the last map"]]);
        } else {
            let message = result.expect_err("this build has no such codec").to_string();
            assert!(message.contains(word) && message.contains("--features rare-codecs"), "{message}");
        }
    }
}

#[test]
fn a_file_may_be_one_document() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("a.txt"), "one\n\ntwo\n").expect("written");
    std::fs::write(folder.path().join("b.txt"), "three").expect("written");
    let options = InputOptions { one_document_per_file: true, ..InputOptions::default() };
    assert_eq!(read_with(folder.path(), options).expect("read"), [vec!["one", "two"], vec!["three"]]);
    assert_eq!(read(folder.path()).expect("read"), [vec!["one"], vec!["two"], vec!["three"]]);
}

#[test]
fn a_full_disk_is_named_with_a_remedy() {
    let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
    let error = DataError::Io { path: "data/train-00000.safetensors".into(), action: "write to", source };
    let message = error.to_string();
    assert!(
        message.starts_with("data/train-00000.safetensors: cannot write to: ") && message.contains("free some space"),
        "{message}"
    );
}

#[test]
fn wide_encodings_are_decoded_and_bad_halves_found_by_line() {
    let text = "One line.\r\nTwo.\r\n";
    let utf16: Vec<u8> = "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    assert_eq!(text_of("a.txt", &utf16), [["One line.", "Two."]]);
    let utf32: Vec<u8> = text.chars().flat_map(|character| u32::from(character).to_be_bytes()).collect();
    assert_eq!(text_of("a.txt", &utf32), [["One line.", "Two."]]);
    let csv: Vec<u8> = "\u{feff}id\ttext\n1\tWords.\n".encode_utf16().flat_map(u16::to_be_bytes).collect();
    assert_eq!(text_of("a.tsv", &csv), [["Words."]]);
    let mut bad = utf16.clone();
    bad.extend([0, 0xdc, b'x', 0]);
    let message = message_of("a.txt", &bad);
    assert!(message.contains("line 3: not valid UTF-16"), "{message}");
    let (read, _) = read_file("a.txt", &bad, &with_error(OnError::Replace));
    assert_eq!(read.expect("read"), [["One line.", "Two.", "\u{fffd}x"]]);
}

#[test]
fn lines_end_with_carriage_returns_too() {
    let documents: Vec<Vec<String>> = vec![vec!["one".into(), "two".into()], vec!["three".into()]];
    for text in ["one\rtwo\r\rthree\r", "one\r\ntwo\r\n\r\nthree", "one\rtwo\n\r\nthree\r\n"] {
        assert_eq!(text_of("a.txt", text.as_bytes()), documents, "{text:?}");
    }
    let message = message_of("a.txt", b"one\rtwo\r\nth\xffree\r");
    assert!(message.contains("line 3, byte 11"), "{message}");
}

#[test]
fn json_is_read_in_every_usual_shape_under_any_name() {
    let shapes: [&[u8]; 6] = [
        b"{\"text\": \"one\"}\n{\"text\": \"two\", \"x\": NaN}\n",
        b"[{\"text\": \"one\"},\n {\"text\": \"two\"}]",
        b"{\n  \"text\": \"one\"\n}\n{\n  \"text\": \"two\"\n}\n",
        b"[\n\"one\",\n\"two\"\n]\n",
        b"\xef\xbb\xbf{\"text\": \"one\"}\r\n\r\n{\"text\": [\"two\"]}",
        b"{\"text\": \"one\"}{\"text\": \"two\"}",
    ];
    for (number, shape) in shapes.into_iter().enumerate() {
        for name in ["a.jsonl", "a.json", "a.txt", "records"] {
            assert_eq!(text_of(name, shape), [["one"], ["two"]], "{number} as {name}");
        }
    }
    let (read, report) = read_file("a.txt", shapes[0], &InputOptions::default());
    assert!(read.is_ok() && report.notices[0].contains("JSON"), "{:?}", report.notices);
    let forced = InputOptions { format: Some(Format::Text), ..InputOptions::default() };
    assert!(read_file("a.jsonl", shapes[0], &forced).0.expect("read")[0][0].starts_with('{'));
    let nested = InputOptions { text_key: "document.body".into(), ..InputOptions::default() };
    let records = b"{\"document\": {\"body\": \"one\"}}\n{\"document.body\": \"two\"}\n";
    assert_eq!(read_file("a.jsonl", records, &nested).0.expect("read"), [["one"], ["two"]]);
    assert!(message_of("a.json", b"[{\"text\": \"one\"},\n").contains("line 2: the file ends within"));
}

#[test]
fn bad_records_stop_or_are_skipped_and_counted() {
    let content = b"{\"text\": \"one\"}\n{\"text\": \"cut off in the mid\n{\"title\": \"x\"}\n{\"text\": 1984}\n{\"text\": null}\n\
        {\"text\": \"caf\xe9\"}\n{\"text\": \"half \\ud83d\"}\n";
    let message = message_of("a.jsonl", content);
    assert!(message.contains("a.jsonl: line 2: the record is cut off"), "{message}");
    assert!(!message.contains("control character") && !message.contains("line 1"), "{message}");
    let (read, report) = read_file("a.jsonl", content, &with_error(OnError::Skip));
    assert_eq!(read.expect("read"), [["one"], ["half \u{fffd}"]]);
    let counts: Vec<(&str, u64)> =
        report.skipped.iter().map(|skipped| (skipped.kind.as_str(), skipped.count)).collect();
    let expected = [
        ("a malformed record, left out", 1),
        ("a record without the text's key, left out", 1),
        ("a record whose text is no string, left out", 1),
        ("a record whose text is null, left out", 1),
        ("not valid in its encoding, left out", 1),
    ];
    assert_eq!(counts, expected);
    assert!(report.skipped[0].first_places[0].ends_with("a.jsonl: line 2"), "{report:?}");
    let (read, _) = read_file("a.jsonl", content, &with_error(OnError::Replace));
    assert_eq!(read.expect("read"), [["one"], ["caf\u{fffd}"], ["half \u{fffd}"]]);
    let mut many = TEXT.to_vec();
    (0..9).for_each(|_| many.extend(b"na\xefve\n"));
    let (read, report) = read_file("a.txt", &many, &with_error(OnError::Skip));
    assert_eq!(read.expect("read"), self::expected());
    assert_eq!((report.skipped[0].count, report.skipped[0].first_places.len()), (9, 5));
}

#[test]
fn tables_are_read_by_their_text_column() {
    let csv = b"id,text,n\n1,\"Said \"\"no\"\", twice.\nAnd left.\",2\n\n2,Two.,3\n";
    assert_eq!(text_of("a.csv", csv), [vec!["Said \"no\", twice.", "And left."], vec!["Two."]]);
    assert_eq!(text_of("a.csv", b"id;text\n1;One, two.\n"), [["One, two."]]);
    assert_eq!(text_of("a.tsv", b"label\ttext\n0\t\"Quotes\" are text.\n"), [["\"Quotes\" are text."]]);
    let (read, report) = read_file("a.csv", b"title,content\nx,One.\n", &InputOptions::default());
    assert_eq!(read.expect("read"), [["One."]]);
    assert!(report.notices[0].contains("\"content\""), "{:?}", report.notices);
    let (read, report) = read_file("a.txt", b"id,text\n1,One.\n2,Two.\n", &InputOptions::default());
    assert_eq!(read.expect("read"), [["One."], ["Two."]]);
    assert!(report.notices[0].contains("a table"), "{:?}", report.notices);
    let message = message_of("a.csv", b"id,words\n1,One.\n");
    assert!(message.contains("id, words") && message.contains("--text-key"), "{message}");
    let message = message_of("a.csv", b"id,text\n1,One, two.\n");
    assert!(message.contains("line 2: a record of 3 columns in a table of 2"), "{message}");
    let by_number = InputOptions { text_key: "2".into(), ..InputOptions::default() };
    assert_eq!(read_file("a.tsv", b"7\tOne.\n8\tTwo.\n", &by_number).0.expect("read"), [["One."], ["Two."]]);
}

#[test]
fn what_is_no_text_is_refused_by_its_name() {
    for (content, what) in [
        (b"%PDF-1.5\n%\xe2\xe3\xcf\xd3\n".as_slice(), "a PDF document"),
        (b"SQLite format 3\0\x10\0\x01\x01", "an SQLite database"),
        (b"\xff\xff\xff\xff\x70\0\0\0\x10\0\0\0", "an Arrow file"),
        (b"<!DOCTYPE html>\n<html><body>Words</body></html>", "HTML"),
        (b"\0\x01\x02\x03\xfe\xff\0\0", "a binary file"),
    ] {
        for (name, content) in [("a.txt", content.to_vec()), ("a.txt.gz", gzip(content))] {
            let message = message_of(name, &content);
            assert!(message.contains(what) && message.contains("; "), "{message}");
            assert!(!message.contains("latin1"), "{message}");
        }
    }
}
