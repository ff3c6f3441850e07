use super::*;
use crate::error::DataError;

#[derive(Default)]
struct Collected {
    documents: Vec<Vec<String>>,
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
    let source = TextSource::find(&[&path], InputOptions::default()).expect("found");
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

#[test]
fn documents_of_wikiextractor_stand_between_tags() {
    let text = b"<doc id=\"1\" url=\"x\" title=\"A\">\nA\n\nFirst.\nSecond.\n\n</doc>\n<doc id=\"2\">\nB\n</doc>\n";
    let (_folder, source) = file_source("wiki_00", text);
    assert_eq!(collect(&source).expect("read"), [vec!["A", "First.", "Second."], vec!["B"]]);
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
