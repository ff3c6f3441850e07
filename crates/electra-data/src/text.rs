//! A text in memory, as a page has it: its lines and documents, and the two sides of a dataset made of it.
//!
//! With fewer than 200 documents it gives the very dataset that a file with this text does: the same tokens, the same
//! documents, the same lines held out. From there on blocks are held out here, and whole documents there.

use crate::blocks::{Cuts, Dealer};
use crate::error::Result;
use crate::packing::MemoryCorpus;
use crate::tokenizer::{LineEncoder, Tokenizer, UnknownTokens, UnknownWords};
use crate::tokens_digest::{TokensDigest, is_wide, push_line};

/// Lines of `text`, trimmed, whatever ends them (LF, CR LF, or CR alone); a blank one ends a document.
fn lines_and_blanks(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split('\r')).map(str::trim)
}

/// Lines of `text` that hold something.
pub(crate) fn text_lines(text: &str) -> impl Iterator<Item = &str> {
    lines_and_blanks(text).filter(|line| !line.is_empty())
}

/// A text as token lines: what is trained on, and what is held out.
#[derive(Debug, Clone)]
pub struct TextInMemory {
    /// To train on.
    pub train: MemoryCorpus,
    /// Held out.
    pub validation: MemoryCorpus,
    /// Bytes of text, lines without white space at their ends, held-out text included.
    pub text_bytes: u64,
    /// [`crate::CorpusRecord::tokens_sha256`] of the whole.
    pub tokens_sha256: String,
    /// How much of it is [UNK].
    pub unknown: UnknownTokens,
}

impl TextInMemory {
    /// The tokens of `text`, of which about `validation_fraction` are held out, in blocks that `seed` decides.
    ///
    /// # Errors
    /// Less than two lines of text.
    pub fn new(text: &str, tokenizer: &Tokenizer, validation_fraction: f64, seed: u64) -> Result<Self> {
        let wide = is_wide(tokenizer.vocab_size());
        let mut encoder = LineEncoder::new(tokenizer);
        let (mut digest, mut digested) = (TokensDigest::default(), Vec::new());
        // Tokens of a line, and whether it is its document's last.
        let mut lines: Vec<(Vec<u32>, bool)> = Vec::new();
        let mut text_bytes = 0;
        for line in lines_and_blanks(text) {
            if line.is_empty() {
                digest.end_document();
                lines.last_mut().into_iter().for_each(|last| last.1 = true);
                continue;
            }
            text_bytes += line.len() as u64 + 1;
            let mut tokens = Vec::new();
            encoder.encode_into(line, &mut tokens);
            // A line of control characters alone has no token.
            if !tokens.is_empty() {
                digested.clear();
                push_line(&tokens, wide, &mut digested);
                digest.lines(&digested);
                lines.push((tokens, false));
            }
        }
        lines.last_mut().into_iter().for_each(|last| last.1 = true);

        let count: u64 = lines.iter().map(|(tokens, _)| tokens.len() as u64).sum();
        let mut cuts = Cuts::new(count, validation_fraction, seed);
        lines.iter().for_each(|(tokens, _)| cuts.line(tokens.len() as u64));
        let mut dealer = Dealer::new(cuts.finish()?);
        let (mut train, mut validation) = (MemoryCorpus::default(), MemoryCorpus::default());
        for (tokens, ends_document) in &lines {
            dealer.line(tokens, *ends_document, &mut train, &mut validation)?;
        }
        let unknown = tokenizer.special().unknown;
        let unknown = lines.iter().flat_map(|(tokens, _)| tokens).filter(|&&token| token == unknown).count() as u64;
        let unknown_words: UnknownWords = encoder.take_unknown();
        let (unknown, tokens_sha256) = (unknown_words.record(count, unknown), digest.finish());
        Ok(Self { train, validation, text_bytes, tokens_sha256, unknown })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_as_they_do_in_files_of_any_system() {
        let lines: Vec<&str> = lines_and_blanks(" a \r\nb\rc\n\n \t\nd").collect();
        assert_eq!(lines, ["a", "b", "c", "", "", "d"]);
        assert_eq!(text_lines("a\r\n\r\nb").collect::<Vec<_>>(), ["a", "b"]);
    }
}
