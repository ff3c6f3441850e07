//! TensorBoard event files: records of a hand-encoded protobuf.
//!
//! Three message types with six fields in all do not justify a protobuf compiler. A record is its length, the
//! length's checksum, the message, the message's checksum (TFRecord); checksums are CRC-32C, masked.
//! TensorBoard reads every file of a folder in the order of their names, so that each process writes one of
//! its own; a session-start event tells it to drop what an earlier process wrote beyond the resumed step.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::{Error, Result};
use crate::file;
use crate::run::work::Row;

/// Writes one event file.
#[derive(Debug)]
pub(super) struct TensorBoard {
    path: PathBuf,
    file: File,
}

impl TensorBoard {
    /// Begins a new event file in `folder` for a run that goes on after `step` steps.
    ///
    /// # Errors
    /// The folder or the file cannot be created.
    pub(super) fn create(folder: &Path, step: u64) -> Result<Self> {
        file::create_folder(folder)?;
        let seconds = now().max(0.0) as u64;
        // The number keeps names apart, and in order, for processes started within one second.
        let taken = fs::read_dir(folder).map_err(|source| Error::io(folder, "list the folder", source))?.count();
        let path = folder.join(format!("events.out.tfevents.{seconds:010}.{taken:05}.electra.{}", std::process::id()));
        let file = File::create_new(&path).map_err(|source| Error::io(&path, "create the file", source))?;
        let mut board = Self { path, file };
        let mut version = event(0);
        field_bytes(&mut version, 3, b"brain.Event:2");
        board.write_record(&version)?;
        // SessionLog { status: START }
        let mut session = event(step);
        field_bytes(&mut session, 7, &[1 << 3, 1]);
        board.write_record(&session)?;
        Ok(board)
    }

    /// Adds one point to the curve `tag`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn scalar(&mut self, step: u64, tag: &str, value: f64) -> Result<()> {
        let mut point = Vec::new();
        field_bytes(&mut point, 1, tag.as_bytes());
        point.push(2 << 3 | 5);
        point.extend((value as f32).to_le_bytes());
        let mut summary = Vec::new();
        field_bytes(&mut summary, 1, &point);
        let mut event = event(step);
        field_bytes(&mut event, 5, &summary);
        self.write_record(&event)
    }

    /// Adds every number of `row`, under `split/name`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn row(&mut self, row: &impl Row) -> Result<()> {
        let serde_json::Value::Object(fields) = serde_json::to_value(row).expect("rows are plain data") else {
            unreachable!("a row is an object")
        };
        for (name, value) in fields.iter().filter(|(name, _)| *name != "step") {
            if let Some(value) = value.as_f64() {
                self.scalar(row.step(), &format!("{}/{name}", row.split()), value)?;
            }
        }
        Ok(())
    }

    fn write_record(&mut self, message: &[u8]) -> Result<()> {
        let length = (message.len() as u64).to_le_bytes();
        let mut record = Vec::with_capacity(message.len() + 16);
        record.extend(length);
        record.extend(masked_crc(&length).to_le_bytes());
        record.extend(message);
        record.extend(masked_crc(message).to_le_bytes());
        self.file.write_all(&record).map_err(|source| Error::io(&self.path, "append an event", source))
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |elapsed| elapsed.as_secs_f64())
}

/// `Event { wall_time, step }`, to be continued by the field that it carries.
fn event(step: u64) -> Vec<u8> {
    let mut bytes = vec![1 << 3 | 1];
    bytes.extend(now().to_le_bytes());
    bytes.push(2 << 3);
    varint(&mut bytes, step);
    bytes
}

fn field_bytes(into: &mut Vec<u8>, number: u8, content: &[u8]) {
    into.push(number << 3 | 2);
    varint(into, content.len() as u64);
    into.extend(content);
}

fn varint(into: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        into.push(value as u8 | 0x80);
        value >>= 7;
    }
    into.push(value as u8);
}

/// TFRecord's mask: a checksum of data that holds checksums is a weak one.
fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xA282_EAD8)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Splits a file into its messages, checking both checksums of each.
    fn messages(bytes: &[u8]) -> Vec<Vec<u8>> {
        let (mut rest, mut messages) = (bytes, Vec::new());
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            let crc = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap());
            assert_eq!(crc(8), masked_crc(&rest[..8]));
            assert_eq!(crc(12 + length), masked_crc(&rest[12..12 + length]));
            messages.push(rest[12..12 + length].to_vec());
            rest = &rest[16 + length..];
        }
        messages
    }

    #[test]
    fn records_are_framed_as_tensorboard_reads_them() {
        // Known value: CRC-32C of "123456789" is e3069283.
        assert_eq!(crc32c::crc32c(b"123456789"), 0xE306_9283);
        let folder = tempfile::tempdir().unwrap();
        let mut board = TensorBoard::create(folder.path(), 7).unwrap();
        board.scalar(300, "train/loss", 1.5).unwrap();
        let messages = messages(&fs::read(&board.path).unwrap());
        assert_eq!(messages.len(), 3);
        assert!(messages[0].ends_with(b"\x1a\x0dbrain.Event:2"));
        assert!(messages[1].ends_with(&[0x10, 7, 0x3a, 2, 8, 1]));
        let tail = b"\x10\xac\x02\x2a\x13\x0a\x11\x0a\x0atrain/loss\x15\x00\x00\xc0\x3f";
        assert!(messages[2].ends_with(tail), "{:x?}", messages[2]);
        assert_eq!(messages[2][0], 0x09);
    }

    #[test]
    fn a_resumed_run_gets_a_file_of_its_own_that_sorts_later() {
        let folder = tempfile::tempdir().unwrap();
        let first = TensorBoard::create(folder.path(), 0).unwrap();
        let second = TensorBoard::create(folder.path(), 5).unwrap();
        assert!(first.path < second.path);
    }
}
