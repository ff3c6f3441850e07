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
    /// Texts that the tokenizer matches before anything else, and the bytes that these begin with: lines without them are
    /// not looked through once for each.
    added_tokens: Vec<String>,
    first_bytes: Vec<u8>,
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
        let mut first_bytes: Vec<u8> = added_tokens.iter().filter_map(|token| token.bytes().next()).collect();
        first_bytes.dedup();
        Some(Self { chunks, added_tokens, first_bytes, cutter: WordCutter::of(inner)? })
    }

    fn spells_added_token(&self, line: &str) -> bool {
        self.first_bytes.iter().any(|byte| line.as_bytes().contains(byte))
            && self.added_tokens.iter().any(|token| line.contains(token.as_str()))
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
    // Exactly the characters that the normaliser turns into spaces or leaves as such; 0x0b and 0x0c it removes. By bytes, which
    // is far faster than by characters.
    let mut next = 0;
    word.clear();
    for bytes in line.as_bytes().split(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')) {
        let start = next;
        next += bytes.len() + 1;
        if !bytes.is_ascii() {
            let chunk = &line[start..start + bytes.len()];
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
        let mut rest = bytes;
        while !rest.is_empty() {
            let (letters, changes) = leading_letters(rest, rules.lowercase);
            let (letters, behind) = rest.split_at(letters);
            // Control characters are neither: the normaliser removes them, joining what surrounds them.
            let is_end = behind.first().is_none_or(u8::is_ascii_punctuation);
            if is_end && !changes && word.is_empty() {
                // Most words stand in the line as they are looked up.
                if !letters.is_empty() {
                    found(Piece::Word(letters));
                }
            } else {
                let from = word.len();
                word.extend_from_slice(letters);
                if changes {
                    word[from..].make_ascii_lowercase();
                }
                if is_end && !word.is_empty() {
                    found(Piece::Word(word));
                    word.clear();
                }
            }
            rest = match behind {
                [byte, rest @ ..] => {
                    if byte.is_ascii_punctuation() {
                        found(Piece::Word(std::slice::from_ref(byte)));
                    }
                    rest
                }
                [] => behind,
            };
        }
        // Behind a control character at the end.
        if !word.is_empty() {
            found(Piece::Word(word));
            word.clear();
        }
    }
}

/// How many letters and digits `bytes` begin with, and whether there are capitals among them that are lowered.
#[inline(always)]
fn leading_letters(bytes: &[u8], lowercase: bool) -> (usize, bool) {
    let mut has_capitals = false;
    let is_other = |byte: &u8| {
        has_capitals |= byte.is_ascii_uppercase();
        !byte.is_ascii_alphanumeric()
    };
    let length = bytes.iter().position(is_other).unwrap_or(bytes.len());
    (length, has_capitals && lowercase)
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
    /// Those of short texts, which most are: no pointer need be followed to compare them.
    short: AHashMap<u128, (u32, u32)>,
    ids: Vec<u32>,
}

const HAS_UNKNOWN: u32 = 1 << 31;

/// A text of less than 16 bytes as a number: its bytes and its length.
#[inline(always)]
fn as_number(text: &[u8]) -> Option<u128> {
    let mut bytes = [0; 16];
    bytes[..15].get_mut(..text.len())?.copy_from_slice(text);
    bytes[15] = text.len() as u8;
    Some(u128::from_le_bytes(bytes))
}

impl Memory {
    /// Appends the ids of `text` and says whether the unknown token is among them; `None` where it isn't known.
    #[inline(always)]
    fn recall(&self, text: &[u8], ids: &mut Vec<u32>) -> Option<bool> {
        let &(start, end) = match as_number(text) {
            Some(number) => self.short.get(&number),
            None => self.places.get(text),
        }?;
        ids.extend_from_slice(&self.ids[start as usize..(end & !HAS_UNKNOWN) as usize]);
        Some(end & HAS_UNKNOWN != 0)
    }

    fn remember(&mut self, text: &[u8], ids: &[u32], has_unknown: bool) {
        if text.len() <= MAX_REMEMBERED_BYTES && self.places.len() + self.short.len() < MAX_REMEMBERED {
            let start = self.ids.len() as u32;
            self.ids.extend_from_slice(ids);
            let end = self.ids.len() as u32;
            let place = (start, if has_unknown { end | HAS_UNKNOWN } else { end });
            match as_number(text) {
                Some(number) => self.short.insert(number, place),
                None => self.places.insert(text.into(), place),
            };
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
