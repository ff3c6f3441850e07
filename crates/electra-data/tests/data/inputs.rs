use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use electra_data::input::{InputOptions, LineSink, TextSource};
use electra_data::{DataError, Result};

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

fn read_with(path: &Path, options: InputOptions) -> Result<Vec<Vec<String>>> {
    let source = TextSource::find(&[path.to_str().expect("UTF-8")], options)?;
    let mut documents = Documents::default();
    let bytes = Arc::new(AtomicU64::new(0));
    source.read(&mut documents, &bytes)?;
    // Whatever the format, progress ends at 100 %.
    assert_eq!(Some(bytes.into_inner()), source.input_bytes());
    Ok(documents.0)
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

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text).expect("compressed");
    encoder.finish().expect("compressed")
}

fn xz(text: &[u8]) -> Vec<u8> {
    let mut encoder = lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::with_preset(1)).expect("options");
    encoder.write_all(text).expect("compressed");
    encoder.finish().expect("compressed")
}

fn zstd_bytes(text: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(text, 1).expect("compressed")
}

#[test]
fn archives_are_read_and_their_damage_noticed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text: String = (0..20_000)
        .map(|line| format!("line {line} of {}\n{}", line * 7919 % 10_007, if line % 50 == 49 { "\n" } else { "" }))
        .collect();
    let plain = folder.path().join("plain.txt");
    std::fs::write(&plain, &text).expect("written");
    let expected = read(&plain).expect("read");
    assert_eq!(expected.len(), 400);
    let halves = text.split_at(text.len() / 2);
    for (name, compress) in [("gz", gzip as fn(&[u8]) -> Vec<u8>), ("zst", zstd_bytes), ("xz", xz)] {
        // Two members in a row are one text, as `cat a.gz b.gz` makes them.
        for archive in
            [compress(text.as_bytes()), [compress(halves.0.as_bytes()), compress(halves.1.as_bytes())].concat()]
        {
            let path = folder.path().join(format!("text.txt.{name}"));
            std::fs::write(&path, &archive).expect("written");
            assert_eq!(read(&path).expect("read"), expected, "{name}");
            // The content tells, not the name.
            let renamed = folder.path().join("renamed.txt");
            std::fs::write(&renamed, &archive).expect("written");
            assert_eq!(read(&renamed).expect("read"), expected, "{name}");
        }
        let archive = compress(text.as_bytes());
        for length in [archive.len() - 1, archive.len() - 9, archive.len() / 2, 20] {
            let path = folder.path().join(format!("cut.txt.{name}"));
            std::fs::write(&path, &archive[..length]).expect("written");
            let message = read(&path).expect_err("truncated").to_string();
            assert!(
                message.contains("cut.txt") && message.contains("truncated or corrupt"),
                "{name} {length}: {message}"
            );
        }
        let mut changed = archive.clone();
        changed[archive.len() / 2] ^= 0x10;
        let path = folder.path().join(format!("changed.txt.{name}"));
        std::fs::write(&path, &changed).expect("written");
        if name != "zst" {
            // zstd's frames here carry no checksum, so that a change may stay a valid archive of other text.
            assert!(matches!(read(&path), Err(DataError::Archive { .. } | DataError::Utf8 { .. })), "{name}");
        }
    }
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
    assert!(message("{\"text\": \"a\"}\n{\"text\": \"b\"\n").contains("a.jsonl: line 2: not a JSON record"));
    assert!(message("{\"text\": \"a\"} {}\n").contains("line 1: not a JSON record"));
    assert!(message("[1]").contains("line 1"));
    assert!(message("{\"text\": 5}").contains("expected a string"));
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
