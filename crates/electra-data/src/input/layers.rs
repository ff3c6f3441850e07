//! Undoes compression: gzip, zstd, xz, bzip2, lzma and lzip, told by their first bytes.
//!
//! Several archives in a row are one text, as `cat a.gz b.gz` makes them. Zeros behind the last are padding, as tapes leave
//! it; a few other bytes there are left out with a notice, as gzip does.

use std::io::{self, BufRead, Read};

use super::report::Reading;
use crate::error::DataError;
use crate::record::Stream;

/// Bytes that tell a compression, and a zstd frame's window.
const HEADER_BYTES: usize = 18;
/// More than this behind an archive's end is no leftover but something damaged.
const MAX_TRAILING_BYTES: u64 = 1 << 16;
/// What lzma archives may ask for; `xz -9` asks for 64 MiB.
const MAX_LZMA_KIB: u32 = 4 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    Gzip,
    Zstd,
    Xz,
    Bzip2,
    /// The format before xz, of the tool `lzma`.
    Lzma,
    Lzip,
}

impl Compression {
    pub(super) fn of(head: &[u8]) -> Option<Self> {
        Some(match head {
            [0x1f, 0x8b, 8, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            // A frame to be skipped: pzstd writes one before each of its frames.
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, ..] => Self::Bzip2,
            // Without any text a stream's end follows at once.
            [b'B', b'Z', b'h', b'1'..=b'9', 0x17, 0x72, 0x45, 0x38, 0x50, 0x90, ..] => Self::Bzip2,
            [b'L', b'Z', b'I', b'P', 0 | 1, ..] => Self::Lzip,
            _ if is_lzma(head) => Self::Lzma,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Xz => "xz",
            Self::Bzip2 => "bzip2",
            Self::Lzma => "lzma",
            Self::Lzip => "lzip",
        }
    }
}

/// lzma has no magic word: its usual properties, a dictionary of a power of two (or half as much again), and a length that
/// is unknown or below 256 GiB, as xz itself checks it.
fn is_lzma(head: &[u8]) -> bool {
    let [0x5d, a, b, c, d, length @ ..] = head else { return false };
    let dictionary = u32::from_le_bytes([*a, *b, *c, *d]);
    let is_usual = dictionary.is_power_of_two() || (dictionary % 3 == 0 && (dictionary / 3).is_power_of_two());
    let length = length.first_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes));
    dictionary >= 1 << 12 && is_usual && length.is_some_and(|length| length == u64::MAX || length < 1 << 38)
}

/// Undoes one layer of compression.
pub(super) fn decompress<'s>(
    stream: Stream<'s>,
    compression: Compression,
    name: &str,
    reading: &'s Reading<'_>,
) -> Stream<'s> {
    Stream::new(Members {
        compression,
        name: name.to_owned(),
        reading,
        rest: Rest::Between(stream),
        text_bytes: 0,
        members: 0,
    })
}

/// Archives in a row.
struct Members<'s, 'o> {
    compression: Compression,
    name: String,
    reading: &'s Reading<'o>,
    rest: Rest<'s>,
    text_bytes: u64,
    members: u64,
}

enum Rest<'s> {
    Between(Stream<'s>),
    Within(Box<dyn Member<'s> + 's>),
    Ended,
}

/// A decoder of one archive that gives back what follows it.
trait Member<'s>: Read {
    fn into_stream(self: Box<Self>) -> Stream<'s>;
}

impl<'s> Member<'s> for flate2::bufread::GzDecoder<Stream<'s>> {
    fn into_stream(self: Box<Self>) -> Stream<'s> {
        self.into_inner()
    }
}

impl<'s> Member<'s> for zstd::Decoder<'static, Stream<'s>> {
    fn into_stream(self: Box<Self>) -> Stream<'s> {
        self.finish()
    }
}

impl<'s> Member<'s> for lzma_rust2::XzReader<Stream<'s>> {
    fn into_stream(self: Box<Self>) -> Stream<'s> {
        self.into_inner()
    }
}

impl<'s> Member<'s> for bzip2::bufread::BzDecoder<Stream<'s>> {
    fn into_stream(self: Box<Self>) -> Stream<'s> {
        self.into_inner()
    }
}

impl<'s> Member<'s> for lzma_rust2::LzmaReader<Stream<'s>> {
    fn into_stream(self: Box<Self>) -> Stream<'s> {
        self.into_inner()
    }
}

impl<'s> Member<'s> for lzma_rust2::LzipReader<Stream<'s>> {
    fn into_stream(self: Box<Self>) -> Stream<'s> {
        self.into_inner()
    }
}

impl<'s> Members<'s, '_> {
    /// Opens the member that comes next, if one does.
    fn open_next(&mut self, mut stream: Stream<'s>) -> io::Result<Rest<'s>> {
        let mut others = 0;
        loop {
            let head = stream.peek(HEADER_BYTES)?;
            if head.is_empty() {
                break;
            }
            let starts_member = others == 0 && Compression::of(head) == Some(self.compression);
            if starts_member && (self.members == 0 || self.compression != Compression::Lzma) {
                self.members += 1;
                return self.open(stream).map(Rest::Within);
            }
            let bytes = if others > 0 { head.len() } else { head.iter().take_while(|&&byte| byte == 0).count() };
            let bytes = if bytes == 0 { head.len() } else { bytes };
            if head[0] != 0 || others > 0 {
                others += bytes as u64;
            }
            stream.consume(bytes);
            if others > MAX_TRAILING_BYTES {
                return Err(self.damaged("what follows an archive's end is not another one"));
            }
        }
        if others > 0 {
            self.reading.notice(format!(
                "{}: {others} bytes behind the end of the {} archive are left out",
                self.name,
                self.compression.name()
            ));
        }
        Ok(Rest::Ended)
    }

    fn open(&self, mut stream: Stream<'s>) -> io::Result<Box<dyn Member<'s> + 's>> {
        Ok(match self.compression {
            Compression::Gzip => Box::new(flate2::bufread::GzDecoder::new(stream)),
            Compression::Zstd => {
                let window = zstd_window(stream.peek(HEADER_BYTES)?);
                let allowed = 1u64 << self.reading.options.max_window_log;
                if let Some(window) = window.filter(|&window| window > allowed) {
                    return Err(self.window_too_large(window));
                }
                let mut decoder = zstd::Decoder::with_buffer(stream)?.single_frame();
                decoder.window_log_max(self.reading.options.max_window_log)?;
                Box::new(decoder)
            }
            Compression::Xz => Box::new(lzma_rust2::XzReader::new(stream, false)),
            Compression::Bzip2 => Box::new(bzip2::bufread::BzDecoder::new(stream)),
            Compression::Lzma => Box::new(lzma_rust2::LzmaReader::new_mem_limit(stream, MAX_LZMA_KIB, None)?),
            Compression::Lzip => Box::new(lzma_rust2::LzipReader::new(stream)),
        })
    }

    fn damaged(&self, reason: &str) -> io::Error {
        self.reading.fail(DataError::Archive {
            path: self.name.clone(),
            format: self.compression.name(),
            bytes: self.text_bytes,
            reason: reason.into(),
        })
    }

    fn window_too_large(&self, window: u64) -> io::Error {
        let mib = window.div_ceil(1 << 20);
        let needed =
            if window > 1 << 31 { "31 is the most that can be had".into() } else { format!("--max-window {mib}MiB") };
        self.reading.fail(DataError::Input {
            path: self.name.clone(),
            place: "zstd archive".into(),
            reason: format!(
                "made with a window of {mib} MiB, which reading must hold in memory, and {} MiB are allowed",
                (1u64 << self.reading.options.max_window_log) >> 20
            ),
            remedy: format!("allow it with {needed}"),
        })
    }

    /// What a decoder's error means: that the archive is damaged, unless its cause is known already or is the system's.
    fn explain(&self, error: io::Error) -> io::Error {
        if self.reading.has_failed() || error.raw_os_error().is_some() {
            return error;
        }
        let reason = error.to_string();
        if self.compression == Compression::Zstd && reason.contains("Dictionary mismatch") {
            return self.reading.fail(DataError::Input {
                path: self.name.clone(),
                place: "zstd archive".into(),
                reason: "made with a dictionary, without which it cannot be read".into(),
                remedy: "unpack it with zstd -d -D DICTIONARY first".into(),
            });
        }
        self.damaged(&reason)
    }
}

impl Read for Members<'_, '_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        loop {
            self.rest = match std::mem::replace(&mut self.rest, Rest::Ended) {
                Rest::Between(stream) => self.open_next(stream).map_err(|error| self.explain(error))?,
                Rest::Within(mut member) => match member.read(out) {
                    Ok(0) => Rest::Between(member.into_stream()),
                    Ok(bytes) => {
                        self.text_bytes += bytes as u64;
                        self.rest = Rest::Within(member);
                        return Ok(bytes);
                    }
                    Err(error) => return Err(self.explain(error)),
                },
                Rest::Ended => return Ok(0),
            };
        }
    }
}

/// The bytes of history that the zstd frame asks for which starts with `head` (RFC 8878, section 3.1.1.1).
fn zstd_window(head: &[u8]) -> Option<u64> {
    let [0x28, 0xb5, 0x2f, 0xfd, descriptor, rest @ ..] = head else { return None };
    let is_single_segment = descriptor & 0b10_0000 != 0;
    if !is_single_segment {
        let window = u64::from(*rest.first()?);
        let base = 1u64 << (10 + (window >> 3));
        return Some(base + base / 8 * (window & 7));
    }
    // One segment: the window is the content, whose length follows the dictionary's number.
    let dictionary_bytes = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let length_bytes = [1, 2, 4, 8][usize::from(descriptor >> 6)];
    let length = rest.get(dictionary_bytes..dictionary_bytes + length_bytes)?;
    let value = length.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte));
    Some(value + if length_bytes == 2 { 256 } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_says_how_large_its_window_is() {
        let frame = |level, log: Option<u32>, pledged: Option<u64>| {
            let mut encoder = zstd::Encoder::new(Vec::new(), level).expect("an encoder");
            if let Some(log) = log {
                encoder.long_distance_matching(true).expect("set");
                encoder.window_log(log).expect("set");
            }
            encoder.set_pledged_src_size(pledged).expect("set");
            std::io::Write::write_all(&mut encoder, &[b'x'; 1000]).expect("written");
            encoder.finish().expect("finished")
        };
        assert_eq!(zstd_window(&frame(1, Some(24), None)), Some(1 << 24));
        assert_eq!(zstd_window(&frame(1, Some(28), None)), Some(1 << 28));
        assert_eq!(zstd_window(&frame(1, None, Some(1000))), Some(1000));
        assert_eq!(zstd_window(b"\x28\xb5\x2f\xfd"), None);
    }

    #[test]
    fn compressions_are_told_by_their_first_bytes() {
        assert_eq!(Compression::of(b"\x5d\0\0\x80\0\xff\xff\xff\xff\xff\xff\xff\xff"), Some(Compression::Lzma));
        assert_eq!(Compression::of(b"\x52\x2a\x4d\x18\x04\0\0\0"), Some(Compression::Zstd));
        for text in [b"]0000000000000000".as_slice(), b"BZh9 is a header", b"LZIP files", b"\x1f\x8b"] {
            assert_eq!(Compression::of(text), None);
        }
    }
}
