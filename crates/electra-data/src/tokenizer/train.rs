//! Trains a WordPiece vocabulary on a corpus.
//!
//! Words are counted in one pass; the `tokenizers` crate's BPE-style trainer, the one behind its WordPiece, merges
//! them. On its own that trainer numbers the "##x" pieces in the order of a randomly seeded hash map, and so breaks ties
//! between equally frequent pairs differently in every run. Here all single characters, first and continuing, are handed to it
//! in sorted order beforehand: equal input gives an equal vocabulary.
//!
//! Words are counted under rules that lose nothing of any script; what of them changed no word of the text is then left
//! out, so that text in alphabets gets exactly BERT's tokenizer.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use ahash::AHashMap;
use compact_str::CompactString;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::{AddedToken, Model};

use super::rules::{TextRules, WordCutter};
use super::words::for_each_word;
use super::{SPECIAL_NAMES, StripAccents, Tokenizer, UnknownTokens, UnknownWords};
use crate::error::{DataError, Result};
use crate::text::text_lines;

/// WordPiece turns longer words into [UNK], so they teach nothing.
const MAX_WORD_CHARACTERS: usize = 100;
/// The trainer counts in `i32`; larger corpora are scaled down to this many characters of words.
const MAX_COUNTED: u64 = 1 << 30;
/// Characters that are kept in any case, the most frequent ones; any alphabet has fewer.
const SMALL_ALPHABET: usize = 1000;
/// Share of a text's characters beyond which no more are kept, as long as they leave half of the vocabulary to words: the last
/// ten-thousandth is names and noise. (SentencePiece's default for Chinese and Japanese is 0.9995.)
const COVERAGE: f64 = 0.9999;

/// How a vocabulary is trained.
#[derive(Debug, Clone)]
pub struct TrainOptions {
    /// Entries, the five special tokens included. A small corpus may give fewer.
    pub vocab_size: usize,
    /// Lowercase, as BERT's uncased models.
    pub lowercase: bool,
    /// Which marks are taken off letters.
    pub strip_accents: StripAccents,
    /// Pairs seen less often are not merged.
    pub min_frequency: u64,
    /// Characters kept, the most frequent ones; a word with any other is [UNK]. `None`: as many as the text needs
    /// ([`COVERAGE`]) and the vocabulary has room for.
    pub alphabet_limit: Option<usize>,
    /// Pieces kept that are neither words nor characters, the first ones merged: all other entries are the most frequent words.
    /// `None`: whatever is merged, as BERT's vocabularies.
    ///
    /// Of 8,192 entries merged on books a quarter are pieces that continue words and an eighth are beginnings of words; a small network can tell
    /// hardly anything of a word that it reads in pieces (docs/LOG.md, 2026-11-27).
    pub pieces: Option<usize>,
    /// Threads; 0 means one per core.
    pub jobs: usize,
}

impl Default for TrainOptions {
    fn default() -> Self {
        Self {
            vocab_size: 30_522,
            lowercase: true,
            strip_accents: StripAccents::Auto,
            min_frequency: 2,
            alphabet_limit: None,
            pieces: None,
            jobs: 0,
        }
    }
}

/// A vocabulary and how much of its text it can say.
#[derive(Debug, Clone)]
pub struct Trained {
    /// The vocabulary and its rules.
    pub tokenizer: Tokenizer,
    /// [UNK] in the text that it was trained on.
    pub unknown: UnknownTokens,
    /// Characters of the text that the vocabulary has no pieces for.
    pub left_out: Option<LeftOutCharacters>,
}

/// Characters that are not in a vocabulary's alphabet.
#[derive(Debug, Clone, PartialEq)]
pub struct LeftOutCharacters {
    /// How many are left out.
    pub characters: usize,
    /// How many are kept.
    pub kept: usize,
    /// Share of the text's characters.
    pub share: f64,
    /// The most frequent of them.
    pub examples: Vec<char>,
}

impl Tokenizer {
    /// Trains BERT's kind of tokenizer on a text in memory. Equal text gives an equal vocabulary, here and from a file.
    ///
    /// # Errors
    /// A text without words; a `vocab_size` too small for the characters found.
    pub fn train_on_text(text: &str, options: &TrainOptions) -> Result<Trained> {
        // A page has one thread, and the crate would ask for more.
        #[cfg(target_family = "wasm")]
        tokenizers::utils::parallelism::set_parallelism(false);
        let careful = TextRules::careful(options.lowercase, options.strip_accents);
        let mut counter = WordCounter::new(&careful);
        text_lines(text).for_each(|line| counter.count(line));
        Self::train_on_counts(careful, counter.counted, "the text", options)
    }

    /// The tokenizer for words counted under `careful`; errors call their text `what`.
    pub(super) fn train_on_counts(
        careful: TextRules,
        counted: Counted,
        what: &str,
        options: &TrainOptions,
    ) -> Result<Trained> {
        let Counted { words, too_long } = counted;
        if words.is_empty() {
            return Err(no_words(what, &too_long));
        }
        let rules = careful.simplified(words.keys().map(CompactString::as_str));
        let alphabet = choose_alphabet(words, options);
        let characters = alphabet.entries();
        if options.vocab_size < characters {
            let reason = format!(
                "the special tokens and the corpus's characters alone take {characters} entries; \
                 ask for more, or lower the alphabet limit (now {})",
                alphabet.first.len()
            );
            return Err(DataError::setting("vocab_size", options.vocab_size, reason));
        }
        let merged = merge(&alphabet, options)?;
        let tokens = match options.pieces {
            Some(pieces) => words_first(merged, pieces, &alphabet, options),
            None => merged,
        };
        let tokenizer = Self::from_vocab(&tokens, &rules, "trained vocabulary")?;
        let unknown = tokenizer.unknown_of(&alphabet, &too_long);
        Ok(Trained { tokenizer, unknown, left_out: alphabet.left_out })
    }

    /// [UNK] in the text that was counted.
    fn unknown_of(&self, alphabet: &Alphabet, too_long: &LongWords) -> UnknownTokens {
        let model = self.inner.get_model();
        let pieces = |word: &str| model.tokenize(word).map_or(1, |tokens| tokens.len() as u64);
        let known: u64 = alphabet.words.iter().map(|(word, count)| alphabet.scale * count * pieces(word)).sum();
        let mut words = alphabet.strange.clone();
        words.merge(&too_long.words);
        let unknown = alphabet.strange_count + too_long.count;
        words.record(known + unknown, unknown)
    }
}

/// All tokens in the order of their ids.
fn merge(alphabet: &Alphabet, options: &TrainOptions) -> Result<Vec<String>> {
    let pinned = SPECIAL_NAMES
        .map(String::from)
        .into_iter()
        .chain(alphabet.first.iter().map(char::to_string))
        .chain(alphabet.continuing.iter().map(|character| format!("##{character}")))
        .map(|token| AddedToken::from(token, true))
        .collect();
    let trainer = BpeTrainer::builder()
        .show_progress(false)
        .vocab_size(options.vocab_size.min(most_entries(alphabet)))
        .min_frequency(options.min_frequency)
        .continuing_subword_prefix("##".into())
        .special_tokens(pinned)
        .build();
    let mut model = BPE::default();
    trainer
        .do_train(&alphabet.words, &mut model)
        .map_err(|error| DataError::tokenizer("training", error, "report this as a bug"))?;
    let mut tokens: Vec<(u32, String)> = model.get_vocab().into_iter().map(|(token, id)| (id, token)).collect();
    tokens.sort();
    Ok(tokens.into_iter().map(|(_, token)| token).collect())
}

/// Of merged `tokens` the characters and the first `pieces` that are no words; then words, the most frequent first.
fn words_first(mut tokens: Vec<String>, pieces: usize, alphabet: &Alphabet, options: &TrainOptions) -> Vec<String> {
    let merged = tokens.split_off(alphabet.entries().min(tokens.len()));
    tokens.extend(merged.into_iter().filter(|token| !alphabet.words.contains_key(token.as_str())).take(pieces));
    let is_wanted =
        |(word, count): &(&CompactString, &u64)| **count >= options.min_frequency && word.chars().nth(1).is_some();
    let mut words: Vec<(&CompactString, &u64)> = alphabet.words.iter().filter(is_wanted).collect();
    words.sort_unstable_by_key(|&(word, count)| (Reverse(count), word));
    let room = options.vocab_size.saturating_sub(tokens.len());
    tokens.extend(words.into_iter().take(room).map(|(word, _)| word.to_string()));
    tokens
}

fn no_words(what: &str, too_long: &LongWords) -> DataError {
    let (reason, remedy) = if too_long.count > 0 {
        (
            format!(
                "all {} words are longer than {MAX_WORD_CHARACTERS} characters, and WordPiece takes none of them",
                too_long.count
            ),
            "separate the words of the text with blanks; Thai, Lao, Khmer and Burmese alone are cut into syllables",
        )
    } else {
        ("no word found to train a vocabulary on".to_owned(), "give text with --input")
    };
    DataError::TooSmall { what: what.to_owned(), reason, remedy: remedy.into() }
}

pub(super) type WordCounts = AHashMap<CompactString, u64>;

/// Words that are too long for any vocabulary.
#[derive(Default)]
pub(super) struct LongWords {
    pub(super) count: u64,
    pub(super) words: UnknownWords,
}

/// The words of a text.
#[derive(Default)]
pub(super) struct Counted {
    pub(super) words: WordCounts,
    pub(super) too_long: LongWords,
}

/// Counts the words of lines.
pub(super) struct WordCounter<'r> {
    rules: &'r TextRules,
    cutter: WordCutter,
    scratch: Vec<u8>,
    pub(super) counted: Counted,
}

impl<'r> WordCounter<'r> {
    pub(super) fn new(rules: &'r TextRules) -> Self {
        Self { rules, cutter: WordCutter::new(rules), scratch: Vec::new(), counted: Counted::default() }
    }

    pub(super) fn count(&mut self, line: &str) {
        let Counted { words, too_long } = &mut self.counted;
        for_each_word(line, &self.cutter, self.rules.of_chunks(), &mut self.scratch, |word| {
            if let Some(count) = words.get_mut(word) {
                *count += 1;
            } else if word.len() <= MAX_WORD_CHARACTERS || word.chars().count() <= MAX_WORD_CHARACTERS {
                words.insert(word.into(), 1);
            } else {
                too_long.count += 1;
                too_long.words.add(word, 1);
            }
        });
    }
}

/// The characters of a vocabulary, and the words that can be written with them.
struct Alphabet {
    /// Characters that begin words, sorted: all of them, since any may.
    first: Vec<char>,
    /// Characters that continue words, sorted.
    continuing: Vec<char>,
    /// Words of these characters with their counts, divided by `scale`.
    words: WordCounts,
    scale: u64,
    /// Words with other characters, and how many there are in all.
    strange: UnknownWords,
    strange_count: u64,
    left_out: Option<LeftOutCharacters>,
}

impl Alphabet {
    /// Entries of a vocabulary that has these characters and the special tokens alone.
    fn entries(&self) -> usize {
        SPECIAL_NAMES.len() + self.first.len() + self.continuing.len()
    }
}

/// More entries than these words can give: every merge makes one, and leaves the words with one piece less. The trainer
/// allocates for as many as it is asked for.
fn most_entries(alphabet: &Alphabet) -> usize {
    alphabet.entries() + alphabet.words.keys().map(|word| word.chars().count().saturating_sub(1)).sum::<usize>()
}

fn choose_alphabet(words: WordCounts, options: &TrainOptions) -> Alphabet {
    let mut frequency: AHashMap<char, u64> = AHashMap::new();
    let mut continues: BTreeSet<char> = BTreeSet::new();
    for (word, count) in &words {
        for (place, character) in word.chars().enumerate() {
            *frequency.entry(character).or_default() += count;
            if place > 0 && !character.is_ascii() {
                continues.insert(character);
            }
        }
    }
    let counted: u64 = frequency.values().sum();
    let mut ranked: Vec<(char, u64)> = frequency.into_iter().collect();
    ranked.sort_by_key(|&(character, count)| (Reverse(count), character));
    let kept = options.alphabet_limit.unwrap_or_else(|| {
        let (mut entries, mut covered) = (0, 0);
        let needed = (COVERAGE * counted as f64) as u64;
        let room = |(place, &(character, count)): (usize, &(char, u64))| {
            entries += 1 + usize::from(continues.contains(&character));
            let take = place < SMALL_ALPHABET || (covered < needed && 2 * entries <= options.vocab_size);
            covered += count;
            take
        };
        ranked.iter().enumerate().map(room).take_while(|take| *take).count()
    });
    let rare = ranked.split_off(kept.min(ranked.len()));
    let left_out = (!rare.is_empty()).then(|| LeftOutCharacters {
        characters: rare.len(),
        kept: ranked.len(),
        share: rare.iter().map(|&(_, count)| count).sum::<u64>() as f64 / counted.max(1) as f64,
        examples: rare.iter().take(5).map(|&(character, _)| character).collect(),
    });
    let mut first: Vec<char> = ranked.into_iter().map(|(character, _)| character).collect();
    first.sort_unstable();
    let scale = counted.div_ceil(MAX_COUNTED).max(1);
    let (mut strange_words, mut strange_count) = (Vec::new(), 0);
    let kept: WordCounts = words
        .into_iter()
        .filter_map(|(word, count)| {
            if word.chars().all(|character| first.binary_search(&character).is_ok()) {
                return Some((word, count.div_ceil(scale)));
            }
            strange_count += count;
            strange_words.push((count, word));
            None
        })
        .collect();
    // The order of a hash map is another one each time, and what a bounded counter keeps depends on order.
    strange_words.sort_unstable_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let mut strange = UnknownWords::default();
    for (count, word) in strange_words.iter().take(100) {
        strange.add(word, *count);
    }
    let continuing: BTreeSet<char> = kept.keys().flat_map(|word| word.chars().skip(1)).collect();
    let continuing = continuing.into_iter().collect();
    Alphabet { first, continuing, words: kept, scale, strange, strange_count, left_out }
}
