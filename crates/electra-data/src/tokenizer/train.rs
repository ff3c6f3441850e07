//! Trains a WordPiece vocabulary on a corpus.
//!
//! Words are counted in one parallel pass; the `tokenizers` crate's BPE-style trainer, the one behind its WordPiece, merges
//! them. On its own that trainer numbers the "##x" pieces in the order of a randomly seeded hash map, and so breaks ties
//! between equally frequent pairs differently in every run. Here all single characters, first and continuing, are handed to it
//! in sorted order beforehand: equal input gives an equal vocabulary.

use std::collections::BTreeSet;

use ahash::AHashMap;
use compact_str::CompactString;
use tokenizers::AddedToken;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::normalizers::BertNormalizer;

use super::words::for_each_word;
use super::{SPECIAL_NAMES, Tokenizer};
use crate::error::{DataError, Result};
use crate::input::TextSource;
use crate::pipeline::{OnProgress, Progress, Stage, for_each_block, report, worker_count};

/// WordPiece turns longer words into [UNK], so they teach nothing.
const MAX_WORD_CHARACTERS: usize = 100;
/// The trainer counts in `i32`; larger corpora are scaled down to this many characters of words.
const MAX_COUNTED: u64 = 1 << 30;

/// How a vocabulary is trained.
#[derive(Debug, Clone)]
pub struct TrainOptions {
    /// Entries, the five special tokens included. A small corpus may give fewer.
    pub vocab_size: usize,
    /// Lowercase and strip accents, as BERT's uncased models.
    pub lowercase: bool,
    /// Pairs seen less often are not merged.
    pub min_frequency: u64,
    /// Characters kept, the most frequent ones; a word with any other is [UNK].
    pub alphabet_limit: usize,
    /// Threads; 0 means one per core.
    pub jobs: usize,
}

impl Default for TrainOptions {
    fn default() -> Self {
        Self { vocab_size: 30_522, lowercase: true, min_frequency: 2, alphabet_limit: 1000, jobs: 0 }
    }
}

impl Tokenizer {
    /// Trains BERT's kind of tokenizer. Equal text gives an equal vocabulary, whatever the number of jobs.
    ///
    /// Memory grows with the number of distinct words, not with the corpus.
    ///
    /// # Errors
    /// Those of reading; a corpus without words; a `vocab_size` too small for the characters found.
    pub fn train(source: &TextSource, options: &TrainOptions, on_progress: &mut OnProgress) -> Result<Self> {
        let (words, progress) = count_words(source, options, on_progress)?;
        let total: u64 = words.values().sum();
        if total == 0 {
            return Err(DataError::TooSmall {
                what: source.names().join(", "),
                reason: "no word found to train a vocabulary on".into(),
                remedy: "give text with --input".into(),
            });
        }
        report(on_progress, &Progress { stage: Stage::Merging, ..progress })?;
        let (first, continuing, words) = keep_alphabet(words, options.alphabet_limit);
        let characters = SPECIAL_NAMES.len() + first.len() + continuing.len();
        if options.vocab_size < characters {
            let reason = format!(
                "the special tokens and the corpus's characters alone take {characters} entries; \
                 ask for more, or lower the alphabet limit (now {})",
                options.alphabet_limit
            );
            return Err(DataError::setting("vocab_size", options.vocab_size, reason));
        }
        let pinned = SPECIAL_NAMES
            .map(String::from)
            .into_iter()
            .chain(first.iter().map(char::to_string))
            .chain(continuing.iter().map(|character| format!("##{character}")))
            .map(|token| AddedToken::from(token, true))
            .collect();
        let trainer = BpeTrainer::builder()
            .show_progress(false)
            .vocab_size(options.vocab_size.min(most_entries(characters, &words)))
            .min_frequency(options.min_frequency)
            .continuing_subword_prefix("##".into())
            .special_tokens(pinned)
            .build();
        let mut model = BPE::default();
        trainer
            .do_train(&words, &mut model)
            .map_err(|error| DataError::tokenizer("training", error, "report this as a bug"))?;
        let mut tokens: Vec<(u32, String)> = model.get_vocab().into_iter().map(|(token, id)| (id, token)).collect();
        tokens.sort();
        let tokens: Vec<String> = tokens.into_iter().map(|(_, token)| token).collect();
        Self::from_vocab(&tokens, options.lowercase, "trained vocabulary")
    }
}

type WordCounts = AHashMap<CompactString, u64>;

fn count_words(
    source: &TextSource,
    options: &TrainOptions,
    on_progress: &mut OnProgress,
) -> Result<(WordCounts, Progress)> {
    let normalizer = BertNormalizer::new(true, true, None, options.lowercase);
    let mut words = WordCounts::new();
    let mut progress = Progress { input_total_bytes: source.input_bytes(), ..Progress::default() };
    let make_worker = || {
        let mut scratch = Vec::new();
        move |block: crate::pipeline::LineBlock| {
            let mut counts = WordCounts::new();
            for line in block.lines() {
                for_each_word(line, &normalizer, &mut scratch, |word| {
                    if let Some(count) = counts.get_mut(word) {
                        *count += 1;
                    } else if word.len() <= MAX_WORD_CHARACTERS || word.chars().count() <= MAX_WORD_CHARACTERS {
                        counts.insert(word.into(), 1);
                    }
                });
            }
            (counts, block.lines().count() as u64, block.document_ends.len() as u64, block.text_bytes())
        }
    };
    for_each_block(
        source,
        worker_count(options.jobs),
        make_worker,
        |(counts, lines, documents, text_bytes), input_bytes| {
            for (word, count) in counts {
                *words.entry(word).or_default() += count;
            }
            progress.lines += lines;
            progress.documents += documents;
            progress.text_bytes += text_bytes;
            progress.input_bytes = input_bytes;
            report(on_progress, &progress)
        },
    )?;
    Ok((words, progress))
}

/// More entries than these words can give: every merge makes one, and leaves the words with one piece less. The trainer
/// allocates for as many as it is asked for.
fn most_entries(characters: usize, words: &WordCounts) -> usize {
    characters + words.keys().map(|word| word.chars().count().saturating_sub(1)).sum::<usize>()
}

/// The `limit` most frequent characters, as first and as continuing pieces, sorted; and the words made of them alone.
fn keep_alphabet(words: WordCounts, limit: usize) -> (Vec<char>, Vec<char>, WordCounts) {
    let mut frequency: AHashMap<char, u64> = AHashMap::new();
    for (word, count) in &words {
        for character in word.chars() {
            *frequency.entry(character).or_default() += count;
        }
    }
    let counted: u64 = frequency.values().sum();
    let mut ranked: Vec<(char, u64)> = frequency.into_iter().collect();
    ranked.sort_by_key(|&(character, count)| (std::cmp::Reverse(count), character));
    ranked.truncate(limit);
    let mut first: Vec<char> = ranked.into_iter().map(|(character, _)| character).collect();
    first.sort_unstable();
    let scale = counted.div_ceil(MAX_COUNTED).max(1);
    let kept: WordCounts = words
        .into_iter()
        .filter(|(word, _)| word.chars().all(|character| first.binary_search(&character).is_ok()))
        .map(|(word, count)| (word, count.div_ceil(scale)))
        .collect();
    let continuing: BTreeSet<char> = kept.keys().flat_map(|word| word.chars().skip(1)).collect();
    let continuing = continuing.into_iter().collect();
    (first, continuing, kept)
}
