//! Decides which text is held out, while it streams by. The share is one of tokens, whatever the lengths of documents.
//!
//! From 200 documents on, whole documents are held out: a fixed number in every window of documents, drawn from the seed and
//! the window's number, so that a document's side is known when it is read, and no side stays empty. Where documents differ
//! so much that this strays from the share by more than about a window's, documents are passed over or held out in addition,
//! and one larger than that is cut. Below 200 documents, contiguous blocks are held out, spread over the corpus and cut at line
//! ends, or within a line that is larger than a block: a few documents say too little on their own, and neighbouring lines
//! of a held-out one would otherwise be trained on. That needs the number of tokens, so the first documents are set aside on
//! disk.

use std::ops::Range;
use std::path::Path;

use crate::blocks::{Cuts, Dealer, MIN_PIECE_TOKENS, PURPOSE, Side, share};
use crate::error::Result;
use crate::manifest::HeldOutBy;
use crate::random::Draws;
use crate::shard::{Shard, ShardRecord, ShardWriter};

/// With fewer documents, blocks are held out.
const MIN_DOCUMENTS: u64 = 200;
const MIN_WINDOW: u64 = 100;

impl Side for ShardWriter {
    fn line(&mut self, tokens: &[u32]) -> Result<()> {
        self.line(tokens)
    }

    fn end_document(&mut self) {
        self.end_document();
    }
}

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
    tokens: u64,
    document_has_lines: bool,
    window_choice: (u64, Vec<u64>),
    sides: Sides,
}

/// What whole documents have been given to, and where the current one goes.
#[derive(Default)]
struct Sides {
    /// Tokens of all documents decided on, and those of them held out.
    tokens: u64,
    held_out: u64,
    documents: u64,
    /// Of the current document.
    document_tokens: u64,
    holds_out: bool,
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
            tokens: 0,
            document_has_lines: false,
            window_choice: (u64::MAX, Vec::new()),
            sides: Sides::default(),
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
        self.tokens += tokens.len() as u64;
        match &mut self.undecided {
            Some(undecided) => undecided.line(tokens),
            None => self.decided_line(tokens),
        }
    }

    /// Ends the current document, if it has lines.
    pub(crate) fn end_document(&mut self) -> Result<()> {
        if !std::mem::take(&mut self.document_has_lines) {
            return Ok(());
        }
        match &mut self.undecided {
            Some(undecided) => undecided.end_document(),
            None => self.end_decided_document(),
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
    /// A corpus of one short line; what the disk says.
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
                self.replay_blocks()?;
            }
        }
        Ok(Written { held_out_by, train: self.train.finish()?, validation: self.validation.finish()? })
    }

    /// Whether the window's draw holds out a document.
    fn is_drawn(&mut self, document: u64) -> bool {
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
        self.window_choice.1.contains(&(document % self.window))
    }

    /// By how many tokens more is held out than the share, and by how many it may be: a document more than a window holds
    /// out, so that documents of about equal length are never interfered with.
    fn balance(&self) -> (f64, f64) {
        let sides = &self.sides;
        let surplus = sides.held_out as f64 - self.fraction * sides.tokens as f64;
        // Documents set aside count for the average though they have not been decided on.
        let documents = self.documents.max(sides.documents) + 1;
        let average = self.tokens.max(sides.tokens) as f64 / documents as f64;
        (surplus, average * (self.held_out_per_window + 1) as f64)
    }

    /// Writes a line of the current document to its side, or to both where it must be cut.
    fn decided_line(&mut self, tokens: &[u32]) -> Result<()> {
        if self.sides.document_tokens == 0 {
            let drawn = self.is_drawn(self.sides.documents);
            let (surplus, slack) = self.balance();
            self.sides.holds_out = surplus <= -slack || (drawn && surplus < slack);
        }
        let mut start = 0;
        let mut end = 0;
        while end < tokens.len() {
            let (surplus, slack) = self.balance();
            let is_large = self.sides.document_tokens as f64 > slack;
            let holds_out = if self.sides.holds_out { surplus < slack } else { surplus <= -slack };
            if is_large && holds_out != self.sides.holds_out {
                self.pass_on(&tokens[start..end])?;
                start = end;
                // The two parts don't belong together.
                self.side().end_document();
                self.sides.holds_out = holds_out;
            }
            let piece = piece_of(tokens.len() - end);
            end += piece;
            self.sides.document_tokens += piece as u64;
            self.sides.tokens += piece as u64;
            self.sides.held_out += if self.sides.holds_out { piece as u64 } else { 0 };
        }
        self.pass_on(&tokens[start..])
    }

    fn pass_on(&mut self, tokens: &[u32]) -> Result<()> {
        if tokens.is_empty() { Ok(()) } else { self.side().line(tokens) }
    }

    fn side(&mut self) -> &mut ShardWriter {
        if self.sides.holds_out { &mut self.validation } else { &mut self.train }
    }

    fn end_decided_document(&mut self) {
        self.side().end_document();
        self.sides.document_tokens = 0;
        self.sides.documents += 1;
    }

    /// Passes the documents set aside on to their sides.
    fn replay_documents(&mut self) -> Result<()> {
        // A document that was cut at a full shard counts as several here, and so may have parts on both sides.
        let set_aside = self.set_aside()?;
        self.replay(&set_aside, |this, tokens, ends_document| {
            this.decided_line(tokens)?;
            if ends_document {
                this.end_decided_document();
            }
            Ok(())
        })
    }

    fn replay_blocks(&mut self) -> Result<()> {
        let set_aside = self.set_aside()?;
        let mut dealer = Dealer::new(self.blocks(&set_aside)?);
        self.replay(&set_aside, |this, tokens, ends_document| {
            dealer.line(tokens, ends_document, &mut this.train, &mut this.validation)
        })
    }

    /// The blocks to hold out, in tokens, with their ends at ends of lines or, in long lines, of pieces.
    fn blocks(&self, set_aside: &[ShardRecord]) -> Result<Vec<Range<u64>>> {
        let mut cuts = Cuts::new(self.tokens, self.fraction, self.seed);
        for record in set_aside {
            let shard = Shard::open(&self.folder, record, self.vocab_size)?;
            shard.line_offsets().windows(2).for_each(|bounds| cuts.line(bounds[1] - bounds[0]));
        }
        cuts.finish()
    }

    /// Ends the time in which documents are set aside.
    fn set_aside(&mut self) -> Result<Vec<ShardRecord>> {
        self.undecided.take().map_or(Ok(Vec::new()), ShardWriter::finish)
    }

    /// Calls `line` with each line set aside, and whether it ends a document; then removes what was set aside.
    fn replay(
        &mut self,
        set_aside: &[ShardRecord],
        mut line: impl FnMut(&mut Self, &[u32], bool) -> Result<()>,
    ) -> Result<()> {
        let mut tokens = Vec::new();
        for record in set_aside {
            let shard = Shard::open(&self.folder, record, self.vocab_size)?;
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

/// Tokens of a line, of which `left` are left, that go to one side together.
fn piece_of(left: usize) -> usize {
    let piece = MIN_PIECE_TOKENS as usize;
    if left < 2 * piece { left } else { piece }
}
