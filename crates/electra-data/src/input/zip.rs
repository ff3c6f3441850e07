//! Zip archives: their members, found through the directory at the archive's end.
//!
//! As much of the format as reading text needs (PKWARE's APPNOTE.TXT 6.3, sections 4.3 to 4.5): long archives (zip64),
//! checksums and the compressions that are here anyway; encryption and rarer compressions are named. Crates that do this
//! change features of crates that much of the workspace depends on.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use flate2::Crc;

/// A directory must be held whole; this is some millions of members.
const MAX_DIRECTORY_BYTES: u64 = 1 << 30;
/// The directory's end, and a comment behind it.
const MAX_END_BYTES: u64 = 22 + 0xffff;

/// An archive whose directory has been read.
pub struct ZipArchive {
    file: File,
    members: Vec<ZipMember>,
}

/// What the directory says of a member.
pub struct ZipMember {
    /// Its path in the archive.
    pub name: String,
    /// As it lies in the archive.
    pub packed_bytes: u64,
    /// Unpacked.
    pub bytes: u64,
    crc: u32,
    method: u16,
    is_encrypted: bool,
    header_at: u64,
}

/// Why an archive or a member cannot be read.
#[derive(Debug)]
pub enum ZipFailure {
    /// The system refused.
    Io(io::Error),
    /// What is wrong with the archive.
    Damaged(String),
    /// With its article: "an encrypted member".
    Unsupported(String),
}

impl From<io::Error> for ZipFailure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Damaged("it ends early".into()),
            _ => Self::Io(error),
        }
    }
}

fn damaged<T>(reason: &str) -> Result<T, ZipFailure> {
    Err(ZipFailure::Damaged(reason.into()))
}

/// Numbers, least significant byte first, off the front of some bytes.
struct Fields<'b>(&'b [u8]);

impl<'b> Fields<'b> {
    fn bytes(&mut self, count: usize) -> Result<&'b [u8], ZipFailure> {
        let Some((bytes, rest)) = self.0.split_at_checked(count) else { return damaged("its directory ends early") };
        self.0 = rest;
        Ok(bytes)
    }

    fn number(&mut self, count: usize) -> Result<u64, ZipFailure> {
        Ok(self.bytes(count)?.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte)))
    }
}

impl ZipArchive {
    /// Reads the directory of the archive at `path`.
    ///
    /// # Errors
    /// The file cannot be read, or is no whole archive.
    pub fn open(path: &Path) -> Result<Self, ZipFailure> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        let (start, size, shift) = directory(&mut file, length)?;
        if size > MAX_DIRECTORY_BYTES {
            return damaged("its directory is larger than 1 GiB");
        }
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = vec![0; size as usize];
        file.read_exact(&mut bytes)?;
        let mut fields = Fields(&bytes);
        let mut members = Vec::new();
        while !fields.0.is_empty() {
            members.push(member(&mut fields, shift)?);
        }
        Ok(Self { file, members })
    }

    /// In the directory's order.
    pub fn members(&self) -> &[ZipMember] {
        &self.members
    }

    /// Those of the members.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|member| member.name.as_str())
    }

    /// A member's content. Its end says whether it is whole.
    ///
    /// # Errors
    /// It is not where the directory says, encrypted, or compressed in an unusual way.
    pub fn read(&self, member: &ZipMember) -> Result<impl Read + use<>, ZipFailure> {
        if member.is_encrypted {
            return Err(ZipFailure::Unsupported(format!("an encrypted member, {}", member.name)));
        }
        let mut file = self.file.try_clone()?;
        file.seek(SeekFrom::Start(member.header_at))?;
        let mut header = [0; 30];
        file.read_exact(&mut header)?;
        if !header.starts_with(b"PK\x03\x04") {
            return damaged("a member does not stand where the directory says");
        }
        let mut lengths = Fields(&header[26..]);
        let skipped = lengths.number(2)? + lengths.number(2)?;
        file.seek(SeekFrom::Current(skipped as i64))?;
        let packed = file.take(member.packed_bytes);
        let content: Box<dyn Read> = match member.method {
            0 => Box::new(packed),
            8 => Box::new(flate2::read::DeflateDecoder::new(packed)),
            12 => Box::new(bzip2::read::BzDecoder::new(packed)),
            93 => Box::new(zstd::Decoder::new(packed)?),
            other => {
                let method = match other {
                    9 => "deflate64",
                    14 => "lzma",
                    95 => "xz",
                    _ => "an unusual method",
                };
                return Err(ZipFailure::Unsupported(format!("a member compressed with {method}, {}", member.name)));
            }
        };
        Ok(Checked { content, crc: Crc::new(), expected: (member.bytes, member.crc), bytes: 0 })
    }
}

/// Where the directory starts, its size, and by how much everything lies behind where the archive says: by the length of
/// what was put in front of it, such as a program that unpacks it.
fn directory(file: &mut File, length: u64) -> Result<(u64, u64, u64), ZipFailure> {
    let tail_start = length.saturating_sub(MAX_END_BYTES);
    file.seek(SeekFrom::Start(tail_start))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let Some(at) = tail.windows(22).rposition(|window| window.starts_with(b"PK\x05\x06")) else {
        return damaged("the directory at its end is missing");
    };
    let mut fields = Fields(&tail[at + 10..]);
    fields.number(2)?;
    let (mut size, mut start) = (fields.number(4)?, fields.number(4)?);
    let mut end = tail_start + at as u64;
    // A long archive has its numbers in another record, which a locator just before this one points at.
    if let Some(locator) =
        at.checked_sub(20).map(|at| &tail[at..at + 20]).filter(|bytes| bytes.starts_with(b"PK\x06\x07"))
    {
        let record_at = Fields(&locator[8..]).number(8)?;
        file.seek(SeekFrom::Start(record_at))?;
        let mut record = [0; 56];
        file.read_exact(&mut record)?;
        if !record.starts_with(b"PK\x06\x06") {
            return damaged("the directory's end does not stand where it should");
        }
        let mut fields = Fields(&record[40..]);
        (size, start) = (fields.number(8)?, fields.number(8)?);
        end = record_at;
    }
    match end.checked_sub(size).and_then(|found| Some((found, found.checked_sub(start)?))) {
        Some((found, shift)) => Ok((found, size, shift)),
        None => damaged("its directory does not fit in"),
    }
}

/// One entry of the directory.
fn member(fields: &mut Fields<'_>, shift: u64) -> Result<ZipMember, ZipFailure> {
    if fields.bytes(4)? != b"PK\x01\x02" {
        return damaged("its directory is damaged");
    }
    fields.number(4)?;
    let flags = fields.number(2)?;
    let method = fields.number(2)? as u16;
    fields.number(4)?;
    let crc = fields.number(4)? as u32;
    let (mut packed_bytes, mut bytes) = (fields.number(4)?, fields.number(4)?);
    let (name, extra, comment) = (fields.number(2)?, fields.number(2)?, fields.number(2)?);
    fields.number(8)?;
    let mut header_at = fields.number(4)?;
    let name = String::from_utf8_lossy(fields.bytes(name as usize)?).into_owned();
    let mut extra = Fields(fields.bytes(extra as usize)?);
    fields.bytes(comment as usize)?;
    while extra.0.len() >= 4 {
        let (id, length) = (extra.number(2)?, extra.number(2)?);
        let mut long = Fields(extra.bytes((length as usize).min(extra.0.len()))?);
        // zip64: those numbers that did not fit above, in this order.
        if id == 1 {
            for number in [&mut bytes, &mut packed_bytes, &mut header_at] {
                if *number == 0xffff_ffff {
                    *number = long.number(8)?;
                }
            }
        }
    }
    Ok(ZipMember { name, packed_bytes, bytes, crc, method, is_encrypted: flags & 1 != 0, header_at: header_at + shift })
}

/// Holds a member against its length and checksum when it ends.
struct Checked {
    content: Box<dyn Read>,
    crc: Crc,
    expected: (u64, u32),
    bytes: u64,
}

impl Read for Checked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.content.read(buffer)?;
        self.crc.update(&buffer[..count]);
        self.bytes += count as u64;
        if count == 0 && !buffer.is_empty() && self.expected != (self.bytes, self.crc.sum()) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "its length or checksum does not fit"));
        }
        Ok(count)
    }
}
