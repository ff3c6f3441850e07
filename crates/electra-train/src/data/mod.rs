//! What a run learns from.

#[cfg(feature = "native")]
mod dataset;
mod in_memory;

use std::path::PathBuf;

use electra_data::{BatchSource, Corpus, CorpusRecord, SpecialTokens, Tokenizer, WordSwaps, whole_word_counts};

#[cfg(feature = "native")]
pub(crate) use self::dataset::{fingerprint, keep_tokenizer};
#[cfg(feature = "native")]
pub use self::dataset::{open, pad_word_table, tokenizer_of};
pub use self::in_memory::in_memory;
use crate::pretraining::{FrequencyDetector, Probe};

/// The validation split's examples are the same for every run of a dataset, whatever the run's seed.
const VALIDATION_SEED: u64 = 0;
/// Tokens that the frequency detectors count: enough for stable bigrams, and a bound on memory.
const BASELINE_TOKENS: u64 = 20_000_000;

/// The text a run learns from and is judged on.
#[derive(Clone)]
pub struct TrainingData {
    /// What is trained on.
    pub train: BatchSource,
    /// What is held out.
    pub validation: BatchSource,
    /// The tokenizer's.
    pub special: SpecialTokens,
    /// Entries of the tokenizer; a network's word table may have more.
    pub vocab_size: usize,
    /// What to say of [UNK] where there is much of it.
    pub unknown_warning: Option<String>,
    /// Whether more than half of the tokens are [UNK].
    pub is_mostly_unknown: bool,
    /// Frequencies of the training text.
    pub baseline: Option<FrequencyDetector>,
    /// Words by how often they stand in the training text, to swap them in held-out text.
    pub swaps: Option<WordSwaps>,
    /// A task that is tried on the way.
    pub probe: Option<Probe>,
    /// Folder with the tokenizer's files, copied beside the exported networks; empty where it lies in memory.
    pub tokenizer: PathBuf,
    /// What may be said of the text anywhere.
    pub corpus: CorpusRecord,
    /// The tokenizer in words, for the model card.
    pub tokenizer_description: String,
    /// Tells the tokenizer from any other.
    pub tokenizer_sha256: String,
    /// Tells the tokens of this dataset from any others, wherever and under whatever name it lies.
    pub fingerprint: String,
}

/// A tokenizer in words, for a model card.
pub fn describe(tokenizer: &Tokenizer) -> String {
    format!("WordPiece, {} entries, {}", tokenizer.vocab_size(), tokenizer.casing())
}

fn frequencies(corpus: &dyn Corpus, vocab_size: usize) -> FrequencyDetector {
    let mut lines: Vec<Vec<u32>> = Vec::new();
    corpus.for_each_line(BASELINE_TOKENS, &mut |ids| lines.push(ids.iter().map(|&id| id as u32).collect()));
    FrequencyDetector::count(&lines, vocab_size, BASELINE_TOKENS)
}

fn swaps(corpus: &dyn Corpus, tokenizer: &Tokenizer) -> WordSwaps {
    let kinds = tokenizer.token_kinds();
    let counts = whole_word_counts(corpus, &kinds, BASELINE_TOKENS);
    WordSwaps::new(&counts, kinds)
}
