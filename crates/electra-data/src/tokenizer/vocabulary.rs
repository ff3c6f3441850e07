//! Vocabularies from elsewhere: what a `vocab.txt` or the table of a `tokenizer.json` lists, made whole and held against
//! the rules that it comes with.

use std::fmt;

use ahash::AHashMap;
use serde_json::{Map, Value};
use tokenizers::{Model, ModelWrapper};

use super::Tokenizer;
use super::rules::normalized;
use super::unknown::quoted;
use crate::error::{DataError, Result};

/// The token that stands for an id which no token has, so that a line's number in vocab.txt stays its id.
pub(crate) fn placeholder(id: usize) -> String {
    format!("[unused_hole_{id}]")
}

/// Lines of a `vocab.txt`.
pub(crate) struct VocabLines {
    /// One token for each line, whose number is the id; a placeholder for lines that no text can match.
    pub(crate) tokens: Vec<String>,
    /// What is unusual about the lines.
    pub(crate) notices: Vec<String>,
}

/// The lines of a `vocab.txt`. Only line ends are cut off, since a token may be any other white space.
///
/// A blank line (a newline that was a token) and a line that a later one repeats keep their ids, which no text gets:
/// taking them out would shift all ids behind them. Hugging Face's readers do the same.
pub(crate) fn parse_vocab(bytes: &[u8], path: &str) -> Result<VocabLines> {
    let remedy = "a vocab.txt lists one token a line";
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = 1 + bytes[..error.valid_up_to()].iter().filter(|&&byte| byte == b'\n').count();
        DataError::tokenizer(path, format!("line {line}: not valid UTF-8"), remedy)
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut tokens: Vec<String> = text.trim_end_matches(['\r', '\n']).lines().map(str::to_owned).collect();
    let mut last: AHashMap<String, usize> = AHashMap::with_capacity(tokens.len());
    let mut repeated = Vec::new();
    for id in 0..tokens.len() {
        if tokens[id].is_empty() {
            tokens[id] = placeholder(id);
        } else if let Some(first) = last.insert(tokens[id].clone(), id) {
            repeated.push(format!("{} on lines {} and {}", quoted(&tokens[id]), first + 1, id + 1));
            tokens[first] = placeholder(first);
        }
    }
    let mut notices = Vec::new();
    if !repeated.is_empty() {
        let more = repeated.len().saturating_sub(3);
        repeated.truncate(3);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        notices.push(format!(
            "{path}: a token stands there twice ({}{more}); the last line counts, as it does in transformers",
            repeated.join(", ")
        ));
    }
    Ok(VocabLines { tokens, notices })
}

/// Checks the table of a WordPiece `model` and gives ids that no token has a placeholder, as the `tokenizers` crate wants it.
///
/// # Errors
/// Two tokens with one id; ids far beyond the number of tokens.
pub(crate) fn fill_holes(vocab: &mut Map<String, Value>, path: &str) -> Result<()> {
    let remedy = "check the vocabulary: ids count from 0, each stands once";
    let mut owners: AHashMap<u64, &str> = AHashMap::with_capacity(vocab.len());
    for (token, id) in vocab.iter() {
        let Some(id) = id.as_u64() else {
            return Err(DataError::tokenizer(path, format!("the id of {} is {id}", quoted(token)), remedy));
        };
        if let Some(other) = owners.insert(id, token) {
            let reason = format!("{} and {} both have id {id}", quoted(other), quoted(token));
            return Err(DataError::tokenizer(path, reason, remedy));
        }
    }
    let greatest = owners.keys().copied().max().unwrap_or(0);
    if greatest > 1_000_000 + 16 * vocab.len() as u64 {
        let reason = format!("ids go up to {greatest}, but there are only {} tokens", vocab.len());
        return Err(DataError::tokenizer(path, reason, remedy));
    }
    let holes: Vec<u64> = (0..greatest).filter(|id| !owners.contains_key(id)).collect();
    for id in holes {
        vocab.insert(placeholder(id as usize), id.into());
    }
    Ok(())
}

/// Pieces of a vocabulary that its own normaliser changes, so that no text can be made of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreachable {
    /// How many there are.
    pub count: usize,
    /// All pieces of the vocabulary, without added tokens.
    pub pieces: usize,
    /// Some of them, and what the normaliser makes of each.
    pub examples: Vec<(String, String)>,
}

impl Unreachable {
    /// Whether there are more than a vocabulary has by accident: one in a thousand.
    pub fn is_notable(&self) -> bool {
        1000 * self.count > self.pieces
    }
}

impl fmt::Display for Unreachable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let examples: Vec<String> =
            self.examples.iter().map(|(piece, made)| format!("{} becomes {}", quoted(piece), quoted(made))).collect();
        write!(
            out,
            "{} of {} pieces can never be found, since the tokenizer's own normaliser changes them ({}); it may be that of \
             another vocabulary: \"electra tokenizer import\" of its vocab.txt takes --cased, --uncased and --strip-accents",
            self.count,
            self.pieces,
            examples.join(", ")
        )
    }
}

/// What `normalizer` makes of `token` where it changes it; `None` for placeholders and special tokens.
pub(crate) fn changed_by(normalizer: &impl tokenizers::Normalizer, token: &str) -> Option<String> {
    if token.starts_with('[') && token.ends_with(']') {
        return None;
    }
    let piece = token.strip_prefix("##").filter(|rest| !rest.is_empty()).unwrap_or(token);
    let made = normalized(normalizer, piece);
    // A Chinese character gets blanks around it, and is found.
    (made.trim_matches(' ') != piece).then_some(made)
}

/// How a token can stand in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// A word, or the first piece of one: it has a letter.
    Word,
    /// A piece that continues the word before it, such as "##s".
    Continuation,
    /// A special or another added token, a number, punctuation.
    Other,
}

impl Tokenizer {
    /// What each id is, `[vocab_size]`.
    pub fn token_kinds(&self) -> Vec<TokenKind> {
        let added = self.inner.get_added_tokens_decoder();
        let prefix = match self.inner.get_model() {
            ModelWrapper::WordPiece(model) => model.continuing_subword_prefix.as_str(),
            _ => "##",
        };
        let kind = |id: u32| match self.token(id) {
            Some(_) if added.contains_key(&id) => TokenKind::Other,
            Some(token) if token.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty()) => TokenKind::Continuation,
            Some(token) if token.contains(char::is_alphabetic) => TokenKind::Word,
            _ => TokenKind::Other,
        };
        (0..self.vocab_size as u32).map(kind).collect()
    }

    /// Pieces that the normaliser changes; `None` where there are none.
    pub fn unreachable(&self) -> Option<Unreachable> {
        let normalizer = self.inner.get_normalizer()?;
        let added = self.inner.get_added_tokens_decoder();
        let mut vocab: Vec<(u32, String)> =
            self.inner.get_model().get_vocab().into_iter().map(|(token, id)| (id, token)).collect();
        vocab.retain(|(id, _)| !added.contains_key(id));
        vocab.sort_unstable();
        let mut found = Unreachable { count: 0, pieces: vocab.len(), examples: Vec::new() };
        for (_, token) in vocab {
            if let Some(made) = changed_by(normalizer, &token) {
                found.count += 1;
                if found.examples.len() < 3 {
                    found.examples.push((token, made));
                }
            }
        }
        (found.count > 0).then_some(found)
    }
}
