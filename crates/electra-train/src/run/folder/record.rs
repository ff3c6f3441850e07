//! metrics.jsonl and timings.jsonl: one JSON object a line, appended as training goes.
//!
//! A resumed run continues from its checkpoint, so rows after that checkpoint will be written again: they are
//! cut off first. What remains and what follows is then, byte for byte, what an uninterrupted run writes.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::file;

/// A file of rows, open for appending.
#[derive(Debug)]
pub(super) struct Record {
    path: PathBuf,
    file: File,
    rows: u64,
}

impl Record {
    /// Opens `path` for a run that goes on after `step` steps (0: from the start); rows beyond are cut off.
    ///
    /// # Errors
    /// The file cannot be read or written, or a row up to `step` is damaged.
    pub(super) fn open(path: &Path, step: u64) -> Result<Self> {
        let rows = truncate_to_step(path, step)?;
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map_err(|source| Error::io(path, "open for appending", source))?;
        Ok(Self { path: path.to_owned(), file, rows })
    }

    /// Appends a row, in one write, so that a reader sees whole lines.
    ///
    /// # Errors
    /// The row cannot be written.
    pub(super) fn append(&mut self, row: &impl Serialize) -> Result<()> {
        let mut line = serde_json::to_string(row).expect("rows are plain data");
        line.push('\n');
        self.file.write_all(line.as_bytes()).map_err(|source| Error::io(&self.path, "append a row", source))?;
        self.rows += 1;
        Ok(())
    }

    /// Rows in the file.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Waits until the rows are on the disk. Call it before a checkpoint: its rows must not be lost.
    ///
    /// # Errors
    /// The disk refuses.
    pub(super) fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(|source| Error::io(&self.path, "sync", source))
    }
}

/// The rows of `path`, for somebody who reads along; a last line without its end is being written, and left out. None where there is
/// no such file.
///
/// # Errors
/// The file cannot be read, or a row is damaged.
pub(crate) fn rows<Row: DeserializeOwned>(path: &Path) -> Result<Vec<Row>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(Error::io(path, "read", source)),
    };
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let row = |(number, line): (usize, &[u8])| {
        serde_json::from_slice(line).map_err(|error| {
            Error::invalid(
                path,
                format!("line {} is not a row ({error})", number + 1),
                "remove the line, or copy the file again",
            )
        })
    };
    bytes[..whole].split_inclusive(|byte| *byte == b'\n').enumerate().map(row).collect()
}

/// Cuts `path` off after the last row whose step is at most `step`, atomically, and counts the rows that stay. A missing
/// file stays missing.
fn truncate_to_step(path: &Path, step: u64) -> Result<u64> {
    #[derive(Deserialize)]
    struct Row {
        step: u64,
    }
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(source) => return Err(Error::io(path, "read", source)),
    };
    let (mut kept, mut rows) = (0, 0);
    for (number, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        // A last line without its end was cut by the kill; its step is beyond every checkpoint.
        if !line.ends_with(b"\n") {
            break;
        }
        match serde_json::from_slice::<Row>(line) {
            Ok(row) if row.step > step => break,
            Ok(_) => {
                kept += line.len();
                rows += 1;
            }
            Err(error) => {
                let problem = format!("line {} is not a row ({error})", number + 1);
                return Err(Error::invalid(path, problem, "move the file away to resume without its rows"));
            }
        }
    }
    if kept < bytes.len() {
        file::write_atomically(path, &bytes[..kept])?;
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::sink::TimingsRow;

    fn row(step: u64) -> TimingsRow {
        TimingsRow { step, seconds: 0.1, steps_per_second: 1.0 / 3.0, tokens_per_second: 5.0 }
    }

    #[test]
    fn a_killed_and_resumed_record_is_the_uninterrupted_one() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &Path, from: u64, steps: std::ops::Range<u64>| {
            let mut record = Record::open(path, from).unwrap();
            steps.for_each(|step| record.append(&row(step)).unwrap());
            record.sync().unwrap();
        };
        let (whole, killed) = (folder.path().join("whole.jsonl"), folder.path().join("killed.jsonl"));
        write(&whole, 0, 1..14);
        let expected = fs::read(&whole).unwrap();
        // Killed at every byte after the checkpoint of step 10, resumed from there.
        let ten = fs::read_to_string(&whole).unwrap().lines().take(10).map(|line| line.len() + 1).sum();
        for len in ten..=expected.len() {
            fs::write(&killed, &expected[..len]).unwrap();
            write(&killed, 10, 11..14);
            assert_eq!(fs::read(&killed).unwrap(), expected, "killed at byte {len}");
        }
        write(&whole, 0, 1..14);
        assert_eq!(fs::read(&whole).unwrap(), expected, "a fresh start drops all rows");
    }

    #[test]
    fn a_damaged_row_before_the_checkpoint_is_an_error_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        fs::write(&path, "{\"step\":1}\n{\"st\n{\"step\":3}\n").unwrap();
        let message = Record::open(&path, 5).unwrap_err().to_string();
        assert!(message.contains("metrics.jsonl: line 2"), "{message}");
        assert!(Record::open(&path, 0).is_ok(), "nothing of it is needed");
    }
}
