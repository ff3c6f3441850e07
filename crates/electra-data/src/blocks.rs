//! Which blocks of a corpus of few documents are held out: of tokens drawn from the seed, with their ends moved to where text
//! may be cut. Below: how lines are dealt out to both sides by them.

use std::ops::Range;

use crate::error::{DataError, Result};
use crate::random::Draws;

/// Lines are cut only into pieces longer than this, as less is no use as an example.
pub(crate) const MIN_PIECE_TOKENS: u64 = 128;
/// Keeps the draws of a split apart from those of other purposes.
pub(crate) const PURPOSE: u64 = 0x0073_706c_6974; // "split"

/// Held-out blocks: long enough for several examples, and not all in one place.
const TOKENS_PER_BLOCK: u64 = 1024;
const MAX_BLOCKS: u64 = 16;

/// Blocks of tokens, one in each of as many equal parts of the corpus.
fn wanted_blocks(tokens: u64, fraction: f64, seed: u64) -> Vec<Range<u64>> {
    let held_out = share(tokens, fraction).min(tokens.saturating_sub(1));
    let blocks = (held_out / TOKENS_PER_BLOCK).clamp(1, MAX_BLOCKS);
    let mut draws = Draws::new(&[PURPOSE, seed, u64::MAX]);
    (0..blocks)
        .map(|block| {
            let (part_start, part_end) = (block * tokens / blocks, (block + 1) * tokens / blocks);
            let length = ((block + 1) * held_out / blocks - block * held_out / blocks).min(part_end - part_start);
            let start = part_start + draws.below(part_end - part_start - length + 1);
            start..start + length
        })
        .collect()
}

/// Moves the ends of blocks to the nearest places where text may be cut, as its lines stream by.
pub(crate) struct Cuts {
    /// Ends of blocks in order: starts and ends in turns.
    wanted: Vec<u64>,
    found: Vec<u64>,
    piece: u64,
    /// Where text may be cut: the last place, the one before, and the first behind the start.
    last: u64,
    before: u64,
    first: Option<u64>,
}

impl Cuts {
    /// Blocks of a corpus of so many tokens that hold out the fraction.
    pub(crate) fn new(tokens: u64, fraction: f64, seed: u64) -> Self {
        let blocks = wanted_blocks(tokens, fraction, seed);
        let piece = blocks.first().map_or(0, |block| (block.end - block.start) / 4).max(MIN_PIECE_TOKENS);
        let wanted = blocks.iter().flat_map(|block| [block.start, block.end]).collect();
        Self { wanted, found: Vec::new(), piece, last: 0, before: 0, first: None }
    }

    /// A line of so many tokens: it may be cut at its end, and a long one between equal pieces.
    pub(crate) fn line(&mut self, tokens: u64) {
        let start = self.last;
        let pieces = (tokens / self.piece).max(1);
        for piece in 1..=pieces {
            self.place(start + piece * tokens / pieces);
        }
    }

    fn place(&mut self, place: u64) {
        (self.before, self.last) = (self.last, place);
        self.first.get_or_insert(place);
        while let Some(&wanted) = self.wanted.get(self.found.len()).filter(|&&wanted| wanted <= place) {
            let nearest = if wanted - self.before <= place - wanted { self.before } else { place };
            let nearest = nearest.max(self.found.last().copied().unwrap_or(0));
            // A block that would vanish reaches to the next place.
            let is_end = self.found.len() % 2 == 1;
            let vanishes = is_end && self.found.last() == Some(&nearest);
            if vanishes && nearest == place {
                return;
            }
            self.found.push(if vanishes { place } else { nearest });
        }
    }

    /// The blocks, some text between and some within them.
    ///
    /// # Errors
    /// The text cannot be cut at all.
    pub(crate) fn finish(self) -> Result<Vec<Range<u64>>> {
        let found = if self.first.is_none() { "no line of text" } else { "only one line of text, and a short one" };
        self.found().ok_or_else(|| DataError::TooSmall {
            what: "corpus".into(),
            reason: format!("the input holds {found}"),
            remedy: "at least two lines are needed, one to train on and one to hold out".into(),
        })
    }

    fn found(mut self) -> Option<Vec<Range<u64>>> {
        let first = self.first.filter(|&first| first < self.last)?;
        let end = self.last;
        self.found.resize(self.wanted.len(), end);
        let pairs = self.found.chunks_exact(2).map(|pair| pair[0]..pair[1]);
        let blocks: Vec<Range<u64>> = pairs.filter(|block| block.start < block.end).collect();
        let held_out: u64 = blocks.iter().map(|block| block.end - block.start).sum();
        let only = |block: Range<u64>| std::iter::once(block).collect();
        Some(match held_out {
            0 => only(self.before..end),
            all if all == end => only(0..first),
            _ => blocks,
        })
    }
}

/// The fraction of a number, at least 1.
pub(crate) fn share(total: u64, fraction: f64) -> u64 {
    ((total as f64 * fraction).round() as u64).max(1)
}

/// One side of a split.
pub(crate) trait Side {
    /// Adds a line, not empty, to the current document.
    fn line(&mut self, tokens: &[u32]) -> Result<()>;
    /// Ends the current document, if it has lines.
    fn end_document(&mut self);
}

/// Deals lines out, in their order, to the side that is trained on and the one that is held out.
pub(crate) struct Dealer {
    blocks: Vec<Range<u64>>,
    /// Tokens dealt out.
    start: u64,
    was_held_out: bool,
}

impl Dealer {
    /// Holds out `blocks`, which are in order.
    pub(crate) fn new(blocks: Vec<Range<u64>>) -> Self {
        Self { blocks, start: 0, was_held_out: false }
    }

    /// Deals out the next line, or its parts.
    pub(crate) fn line<S: Side>(
        &mut self,
        tokens: &[u32],
        ends_document: bool,
        train: &mut S,
        validation: &mut S,
    ) -> Result<()> {
        let end = self.start + tokens.len() as u64;
        while self.start < end {
            let start = self.start;
            let (held_out, until) = match self.blocks.iter().find(|block| block.end > start) {
                Some(block) if block.start <= start => (true, block.end.min(end)),
                Some(block) => (false, block.start.min(end)),
                None => (false, end),
            };
            // Text before and behind a block doesn't belong together.
            if held_out != self.was_held_out {
                train.end_document();
                validation.end_document();
            }
            let side = if held_out { &mut *validation } else { &mut *train };
            side.line(&tokens[tokens.len() - (end - start) as usize..][..(until - start) as usize])?;
            self.was_held_out = held_out;
            self.start = until;
        }
        if ends_document {
            train.end_document();
            validation.end_document();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(lines: &[u64], fraction: f64, seed: u64) -> Option<Vec<Range<u64>>> {
        let mut cuts = Cuts::new(lines.iter().sum(), fraction, seed);
        lines.iter().for_each(|&line| cuts.line(line));
        cuts.found()
    }

    #[test]
    fn blocks_are_disjoint_end_with_lines_and_leave_text_on_both_sides() {
        for lines in (2..200).chain([1000, 12_345]) {
            let lengths: Vec<u64> = (0..lines).map(|line| 1 + line * 7919 % 40).collect();
            let total: u64 = lengths.iter().sum();
            let ends: Vec<u64> = std::iter::once(0)
                .chain(lengths.iter().scan(0, |end, length| {
                    *end += length;
                    Some(*end)
                }))
                .collect();
            for fraction in [1e-6, 0.02, 0.3, 0.5] {
                let blocks = cut(&lengths, fraction, lines).expect("several lines");
                let held_out: u64 = blocks.iter().map(|block| block.end - block.start).sum();
                assert!(held_out >= 1 && held_out < total, "{lines} lines, fraction {fraction}");
                // Each block's two ends move by half a line at most, or reach over one line.
                let off = (held_out as f64 - share(total, fraction) as f64).abs();
                assert!(off <= 40.0 * blocks.len() as f64, "{lines} lines, fraction {fraction}: {held_out}");
                assert!(blocks.windows(2).all(|pair| pair[0].end <= pair[1].start));
                assert!(blocks.iter().all(|block| ends.binary_search(&block.start).is_ok()));
                assert!(blocks.iter().all(|block| ends.binary_search(&block.end).is_ok()));
            }
        }
    }

    #[test]
    fn long_lines_are_cut_and_the_share_is_kept() {
        for lengths in [vec![100_000, 4], vec![4, 100_000], vec![50_000; 3], vec![1_000_000]] {
            let total: u64 = lengths.iter().sum();
            for (fraction, seed) in [(0.02, 0), (0.02, 9), (0.1, 1), (0.5, 2)] {
                let blocks = cut(&lengths, fraction, seed).expect("a long line");
                let held_out: u64 = blocks.iter().map(|block| block.end - block.start).sum();
                let off = held_out as f64 / (fraction * total as f64);
                assert!((0.7..1.3).contains(&off), "{lengths:?} {fraction} {seed}: {held_out} in {blocks:?}");
            }
        }
        assert_eq!(cut(&[200], 0.02, 0), None, "one short line cannot be cut");
        assert_eq!(cut(&[], 0.02, 0), None);
    }
}
