//! What a run learns from.

#[cfg(feature = "native")]
mod dataset;

use std::path::PathBuf;

use electra_data::{BatchSource, CorpusRecord, SpecialTokens, WordSwaps};

#[cfg(feature = "native")]
pub(crate) use self::dataset::keep_tokenizer;
#[cfg(feature = "native")]
pub use self::dataset::{describe, open, pad_word_table, tokenizer_of};
use crate::baseline::FrequencyDetector;

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
    /// Folder with the tokenizer's files, copied beside the exported networks.
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
