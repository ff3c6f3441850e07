//! Compression and archives, whole, damaged, padded, and within each other.

use std::io::Write;

use electra_data::DataError;
use electra_data::input::InputOptions;

use super::{TEXT, expected, message_of, read, read_file, text_of};

pub(super) fn bzip2(text: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(text).expect("compressed");
    encoder.finish().expect("compressed")
}

fn lzma(text: &[u8]) -> Vec<u8> {
    let options = lzma_rust2::LzmaOptions::with_preset(1);
    let mut encoder = lzma_rust2::LzmaWriter::new_use_header(Vec::new(), &options, None).expect("options");
    encoder.write_all(text).expect("compressed");
    encoder.finish().expect("compressed")
}

fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, *content).expect("appended");
    }
    archive.into_inner().expect("finished")
}

/// A zip archive; every second member is deflated, the others stored.
pub(super) fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (number, (name, content)) in members.iter().enumerate() {
        let method = if number % 2 == 0 { 8u16 } else { 0 };
        let mut deflated = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
        deflated.write_all(content).expect("compressed");
        let packed = if method == 8 { deflated.finish().expect("compressed") } else { content.to_vec() };
        let mut crc = flate2::Crc::new();
        crc.update(content);
        let mut fields = [20u16, 0, method, 0, 0].map(u16::to_le_bytes).concat();
        fields.extend([crc.sum(), packed.len() as u32, content.len() as u32].map(u32::to_le_bytes).concat());
        fields.extend([name.len() as u16, 0].map(u16::to_le_bytes).concat());
        let header_at = archive.len() as u32;
        archive.extend([b"PK\x03\x04", fields.as_slice(), name.as_bytes(), &packed].concat());
        directory.extend(
            [b"PK\x01\x02\x14\0", fields.as_slice(), &[0; 10], &header_at.to_le_bytes(), name.as_bytes()].concat(),
        );
    }
    let count = (members.len() as u16).to_le_bytes();
    let place = [directory.len() as u32, archive.len() as u32].map(u32::to_le_bytes).concat();
    [archive, directory, [b"PK\x05\x06\0\0\0\0".as_slice(), &count, &count, &place, &[0, 0]].concat()].concat()
}

pub(super) fn gzip(text: &[u8]) -> Vec<u8> {
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
    for (name, compress) in
        [("gz", gzip as fn(&[u8]) -> Vec<u8>), ("zst", zstd_bytes), ("xz", xz), ("bz2", bzip2), ("lzma", lzma)]
    {
        // Two members in a row are one text, as `cat a.gz b.gz` makes them. lzma cannot say where it ends.
        let joined = if name == "lzma" {
            compress(text.as_bytes())
        } else {
            [compress(halves.0.as_bytes()), compress(halves.1.as_bytes())].concat()
        };
        for archive in [compress(text.as_bytes()), joined] {
            let path = folder.path().join(format!("text.txt.{name}"));
            std::fs::write(&path, &archive).expect("written");
            assert_eq!(read(&path).expect("read"), expected, "{name}");
            // The content tells, not the name.
            let renamed = folder.path().join("renamed.txt");
            std::fs::write(&renamed, &archive).expect("written");
            assert_eq!(read(&renamed).expect("read"), expected, "{name}");
        }
        let archive = compress(text.as_bytes());
        // lzma has all its text before its last bytes.
        let last = archive.len() - if name == "lzma" { 9 } else { 1 };
        for length in [last, archive.len() - 9, archive.len() / 2, 20] {
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
        if !["zst", "lzma"].contains(&name) {
            // zstd's frames here and lzma carry no checksum, so that a change may stay a valid archive of other text.
            assert!(
                matches!(
                    read(&path),
                    Err(DataError::Archive { .. } | DataError::Utf8 { .. } | DataError::Unreadable { .. })
                ),
                "{name}"
            );
        }
    }
}

#[test]
fn padding_and_leftovers_behind_an_archive_lose_nothing() {
    for (name, compress) in [("gz", gzip as fn(&[u8]) -> Vec<u8>), ("zst", zstd_bytes), ("xz", xz), ("bz2", bzip2)] {
        let name = format!("a.txt.{name}");
        let padded = [compress(TEXT), vec![0; 512]].concat();
        assert_eq!(text_of(&name, &padded), expected(), "{name}");
        let (read, report) = read_file(&name, &[padded, b"leftover".to_vec()].concat(), &InputOptions::default());
        assert_eq!(read.expect("read"), expected(), "{name}");
        assert!(report.notices[0].contains("8 bytes behind the end"), "{:?}", report.notices);
        let damaged = [compress(TEXT), vec![7; 1 << 17]].concat();
        assert!(message_of(&name, &damaged).contains("is not another one"), "{name}");
    }
}

#[test]
fn zstd_windows_and_frames_of_other_tools_are_read_or_named() {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).expect("an encoder");
    encoder.long_distance_matching(true).expect("set");
    encoder.window_log(28).expect("set");
    encoder.write_all(TEXT).expect("compressed");
    let long = encoder.finish().expect("compressed");
    let message = message_of("a.txt.zst", &long);
    assert!(message.contains("window of 256 MiB") && message.contains("--max-window 256MiB"), "{message}");
    assert!(!message.contains("corrupt"), "{message}");
    let allowed = InputOptions { max_window_log: 28, ..InputOptions::default() };
    assert_eq!(read_file("a.txt.zst", &long, &allowed).0.expect("read"), expected());
    // Frames to be skipped stand before pzstd's.
    let skipped = [b"\x50\x2a\x4d\x18\x04\0\0\0size".to_vec(), zstd_bytes(TEXT)].concat();
    assert_eq!(text_of("a.txt.zst", &skipped), expected());

    let dictionary: Vec<u8> = {
        let samples: Vec<Vec<u8>> =
            (0..2000u32).map(|n| format!("sample {n} of words and words {}", n * 7).into_bytes()).collect();
        zstd::dict::from_samples(&samples, 4096).expect("a dictionary")
    };
    let mut encoder = zstd::Encoder::with_dictionary(Vec::new(), 1, &dictionary).expect("an encoder");
    encoder.write_all(TEXT).expect("compressed");
    let message = message_of("a.txt.zst", &encoder.finish().expect("compressed"));
    assert!(message.contains("dictionary") && !message.contains("corrupt"), "{message}");
}

#[test]
fn members_of_archives_are_read_as_files_are() {
    let records = b"{\"text\": \"A record.\"}\n";
    let members: [(&str, &[u8]); 5] = [
        ("books/one.txt", TEXT),
        ("books/two.jsonl.gz", &gzip(records)),
        ("books/plain", b"No extension.\n"),
        ("books/README.md", b"About the books.\n"),
        ("books/cover.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"),
    ];
    let mut all = expected();
    all.push(vec!["A record."]);
    all.push(vec!["No extension."]);
    let plain = tar(&members);
    for (name, archive) in [
        ("a.tar", plain.clone()),
        ("a.tgz", gzip(&plain)),
        ("subset_00.xz", xz(&plain)),
        ("a.txt", zstd_bytes(&plain)),
        ("a.zip", zip(&members)),
        ("b.txt", zip(&members)),
        ("nested.tar", tar(&[("inner.tar.gz", &gzip(&plain))])),
    ] {
        let (read, report) = read_file(name, &archive, &InputOptions::default());
        assert_eq!(read.expect("read"), all, "{name}");
        let reasons: Vec<&str> = report.left_out.iter().map(|left_out| left_out.reason.as_str()).collect();
        assert_eq!(reasons, ["a README", "an image"], "{name}");
        assert!(report.left_out[0].path.ends_with(": books/README.md"), "{name}");
    }
    let cut = &plain[..700];
    assert!(message_of("a.tar", cut).contains("truncated"), "{}", message_of("a.tar", cut));
    let message = message_of("a.tar", &tar(&[("LICENSE", b"Do what you like.")]));
    assert!(message.contains("without text") && message.contains("a licence"), "{message}");
    let message = message_of("a.zip", &zip(&[("[Content_Types].xml", b"<x/>"), ("word/document.xml", b"<x/>")]));
    assert!(message.contains("a Word document"), "{message}");
    let whole = zip(&members);
    assert!(message_of("a.zip", &whole[..whole.len() / 2]).contains("a.zip"));
    assert!(message_of("a.zip", b"not found").contains("no archive"));
}
