//! UTF-16 and UTF-32, told by their byte order mark or by where their zero bytes stand, and decoded as they stream by.

use std::io::{self, Read};

use super::stream::Stream;

/// How characters are written as bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Utf8,
    Utf16 { big_endian: bool },
    Utf32 { big_endian: bool },
}

impl Encoding {
    #[cfg(feature = "native")]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::Utf16 { .. } => "UTF-16",
            Self::Utf32 { .. } => "UTF-32",
        }
    }

    fn unit_bytes(self) -> usize {
        match self {
            Self::Utf8 => 1,
            Self::Utf16 { .. } => 2,
            Self::Utf32 { .. } => 4,
        }
    }

    fn units(self, bytes: &[u8]) -> impl Iterator<Item = u32> {
        bytes.chunks_exact(self.unit_bytes()).map(move |unit| match (self, unit) {
            (Self::Utf16 { big_endian: true }, &[a, b]) => u32::from(u16::from_be_bytes([a, b])),
            (Self::Utf16 { .. }, &[a, b]) => u32::from(u16::from_le_bytes([a, b])),
            (Self::Utf32 { big_endian: true }, &[a, b, c, d]) => u32::from_be_bytes([a, b, c, d]),
            (Self::Utf32 { .. }, &[a, b, c, d]) => u32::from_le_bytes([a, b, c, d]),
            _ => u32::from(unit[0]),
        })
    }
}

const UTF16: [Encoding; 2] = [Encoding::Utf16 { big_endian: false }, Encoding::Utf16 { big_endian: true }];
const UTF32: [Encoding; 2] = [Encoding::Utf32 { big_endian: false }, Encoding::Utf32 { big_endian: true }];

/// The encoding of the text that starts with `head`, and the bytes of its byte order mark. Without a mark, and where no
/// wider encoding explains the zero bytes, it is UTF-8 as far as can be told.
pub(crate) fn encoding_of(head: &[u8]) -> (Encoding, usize) {
    if head.starts_with(b"\xef\xbb\xbf") {
        return (Encoding::Utf8, 3);
    }
    // FF FE 00 00 is UTF-32, or UTF-16 of a text that starts with NUL, which no text does.
    for (mark, encoding) in [
        (b"\xff\xfe\0\0".as_slice(), UTF32[0]),
        (b"\0\0\xfe\xff", UTF32[1]),
        (b"\xff\xfe", UTF16[0]),
        (b"\xfe\xff", UTF16[1]),
    ] {
        if head.starts_with(mark) {
            return (encoding, mark.len());
        }
    }
    // A stray NUL in UTF-8 is none of this: in UTF-16 every second byte of ASCII is one.
    let zeros = head.iter().filter(|&&byte| byte == 0).count();
    if zeros > 0 && (!is_utf8_start(head) || zeros * 10 >= head.len() * 3) {
        for pair in [UTF32, UTF16] {
            // Noise has one usual character in hundreds, and text of any script one in tens.
            let likely = |encoding: &Encoding| {
                likeness(head, *encoding).filter(|usual| usual * 33 >= head.len() / encoding.unit_bytes())
            };
            let scored = pair.map(|encoding| (likely(&encoding).unwrap_or(0), encoding));
            if let Some(&(_, encoding)) = scored.iter().filter(|(score, _)| *score > 0).max_by_key(|(score, _)| *score)
            {
                return (encoding, 0);
            }
        }
    }
    (Encoding::Utf8, 0)
}

/// Whether bytes are UTF-8, a character cut off at their end aside.
pub(crate) fn is_utf8_start(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).map_or_else(|error| error.error_len().is_none(), |_| true)
}

/// How many characters of `bytes`, read as `encoding`, are such as every text has (ASCII, and the punctuation of East Asian
/// ones); `None` if any is one that no text has. Reading in the wrong byte order turns spaces and line ends into others.
fn likeness(bytes: &[u8], encoding: Encoding) -> Option<usize> {
    let mut usual = 0;
    let units = encoding.units(bytes);
    let is_utf16 = encoding.unit_bytes() == 2;
    for unit in units {
        match unit {
            0x09..=0x0d | 0x1b | 0x20..=0x7e | 0x3000..=0x3002 | 0xff0c => usual += 1,
            0..0x20 | 0xfffe | 0xffff => return None,
            // Halves of pairs are looked at when they are decoded.
            0xd800..=0xdfff if is_utf16 => {}
            _ if char::from_u32(unit).is_none() => return None,
            _ => {}
        }
    }
    Some(usual)
}

/// Decodes a stream that stands behind the byte order mark. What is not valid becomes the byte FF, which no UTF-8 text
/// has: whoever takes the text finds it, line and all, as any other bad byte.
pub(crate) fn decode(stream: Stream<'_>, encoding: Encoding) -> Stream<'_> {
    match encoding {
        Encoding::Utf8 => stream,
        _ => Stream::new(Decoder { stream, encoding, decoded: Vec::new(), taken: 0 }),
    }
}

const CHUNK_BYTES: usize = 1 << 14;
const INVALID: u8 = 0xff;

struct Decoder<'a> {
    stream: Stream<'a>,
    encoding: Encoding,
    decoded: Vec<u8>,
    taken: usize,
}

impl Decoder<'_> {
    /// Decodes some more bytes; nothing at the end.
    fn decode_chunk(&mut self) -> io::Result<()> {
        self.decoded.clear();
        self.taken = 0;
        let unit_bytes = self.encoding.unit_bytes();
        let chunk = self.stream.peek(CHUNK_BYTES)?;
        let at_end = chunk.len() < CHUNK_BYTES;
        let mut units: Vec<u32> = self.encoding.units(chunk).collect();
        // A pair's first half at the chunk's end waits for the second.
        if !at_end && unit_bytes == 2 && units.last().is_some_and(|unit| (0xd800..0xdc00).contains(unit)) {
            units.pop();
        }
        let rest = at_end && chunk.len() % unit_bytes != 0;
        let consumed = if at_end { chunk.len() } else { units.len() * unit_bytes };
        let mut push = |character: Option<char>| match character {
            Some(character) => self.decoded.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            None => self.decoded.push(INVALID),
        };
        if unit_bytes == 2 {
            char::decode_utf16(units.into_iter().map(|unit| unit as u16)).for_each(|unit| push(unit.ok()));
        } else {
            units.into_iter().for_each(|unit| push(char::from_u32(unit)));
        }
        if rest {
            push(None);
        }
        io::BufRead::consume(&mut self.stream, consumed);
        Ok(())
    }
}

impl Read for Decoder<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.decoded.len() {
            self.decode_chunk()?;
        }
        let bytes = (self.decoded.len() - self.taken).min(out.len());
        out[..bytes].copy_from_slice(&self.decoded[self.taken..self.taken + bytes]);
        self.taken += bytes;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXTS: [&str; 4] =
        ["Plain words.\r\nAnd a line", "naïve café\n", "今日は、いい天気です。\n明日も。", "😀 and 😀 again\n"];

    fn encoded(text: &str, encoding: Encoding) -> Vec<u8> {
        match encoding {
            Encoding::Utf8 => text.as_bytes().to_vec(),
            Encoding::Utf16 { big_endian: false } => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            Encoding::Utf16 { .. } => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
            Encoding::Utf32 { big_endian: false } => text.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect(),
            Encoding::Utf32 { .. } => text.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect(),
        }
    }

    fn decoded(bytes: &[u8]) -> (Encoding, Vec<u8>) {
        let (encoding, mark) = encoding_of(&bytes[..bytes.len().min(1 << 12)]);
        let mut text = Vec::new();
        decode(Stream::new(&bytes[mark..]), encoding).read_to_end(&mut text).expect("decoded");
        (encoding, text)
    }

    #[test]
    fn wide_encodings_are_told_and_decoded_with_and_without_a_mark() {
        for encoding in [Encoding::Utf8].into_iter().chain(UTF16).chain(UTF32) {
            for text in TEXTS.map(|text| text.repeat(9_000)) {
                for mark in ["", "\u{feff}"] {
                    let bytes = encoded(&format!("{mark}{text}"), encoding);
                    assert!(decoded(&bytes) == (encoding, text.clone().into_bytes()), "{encoding:?} {mark:?}");
                }
            }
        }
    }

    #[test]
    fn half_a_pair_and_half_a_unit_become_a_bad_byte() {
        let mut bytes = encoded("\u{feff}one ", UTF16[0]);
        bytes.extend([0x3d, 0xd8, b'x', 0, b'y']);
        assert_eq!(decoded(&bytes).1, b"one \xffx\xff");
        let utf32 = [encoded("\u{feff}one", UTF32[1]), vec![0, 0, 0xd8, 0]].concat();
        assert_eq!(decoded(&utf32).1, b"one\xff", "a surrogate is no UTF-32");
    }

    #[test]
    fn binary_data_is_no_wide_text() {
        let counters: Vec<u8> = (0u32..500).flat_map(u32::to_le_bytes).collect();
        assert_eq!(encoding_of(&counters).0, Encoding::Utf8);
        assert_eq!(encoding_of(b"one\0two\0three\0").0, Encoding::Utf8);
        for seed in 0..200 {
            let mut draws = crate::random::Draws::new(&[seed]);
            let noise: Vec<u8> = (0..400).map(|_| draws.below(256) as u8).collect();
            assert_eq!(encoding_of(&noise).0, Encoding::Utf8, "{seed}");
        }
    }
}
