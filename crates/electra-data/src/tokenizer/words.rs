//! The fast way from a line to ids: cut it into words, look each word up.
//!
//! The rules of BERT's tokenizer and of those made here treat white-space-separated chunks independently (cleaning, CJK spacing
//! and lowering work by character, Unicode's normal forms never reorder or compose across a space, and syllables are cut
//! within a word), and WordPiece treats words independently. So the ids of a word can be remembered, and text has few distinct
//! words: over 95 % of look-ups hit. ASCII chunks are cut here byte by byte; any other chunk goes through the `tokenizers`
//! crate's rules where it has not been seen, and its words are looked up too. The result equals the crate's on every text
//! (tests/data/tokenizer.rs holds both against each other); a tokenizer with rules of another kind, and a line that spells
//! out an added token such as "[MASK]", take the crate's own path.

use ahash::AHashMap;
use serde_json::Value;
use tokenizers::Model;

use super::Tokenizer;
use super::rules::{ChunkRules, WordCutter, chunk_rules, is_chinese};
use super::unknown::UnknownWords;

/// A worker's memory of words is bounded by this many entries, of at most [`MAX_REMEMBERED_BYTES`] each; that of chunks too.
const MAX_REMEMBERED: usize = 1 << 18;
const MAX_REMEMBERED_BYTES: usize = 64;

/// What has to be known of a tokenizer to cut words for it.
#[derive(Debug, Clone)]
pub(crate) struct WordRules {
    chunks: ChunkRules,
    /// Texts that the tokenizer matches before anything else.
    added_tokens: Vec<String>,
    cutter: WordCutter,
}

impl WordRules {
    /// The rules of a tokenizer that treats words independently; `None` for any other.
    pub(crate) fn of(description: &Value, inner: &tokenizers::Tokenizer) -> Option<Self> {
        let chunks = chunk_rules(description)?;
        let added = inner.get_added_tokens_decoder();
        // A normalised added token is matched in text that this module never sees whole.
        if added.values().any(|token| token.normalized || token.content.is_empty()) {
            return None;
        }
        let mut added_tokens: Vec<String> = added.into_values().map(|token| token.content).collect();
        added_tokens.sort();
        Some(Self { chunks, added_tokens, cutter: WordCutter::of(inner)? })
    }

    fn spells_added_token(&self, line: &str) -> bool {
        self.added_tokens.iter().any(|token| line.contains(token.as_str()))
    }
}

/// A piece of a line.
enum Piece<'a> {
    /// A word of the pre-tokeniser, normalised, ASCII.
    Word(&'a [u8]),
    /// Text between blanks, as it stands in the line, with at least one character beyond ASCII; or a Chinese character, or
    /// what is between two.
    Chunk(&'a str),
}

/// Cuts `line` into ASCII words and other chunks, in order. `word` is scratch space.
#[inline(always)]
fn for_each_piece(line: &str, rules: ChunkRules, word: &mut Vec<u8>, mut found: impl FnMut(Piece)) {
    // Exactly the characters that the normaliser turns into spaces or leaves as such; 0x0b and 0x0c it removes.
    let chunks = line.split([' ', '\t', '\n', '\r']).filter(|chunk| !chunk.is_empty());
    for chunk in chunks {
        if !chunk.is_ascii() {
            if rules.cut_chinese {
                // A part keeps the character that it begins with, and ends before the next Chinese one.
                let mut rest = chunk;
                while let Some(part) = first_part(rest) {
                    found(Piece::Chunk(part));
                    rest = &rest[part.len()..];
                }
            } else {
                found(Piece::Chunk(chunk));
            }
            continue;
        }
        word.clear();
        for &byte in chunk.as_bytes() {
            if byte.is_ascii_alphanumeric() {
                word.push(if rules.lowercase { byte.to_ascii_lowercase() } else { byte });
            } else if byte.is_ascii_punctuation() {
                if !word.is_empty() {
                    found(Piece::Word(word));
                    word.clear();
                }
                found(Piece::Word(&[byte]));
            }
            // What remains are control characters: the normaliser removes them, joining what surrounds them.
        }
        if !word.is_empty() {
            found(Piece::Word(word));
        }
    }
}

/// What stands before the second place of `text` where it may be cut at Chinese characters: around each. `None` for no text.
fn first_part(text: &str) -> Option<&str> {
    let first = text.chars().next()?;
    let rest = &text[first.len_utf8()..];
    let end = if is_chinese(first) { 0 } else { rest.find(is_chinese).unwrap_or(rest.len()) };
    Some(&text[..first.len_utf8() + end])
}

/// Ids of texts that came up before.
#[derive(Default)]
struct Memory {
    /// From a text to its ids, as a range of `ids`; the end's highest bit says that the unknown token is among them.
    places: AHashMap<Box<[u8]>, (u32, u32)>,
    ids: Vec<u32>,
}

const HAS_UNKNOWN: u32 = 1 << 31;

impl Memory {
    /// Appends the ids of `text` and says whether the unknown token is among them; `None` where it isn't known.
    #[inline(always)]
    fn recall(&self, text: &[u8], ids: &mut Vec<u32>) -> Option<bool> {
        let &(start, end) = self.places.get(text)?;
        ids.extend_from_slice(&self.ids[start as usize..(end & !HAS_UNKNOWN) as usize]);
        Some(end & HAS_UNKNOWN != 0)
    }

    fn remember(&mut self, text: &[u8], ids: &[u32], has_unknown: bool) {
        if text.len() <= MAX_REMEMBERED_BYTES && self.places.len() < MAX_REMEMBERED {
            let start = self.ids.len() as u32;
            self.ids.extend_from_slice(ids);
            let end = self.ids.len() as u32;
            self.places.insert(text.into(), (start, if has_unknown { end | HAS_UNKNOWN } else { end }));
        }
    }
}

/// Turns lines into ids, remembering words. One per thread; any number give the same ids.
pub struct LineEncoder<'t> {
    tokenizer: &'t Tokenizer,
    /// Words as the rules make them.
    words: Memory,
    /// Chunks as they stand in a line, where all of their words are known.
    chunks: Memory,
    unknown: UnknownWords,
    word: Vec<u8>,
}

impl<'t> LineEncoder<'t> {
    /// An encoder that has seen no words yet.
    pub fn new(tokenizer: &'t Tokenizer) -> Self {
        Self {
            tokenizer,
            words: Memory::default(),
            chunks: Memory::default(),
            unknown: UnknownWords::default(),
            word: Vec::new(),
        }
    }

    /// Appends the ids of `line`, the same as [`Tokenizer::encode`] gives.
    pub fn encode_into(&mut self, line: &str, ids: &mut Vec<u32>) {
        let Self { tokenizer, words, chunks, unknown, word } = self;
        let rules = match &tokenizer.word_rules {
            Some(rules) if !rules.spells_added_token(line) => rules,
            _ => return encode_whole(tokenizer, line, ids, unknown),
        };
        for_each_piece(line, rules.chunks, word, |piece| {
            let chunk = match piece {
                Piece::Word(word) => return encode_word(tokenizer, word, words, unknown, ids),
                Piece::Chunk(chunk) => chunk,
            };
            if chunks.recall(chunk.as_bytes(), ids).is_some() {
                return;
            }
            let before = ids.len();
            let cut =
                rules.cutter.for_each_word(chunk, |word| encode_word(tokenizer, word.as_bytes(), words, unknown, ids));
            if !cut {
                // Not with rules that `WordRules::of` takes.
                return encode_whole(tokenizer, chunk, ids, unknown);
            }
            // One with unknown words is cut again each time, so that they are counted.
            if !ids[before..].contains(&tokenizer.special().unknown) {
                chunks.remember(chunk.as_bytes(), &ids[before..], false);
            }
        });
    }

    /// The words since the last call that the vocabulary has no pieces for.
    pub(crate) fn take_unknown(&mut self) -> UnknownWords {
        std::mem::take(&mut self.unknown)
    }
}

/// Appends the ids of `word`, which the rules made.
#[inline(always)]
fn encode_word(tokenizer: &Tokenizer, word: &[u8], words: &mut Memory, unknown: &mut UnknownWords, ids: &mut Vec<u32>) {
    let has_unknown = match words.recall(word, ids) {
        Some(has_unknown) => has_unknown,
        None => encode_new_word(tokenizer, word, words, ids),
    };
    if has_unknown {
        unknown.add(std::str::from_utf8(word).unwrap_or_default(), 1);
    }
}

/// Appends the ids of `word`, remembers them, and says whether the unknown token is among them.
#[cold]
#[inline(never)]
fn encode_new_word(tokenizer: &Tokenizer, word: &[u8], words: &mut Memory, ids: &mut Vec<u32>) -> bool {
    let before = ids.len();
    match tokenizer.inner.get_model().tokenize(std::str::from_utf8(word).unwrap_or_default()) {
        Ok(tokens) => ids.extend(tokens.iter().map(|token| token.id)),
        // WordPiece fails only where its vocabulary lacks the unknown token; `Tokenizer` refuses such a vocabulary.
        Err(_) => ids.push(tokenizer.special().unknown),
    }
    let has_unknown = ids[before..].contains(&tokenizer.special().unknown);
    words.remember(word, &ids[before..], has_unknown);
    has_unknown
}

/// Appends the ids of `text` as the crate gives them.
#[cold]
fn encode_whole(tokenizer: &Tokenizer, text: &str, ids: &mut Vec<u32>, unknown: &mut UnknownWords) {
    let before = ids.len();
    ids.extend(tokenizer.encode(text));
    if ids[before..].contains(&tokenizer.special().unknown) {
        let (found, places) = tokenizer.encode_with_offsets(text);
        for (_, (start, end)) in found.iter().zip(places).filter(|(id, _)| **id == tokenizer.special().unknown) {
            unknown.add(text.get(start..end).unwrap_or_default(), 1);
        }
    }
}

/// Calls `found` with every word of `line` that `cutter`'s rules make: what a vocabulary is trained on. `scratch` is reused.
pub(crate) fn for_each_word(
    line: &str,
    cutter: &WordCutter,
    rules: ChunkRules,
    scratch: &mut Vec<u8>,
    mut found: impl FnMut(&str),
) {
    for_each_piece(line, rules, scratch, |piece| match piece {
        Piece::Word(word) => found(std::str::from_utf8(word).unwrap_or_default()),
        Piece::Chunk(chunk) => {
            let cut = cutter.for_each_word(chunk, &mut found);
            debug_assert!(cut, "the rules made here never fail");
        }
    });
}
