//! Decides which text is held out, while it streams by.
//!
//! From 200 documents on, whole documents are held out: a fixed number in every window of documents, drawn from the seed and the window's
//! number, so that a document's side is known when it is read, and no side stays empty. Below that, contiguous
//! blocks of lines are held out, spread over the corpus: a few documents say too little on their own, and neighbouring lines of a held-out
//! one would otherwise be trained on. That needs the number of lines, so the first documents are set aside on disk.

use std::path::Path;

use crate::error::{DataError, Result};
use crate::manifest::HeldOutBy;
use crate::random::Draws;
use crate::shard::{Shard, ShardRecord, ShardWriter};

/// With fewer documents, lines are held out.
const MIN_DOCUMENTS: u64 = 200;
const MIN_WINDOW: u64 = 100;
/// Held-out blocks: long enough for whole examples, and not all in one place.
const LINES_PER_BLOCK: u64 = 32;
const MAX_BLOCKS: u64 = 16;
/// Keeps these draws apart from those of other purposes.
const PURPOSE: u64 = 0x0073_706c_6974; // "split"

/// Takes documents of encoded lines and writes them to the shards of both splits.
pub(crate) struct SplitWriter {
    folder: std::path::PathBuf,
    vocab_size: usize,
    fraction: f64,
    seed: u64,
    /// Documents per window, and held out of each.
    window: u64,
    held_out_per_window: u64,
    /// The first documents, until there are enough to hold out whole ones.
    undecided: Option<ShardWriter>,
    train: ShardWriter,
    validation: ShardWriter,
    /// Finished documents with at least one line.
    documents: u64,
    lines: u64,
    document_has_lines: bool,
    window_choice: (u64, Vec<u64>),
}

/// What both sides hold in the end.
pub(crate) struct Written {
    pub held_out_by: HeldOutBy,
    pub train: Vec<ShardRecord>,
    pub validation: Vec<ShardRecord>,
}

impl SplitWriter {
    pub(crate) fn new(folder: &Path, vocab_size: usize, fraction: f64, seed: u64, shard_tokens: usize) -> Self {
        let writer = |split| ShardWriter::new(folder, split, vocab_size, shard_tokens);
        let window = MIN_WINDOW.max((1.0 / fraction).ceil() as u64);
        Self {
            folder: folder.to_owned(),
            vocab_size,
            fraction,
            seed,
            window,
            held_out_per_window: share(window, fraction),
            undecided: Some(writer("undecided")),
            train: writer("train"),
            validation: writer("validation"),
            documents: 0,
            lines: 0,
            document_has_lines: false,
            window_choice: (u64::MAX, Vec::new()),
        }
    }

    pub(crate) fn documents(&self) -> u64 {
        self.documents + u64::from(self.document_has_lines)
    }

    pub(crate) fn lines(&self) -> u64 {
        self.lines
    }

    /// Adds a line, not empty, to the current document.
    pub(crate) fn line(&mut self, tokens: &[u32]) -> Result<()> {
        self.document_has_lines = true;
        self.lines += 1;
        match &mut self.undecided {
            Some(undecided) => undecided.line(tokens),
            None => self.side_of(self.documents).line(tokens),
        }
    }

    /// Ends the current document, if it has lines.
    pub(crate) fn end_document(&mut self) -> Result<()> {
        if !std::mem::take(&mut self.document_has_lines) {
            return Ok(());
        }
        match &mut self.undecided {
            Some(undecided) => undecided.end_document(),
            None => self.side_of(self.documents).end_document(),
        }
        self.documents += 1;
        if self.documents >= MIN_DOCUMENTS.max(self.window) && self.undecided.is_some() {
            self.replay_documents()?;
        }
        Ok(())
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// A corpus of fewer than two lines; what the disk says.
    pub(crate) fn finish(mut self) -> Result<Written> {
        self.end_document()?;
        let mut held_out_by = HeldOutBy::Documents;
        if self.undecided.is_some() {
            if self.documents >= MIN_DOCUMENTS {
                self.window = self.documents;
                self.held_out_per_window = share(self.documents, self.fraction);
                self.replay_documents()?;
            } else {
                held_out_by = HeldOutBy::Lines;
                self.replay_lines()?;
            }
        }
        Ok(Written { held_out_by, train: self.train.finish()?, validation: self.validation.finish()? })
    }

    fn side_of(&mut self, document: u64) -> &mut ShardWriter {
        let window = document / self.window;
        if self.window_choice.0 != window {
            let mut draws = Draws::new(&[PURPOSE, self.seed, window]);
            let mut chosen = Vec::new();
            while (chosen.len() as u64) < self.held_out_per_window {
                let candidate = draws.below(self.window);
                if !chosen.contains(&candidate) {
                    chosen.push(candidate);
                }
            }
            self.window_choice = (window, chosen);
        }
        let held_out = self.window_choice.1.contains(&(document % self.window));
        if held_out { &mut self.validation } else { &mut self.train }
    }

    /// Passes the documents set aside on to their sides.
    fn replay_documents(&mut self) -> Result<()> {
        // A document that was cut at a full shard counts as several here, and so may have parts on both sides.
        let mut document = 0;
        self.replay(|this, tokens, ends_document| {
            this.side_of(document).line(tokens)?;
            if ends_document {
                this.side_of(document).end_document();
                document += 1;
            }
            Ok(())
        })?;
        self.documents = document;
        Ok(())
    }

    fn replay_lines(&mut self) -> Result<()> {
        if self.lines < 2 {
            let found = if self.lines == 0 { "no line of text" } else { "only one line of text" };
            return Err(DataError::TooSmall {
                what: "corpus".into(),
                reason: format!("the input holds {found}"),
                remedy: "at least two lines are needed, one to train on and one to hold out".into(),
            });
        }
        let blocks = held_out_blocks(self.lines, self.fraction, self.seed);
        let mut number = 0;
        let mut was_held_out = false;
        self.replay(|this, tokens, ends_document| {
            let held_out = blocks.iter().any(|block| block.contains(&number));
            // Text before and behind a block doesn't belong together.
            if held_out != was_held_out {
                this.train.end_document();
                this.validation.end_document();
            }
            let side = if held_out { &mut this.validation } else { &mut this.train };
            side.line(tokens)?;
            if ends_document {
                side.end_document();
            }
            was_held_out = held_out;
            number += 1;
            Ok(())
        })
    }

    /// Calls `line` with each line set aside, and whether it ends a document; then removes what was set aside.
    fn replay(&mut self, mut line: impl FnMut(&mut Self, &[u32], bool) -> Result<()>) -> Result<()> {
        let Some(undecided) = self.undecided.take() else { return Ok(()) };
        let mut tokens = Vec::new();
        for record in undecided.finish()? {
            let shard = Shard::open(&self.folder, &record, self.vocab_size)?;
            let mut result = Ok(());
            shard.for_each_document(0, &mut |document| {
                let last = document.line_offsets.len().saturating_sub(2);
                for (at, bounds) in document.line_offsets.windows(2).enumerate() {
                    if result.is_err() {
                        return;
                    }
                    tokens.clear();
                    let (start, length) = (bounds[0] as usize, (bounds[1] - bounds[0]) as usize);
                    shard.for_each_token(start, length, |id| tokens.push(id));
                    result = line(self, &tokens, at == last);
                }
            });
            result?;
            drop(shard);
            let path = self.folder.join(&record.file);
            std::fs::remove_file(&path).map_err(crate::error::io_error("remove", &path))?;
        }
        Ok(())
    }
}

/// The fraction of a number, at least 1.
fn share(total: u64, fraction: f64) -> u64 {
    ((total as f64 * fraction).round() as u64).max(1)
}

/// Blocks of line numbers, one in each of as many equal parts of the corpus.
fn held_out_blocks(lines: u64, fraction: f64, seed: u64) -> Vec<std::ops::Range<u64>> {
    let held_out = share(lines, fraction).min(lines - 1);
    let blocks = (held_out / LINES_PER_BLOCK).clamp(1, MAX_BLOCKS);
    let mut draws = Draws::new(&[PURPOSE, seed, u64::MAX]);
    (0..blocks)
        .map(|block| {
            let (part_start, part_end) = (block * lines / blocks, (block + 1) * lines / blocks);
            let length = ((block + 1) * held_out / blocks - block * held_out / blocks).min(part_end - part_start);
            let start = part_start + draws.below(part_end - part_start - length + 1);
            start..start + length
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_disjoint_and_leave_lines_on_both_sides() {
        for lines in (2..200).chain([1000, 12_345]) {
            for fraction in [1e-6, 0.02, 0.3, 0.5] {
                let blocks = held_out_blocks(lines, fraction, lines);
                let held_out: u64 = blocks.iter().map(|block| block.end - block.start).sum();
                assert_eq!(held_out, share(lines, fraction).min(lines - 1), "{lines} lines, fraction {fraction}");
                assert!(held_out >= 1 && held_out < lines);
                assert!(blocks.windows(2).all(|pair| pair[0].end <= pair[1].start));
                assert!(blocks.last().is_some_and(|block| block.end <= lines));
            }
        }
    }
}
