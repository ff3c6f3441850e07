//! What a vocabulary has no pieces for: how much of a text it is, which words, and why.
//!
//! A network learns nothing from [UNK], and nothing says so: a vocabulary of another language trains without an error. So the
//! share is counted wherever text becomes tokens, with the words that make most of it.

use std::fmt::Write;

use ahash::AHashMap;
use serde::{Deserialize, Serialize};
use tokenizers::{Model, ModelWrapper};

use super::Tokenizer;

/// Above this share of [UNK] a text is worth a warning.
pub const NOTABLE_SHARE: f64 = 0.01;
/// Above this share a text teaches less than it hides: refused unless asked for.
pub const REFUSED_SHARE: f64 = 0.5;

/// Different words that are counted at a time.
const MAX_WORDS: usize = 512;
/// Words that are kept for messages.
const KEPT_WORDS: usize = 12;
/// Words that a message names, and how much of each.
const NAMED_WORDS: usize = 4;
const NAMED_CHARACTERS: usize = 20;
/// Characters of a word that are kept: enough to tell that it is longer than any vocabulary's limit of words.
const KEPT_CHARACTERS: usize = 201;

/// Counts of the most frequent unknown words, in bounded memory.
///
/// Where there are more different ones than it holds, all counts are lowered together (Misra and Gries 1982): what is more frequent than
/// one in [`MAX_WORDS`] stays, counts are lower bounds. The same words in the same order give the same counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct UnknownWords {
    counts: AHashMap<Box<str>, u64>,
}

impl UnknownWords {
    pub(crate) fn add(&mut self, word: &str, count: u64) {
        let word = match word.char_indices().nth(KEPT_CHARACTERS) {
            Some((end, _)) => &word[..end],
            None => word,
        };
        if let Some(known) = self.counts.get_mut(word) {
            *known += count;
            return;
        }
        let mut count = count;
        while count > 0 && self.counts.len() >= MAX_WORDS {
            let lowered = self.counts.values().copied().min().unwrap_or(0).min(count);
            self.counts.retain(|_, known| {
                *known -= lowered;
                *known > 0
            });
            count -= lowered;
        }
        if count > 0 {
            self.counts.insert(word.into(), count);
        }
    }

    /// Adds what another one counted.
    pub(crate) fn merge(&mut self, other: &Self) {
        for word in other.sorted() {
            self.add(&word.word, word.count);
        }
    }

    fn sorted(&self) -> Vec<UnknownWord> {
        let counts = self.counts.iter();
        let mut words: Vec<_> = counts.map(|(word, &count)| UnknownWord { word: word.to_string(), count }).collect();
        words.sort_unstable_by(|a, b| b.count.cmp(&a.count).then_with(|| a.word.cmp(&b.word)));
        words
    }

    /// The record of a text of `tokens` tokens, `unknown` of them [UNK], whose words these are.
    pub(crate) fn record(&self, tokens: u64, unknown: u64) -> UnknownTokens {
        let mut words = self.sorted();
        words.truncate(KEPT_WORDS);
        UnknownTokens { tokens, unknown, words }
    }
}

/// A word that became [UNK], as the normaliser left it; a long one is cut short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnknownWord {
    /// Its first characters.
    pub word: String,
    /// How often it came up, at least.
    pub count: u64,
}

/// How much of a text is [UNK].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnknownTokens {
    /// Tokens of the text.
    pub tokens: u64,
    /// Those that are [UNK].
    pub unknown: u64,
    /// The most frequent words behind them, most frequent first.
    pub words: Vec<UnknownWord>,
}

impl UnknownTokens {
    /// Share of [UNK] among the tokens.
    pub fn share(&self) -> f64 {
        self.unknown as f64 / self.tokens.max(1) as f64
    }

    /// Whether it is worth a warning.
    pub fn is_notable(&self) -> bool {
        self.share() > NOTABLE_SHARE
    }

    /// Whether such a text should be refused.
    pub fn is_refused(&self) -> bool {
        self.share() > REFUSED_SHARE
    }

    /// The share, the words and the cause, as one message. `tokenizer`: the one whose tokens were counted.
    pub fn explained(&self, tokenizer: &Tokenizer) -> String {
        let mut text = format!("{:.1} % of the tokens are [UNK], which teach nothing", 100.0 * self.share());
        let named: Vec<String> = self
            .words
            .iter()
            .take(NAMED_WORDS)
            .map(|word| format!("{} ({} x)", quoted(&word.word), word.count))
            .collect();
        if !named.is_empty() {
            write!(text, "; most often {}", named.join(", ")).expect("a string takes all");
        }
        if let Some(cause) = cause(&self.words, tokenizer) {
            write!(text, ": {cause}").expect("a string takes all");
        }
        text
    }
}

/// A word for a message, a long one cut.
pub(crate) fn quoted(word: &str) -> String {
    match word.char_indices().nth(NAMED_CHARACTERS) {
        Some((end, _)) => format!("\"{}…\"", &word[..end]),
        None => format!("\"{word}\""),
    }
}

/// Why most of `words` are unknown; `None` where nothing can be said.
fn cause(words: &[UnknownWord], tokenizer: &Tokenizer) -> Option<String> {
    let ModelWrapper::WordPiece(model) = tokenizer.inner.get_model() else { return None };
    let total: u64 = words.iter().map(|word| word.count).sum();
    let limit = model.max_input_chars_per_word;
    let (mut too_long, mut without_piece) = (0, 0);
    let mut characters: Vec<(char, u64)> = Vec::new();
    for word in words {
        if word.word.chars().count() > limit.min(KEPT_CHARACTERS - 1) {
            too_long += word.count;
            continue;
        }
        let mut has_strange = false;
        for character in word.word.chars() {
            let prefix = &model.continuing_subword_prefix;
            if model.token_to_id(&character.to_string()).is_some()
                || model.token_to_id(&format!("{prefix}{character}")).is_some()
            {
                continue;
            }
            has_strange = true;
            match characters.iter_mut().find(|(known, _)| *known == character) {
                Some((_, count)) => *count += word.count,
                None => characters.push((character, word.count)),
            }
        }
        without_piece += if has_strange { word.count } else { 0 };
    }
    let mut causes = Vec::new();
    if 2 * too_long > total {
        causes.push(format!(
            "words of more than {limit} characters are [UNK], as in text that is written without blanks; a tokenizer \
             that \"electra tokenizer train\" makes of such text cuts Thai, Lao, Khmer and Burmese into syllables"
        ));
    } else if 2 * without_piece > total {
        // Those of equal counts stay in the order of the words.
        characters.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
        let named: Vec<String> = characters.iter().take(5).map(|(character, _)| format!("\"{character}\"")).collect();
        causes.push(format!(
            "the vocabulary has no piece for {}: it was made for another language, or of too few characters \
             (\"electra tokenizer train\" has --alphabet-limit)",
            named.join(", ")
        ));
    } else if total > 0 {
        causes.push("the vocabulary has their characters, but not in that place of a word".to_owned());
    }
    if let Some(unreachable) = tokenizer.unreachable().filter(|unreachable| unreachable.is_notable()) {
        causes.push(unreachable.to_string());
    }
    (!causes.is_empty()).then(|| causes.join("; "))
}

#[cfg(all(test, feature = "native"))]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_words_stay_however_many_there_are() {
        let mut words = UnknownWords::default();
        for round in 0..3000 {
            words.add("frequent", 1);
            words.add(&format!("rare {round}"), 1);
        }
        assert!(words.counts.len() <= MAX_WORDS);
        let record = words.record(10_000, 6000);
        assert_eq!(record.words[0].word, "frequent");
        assert!(record.words[0].count > 2900, "{:?}", record.words[0]);
        let mut merged = UnknownWords::default();
        merged.merge(&words);
        assert_eq!(merged.record(10_000, 6000), record);
    }

    #[test]
    fn causes_are_told_apart() {
        let tokenizer =
            Tokenizer::from_vocab_bytes("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\na\n##b".as_bytes(), true).unwrap();
        let explained = |words: &[(&str, u64)]| {
            let words = words.iter().map(|&(word, count)| UnknownWord { word: word.into(), count }).collect();
            UnknownTokens { tokens: 100, unknown: 20, words }.explained(&tokenizer)
        };
        let text = explained(&[("मैं", 15), ("xab", 5)]);
        assert!(text.starts_with("20.0 % of the tokens are [UNK]") && text.contains("\"मैं\" (15 x)"), "{text}");
        assert!(text.contains("no piece for \"म\"") && text.contains("--alphabet-limit"), "{text}");
        let text = explained(&[(&"ก".repeat(150), 15), ("xab", 5)]);
        assert!(text.contains("more than 100 characters") && text.contains('…'), "{text}");
        assert!(explained(&[("ba", 1)]).contains("not in that place"));
    }
}
