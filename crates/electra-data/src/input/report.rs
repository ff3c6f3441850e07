//! What there is to tell of an input beside its text: what was taken, what was left out and why, which records were bad.
//!
//! The library only gathers it; the command line prints it and the manifest keeps it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::{InputOptions, OnError};
use crate::error::{DataError, Result};

/// Places remembered of each kind of bad record.
const FIRST_PLACES: usize = 5;

/// A file, or a member of an archive, that is not read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftOut {
    /// Where it lies, as messages show it.
    pub path: String,
    /// Such as "hidden" or "a PDF document"; the same for all of a kind.
    pub reason: String,
}

/// Bad records of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skipped {
    /// What is wrong with them and what was done, such as "no such key: left out".
    pub kind: String,
    /// How many there are.
    pub count: u64,
    /// The first few of them.
    pub first_places: Vec<String>,
}

/// What was taken of an input, and what was not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InputReport {
    /// Files that are read.
    pub files: u64,
    /// Those of them that a folder or a glob gave, rather than a name.
    pub walked: u64,
    /// Their bytes, without standard input and pipes.
    pub bytes: u64,
    /// What is not read.
    pub left_out: Vec<LeftOut>,
    /// Bad records of what is read.
    pub skipped: Vec<Skipped>,
    /// Decisions that the user may want to hear of, one sentence each.
    pub notices: Vec<String>,
}

impl InputReport {
    /// `took 12 files (3.4 MB), left out 3: 2 hidden, 1 a PDF document`
    pub fn summary(&self) -> String {
        let plural = if self.files == 1 { "" } else { "s" };
        let mut text = format!("took {} file{plural} ({})", self.files, readable(self.bytes));
        if !self.left_out.is_empty() {
            write!(text, ", {}", left_out_summary(&self.left_out)).expect("a string takes all");
        }
        text
    }
}

/// `left out 3: 2 hidden, 1 a PDF document`
pub(super) fn left_out_summary(left_out: &[LeftOut]) -> String {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for left_out in left_out {
        *counts.entry(&left_out.reason).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|&(reason, count)| (std::cmp::Reverse(count), reason));
    let reasons: Vec<String> = counts.iter().map(|(reason, count)| format!("{count} ({reason})")).collect();
    format!("left out {}: {}", left_out.len(), reasons.join(", "))
}

fn readable(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// What is wrong with a record, as a kind to be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bad {
    /// Bytes that are not in the text's encoding.
    Bytes,
    /// Neither JSON nor what Python writes for it, or a table's row without the text's column.
    Record,
    MissingKey,
    NotText,
    /// A null in the text's place: always passed over, since it is how an absent text is written.
    Null,
}

impl Bad {
    fn kind(self, on_error: OnError) -> &'static str {
        match self {
            Self::Bytes if on_error == OnError::Replace => "not valid in its encoding, replaced by U+FFFD",
            Self::Bytes => "not valid in its encoding, left out",
            Self::Record => "a malformed record, left out",
            Self::MissingKey => "a record without the text's key, left out",
            Self::NotText => "a record whose text is no string, left out",
            Self::Null => "a record whose text is null, left out",
        }
    }
}

/// What reading needs everywhere: what was asked for, and where to tell what happened.
pub(super) struct Reading<'o> {
    pub options: &'o InputOptions,
    bytes_read: Arc<AtomicU64>,
    report: RefCell<InputReport>,
    /// The cause of an [`io::Error`] that a layer returned: decoders above it pass on no more than its text.
    failure: RefCell<Option<DataError>>,
}

impl<'o> Reading<'o> {
    pub(super) fn new(options: &'o InputOptions, bytes_read: Arc<AtomicU64>) -> Self {
        Self { options, bytes_read, report: RefCell::default(), failure: RefCell::default() }
    }

    /// Counts bytes as read, for progress: of formats that jump about in their file.
    pub(super) fn progress(&self, bytes: u64) {
        self.bytes_read.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn into_report(self) -> InputReport {
        self.report.into_inner()
    }

    pub(super) fn leave_out(&self, path: String, reason: impl Into<String>) {
        self.report.borrow_mut().left_out.push(LeftOut { path, reason: reason.into() });
    }

    /// What was left out of the archive whose members' paths start so.
    pub(super) fn left_out_below(&self, path: &str) -> Vec<LeftOut> {
        let report = self.report.borrow();
        report.left_out.iter().filter(|left_out| left_out.path.starts_with(path)).cloned().collect()
    }

    pub(super) fn notice(&self, notice: String) {
        self.report.borrow_mut().notices.push(notice);
    }

    /// Counts a bad record at `place`.
    pub(super) fn count(&self, bad: Bad, place: impl FnOnce() -> String) {
        let kind = bad.kind(self.options.on_error);
        let skipped = &mut self.report.borrow_mut().skipped;
        let at = skipped.iter().position(|known| known.kind == kind).unwrap_or_else(|| {
            skipped.push(Skipped { kind: kind.into(), count: 0, first_places: Vec::new() });
            skipped.len() - 1
        });
        skipped[at].count += 1;
        if skipped[at].first_places.len() < FIRST_PLACES {
            skipped[at].first_places.push(place());
        }
    }

    /// Counts a bad record, or returns its error where bad records end the reading.
    pub(super) fn skip_or_stop(
        &self,
        bad: Bad,
        place: impl FnOnce() -> String,
        error: impl FnOnce() -> DataError,
    ) -> Result<()> {
        if self.options.on_error == OnError::Stop {
            return Err(error());
        }
        self.count(bad, place);
        Ok(())
    }

    /// Remembers why reading fails and returns an error that brings the caller here again, to [`Self::error`].
    pub(super) fn fail(&self, cause: DataError) -> io::Error {
        let text = cause.to_string();
        self.failure.borrow_mut().get_or_insert(cause);
        io::Error::other(text)
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failure.borrow().is_some()
    }

    /// What a failed read of `path` means.
    pub(super) fn error(&self, path: &str, source: io::Error) -> DataError {
        let cause = self.failure.borrow_mut().take();
        cause.unwrap_or_else(|| DataError::Io { path: path.into(), action: "read", source })
    }
}
