//! The fast way from a line to ids: cut it into words, look each word up.
//!
//! BERT's normaliser and pre-tokeniser treat white-space-separated chunks independently (cleaning, CJK spacing and lowering
//! work by character, and Unicode decomposition never reorders across a space), and WordPiece treats words
//! independently. So the ids of a word can be remembered, and text has few distinct words: over 95 % of look-ups hit. ASCII
//! chunks are cut here byte by byte; any other chunk goes through the `tokenizers` crate the first time it is seen. The
//! result equals the crate's on every text (tests/tokenizer.rs holds both against each other); a tokenizer that isn't BERT's, and
//! a line that spells out an added token such as "[MASK]", take the crate's own path.

use ahash::AHashMap;
use serde_json::Value;
use tokenizers::{Model, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};

use super::Tokenizer;

/// A worker's memory of words is bounded by this many entries, of at most [`MAX_REMEMBERED_BYTES`] each.
const MAX_REMEMBERED: usize = 1 << 18;
const MAX_REMEMBERED_BYTES: usize = 64;

/// What has to be known of a tokenizer to cut words for it.
#[derive(Debug, Clone)]
pub(crate) struct WordRules {
    lowercase: bool,
    /// Texts that the tokenizer matches before anything else.
    added_tokens: Vec<String>,
}

impl WordRules {
    /// The rules of BERT's tokenizer; `None` for any other.
    pub(crate) fn of(description: &Value, inner: &tokenizers::Tokenizer) -> Option<Self> {
        let normalizer = &description["normalizer"];
        let is_bert = normalizer["type"] == "BertNormalizer"
            && normalizer["clean_text"] == true
            && description["pre_tokenizer"]["type"] == "BertPreTokenizer"
            && description["model"]["type"] == "WordPiece";
        let added = inner.get_added_tokens_decoder();
        // A normalised added token is matched in text that this module never sees whole.
        if !is_bert || added.values().any(|token| token.normalized || token.content.is_empty()) {
            return None;
        }
        let mut added_tokens: Vec<String> = added.into_values().map(|token| token.content).collect();
        added_tokens.sort();
        Some(Self { lowercase: normalizer["lowercase"] == true, added_tokens })
    }

    fn spells_added_token(&self, line: &str) -> bool {
        self.added_tokens.iter().any(|token| line.contains(token.as_str()))
    }
}

/// A piece of a line.
enum Piece<'a> {
    /// A word of the pre-tokeniser, normalised, ASCII.
    Word(&'a [u8]),
    /// White-space-separated text, as it stands in the line, with at least one character beyond ASCII.
    Chunk(&'a str),
}

/// Cuts `line` into ASCII words and other chunks, in order. `word` is scratch space.
fn for_each_piece(line: &str, lowercase: bool, word: &mut Vec<u8>, mut found: impl FnMut(Piece)) {
    // Exactly the characters that the normaliser turns into spaces or leaves as such; 0x0b and 0x0c it removes.
    let chunks = line.split([' ', '\t', '\n', '\r']).filter(|chunk| !chunk.is_empty());
    for chunk in chunks {
        if !chunk.is_ascii() {
            found(Piece::Chunk(chunk));
            continue;
        }
        word.clear();
        for &byte in chunk.as_bytes() {
            if byte.is_ascii_alphanumeric() {
                word.push(if lowercase { byte.to_ascii_lowercase() } else { byte });
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

/// Turns lines into ids, remembering words. One per thread; any number give the same ids.
pub struct LineEncoder<'t> {
    tokenizer: &'t Tokenizer,
    /// From a word or chunk to its ids, as a range of `remembered_ids`.
    remembered: AHashMap<Box<[u8]>, (u32, u32)>,
    remembered_ids: Vec<u32>,
    word: Vec<u8>,
}

impl<'t> LineEncoder<'t> {
    /// An encoder that has seen no words yet.
    pub fn new(tokenizer: &'t Tokenizer) -> Self {
        Self { tokenizer, remembered: AHashMap::new(), remembered_ids: Vec::new(), word: Vec::new() }
    }

    /// Appends the ids of `line`, the same as [`Tokenizer::encode`] gives.
    pub fn encode_into(&mut self, line: &str, ids: &mut Vec<u32>) {
        let Some(rules) = &self.tokenizer.word_rules else {
            ids.extend(self.tokenizer.encode(line));
            return;
        };
        if rules.spells_added_token(line) {
            ids.extend(self.tokenizer.encode(line));
            return;
        }
        let Self { tokenizer, remembered, remembered_ids, word } = self;
        for_each_piece(line, rules.lowercase, word, |piece| {
            let key = match piece {
                Piece::Word(word) => word,
                Piece::Chunk(chunk) => chunk.as_bytes(),
            };
            if let Some(&(start, end)) = remembered.get(key) {
                ids.extend_from_slice(&remembered_ids[start as usize..end as usize]);
                return;
            }
            let before = ids.len();
            match piece {
                Piece::Word(word) => encode_word(tokenizer, word, ids),
                Piece::Chunk(chunk) => ids.extend(tokenizer.encode(chunk)),
            }
            if key.len() <= MAX_REMEMBERED_BYTES && remembered.len() < MAX_REMEMBERED {
                let start = remembered_ids.len() as u32;
                remembered_ids.extend_from_slice(&ids[before..]);
                remembered.insert(key.into(), (start, remembered_ids.len() as u32));
            }
        });
    }
}

fn encode_word(tokenizer: &Tokenizer, word: &[u8], ids: &mut Vec<u32>) {
    let word = std::str::from_utf8(word).unwrap_or_default();
    match tokenizer.inner.get_model().tokenize(word) {
        Ok(tokens) => ids.extend(tokens.iter().map(|token| token.id)),
        // WordPiece fails only where its vocabulary lacks the unknown token; `Tokenizer` refuses such a vocabulary.
        Err(_) => ids.push(tokenizer.special().unknown),
    }
}

/// Calls `found` with every word of `line` that BERT's normaliser and pre-tokeniser make: what a vocabulary is trained on.
#[cfg_attr(not(feature = "native"), allow(dead_code))]
pub(crate) fn for_each_word(
    line: &str,
    normalizer: &tokenizers::normalizers::BertNormalizer,
    scratch: &mut Vec<u8>,
    mut found: impl FnMut(&str),
) {
    for_each_piece(line, normalizer.lowercase, scratch, |piece| match piece {
        Piece::Word(word) => found(std::str::from_utf8(word).unwrap_or_default()),
        Piece::Chunk(chunk) => {
            let mut text = PreTokenizedString::from(chunk);
            let cut = text
                .normalize(|part| tokenizers::Normalizer::normalize(normalizer, part))
                .and_then(|()| tokenizers::pre_tokenizers::bert::BertPreTokenizer.pre_tokenize(&mut text));
            debug_assert!(cut.is_ok(), "BERT's normaliser and pre-tokeniser never fail");
            for (word, _, _) in text.get_splits(OffsetReferential::Normalized, OffsetType::Byte) {
                if !word.is_empty() {
                    found(word);
                }
            }
        }
    });
}
