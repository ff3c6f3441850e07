//! Text to tokens, shards, examples, masks and batches.
//!
//! The core (tokenizer, packing, masking, batches over token lines in memory) compiles to WebAssembly; files, Parquet,
//! compression and threads stand behind the default feature `native`. Nothing here knows Burn or prints.
//!
//! ```
//! use std::sync::Arc;
//! use electra_data::{BatchSource, MaskingConfig, MemoryCorpus, Tokenizer};
//!
//! let vocab = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\nchef\nate\nmeal\n##s";
//! let tokenizer = Tokenizer::from_vocab_bytes(vocab.as_bytes(), true)?;
//! let lines = vec![tokenizer.encode("The chefs ate the meals"); 8];
//! let corpus = Arc::new(MemoryCorpus::new([lines.as_slice()]));
//! let batches = BatchSource::new(corpus, tokenizer.special(), tokenizer.vocab_size(), 16, 2, MaskingConfig::default(), 42)?;
//! assert_eq!(batches.batch(7), batches.batch(7)); // a pure function of the step
//! # Ok::<(), electra_data::DataError>(())
//! ```

#![warn(missing_docs)]

#[cfg(feature = "native")]
pub mod atomic;
mod batch;
mod blocks;
#[cfg(feature = "native")]
mod build;
mod corpus_record;
#[cfg(feature = "native")]
mod cut_cache;
#[cfg(feature = "native")]
mod dataset;
mod error;
mod folder;
#[cfg(feature = "native")]
mod folder_lock;
#[cfg(feature = "native")]
pub mod input;
#[cfg(feature = "native")]
mod inspect;
#[cfg(feature = "native")]
mod manifest;
mod masking;
#[cfg(feature = "native")]
mod out_folder;
pub mod packing;
#[cfg(feature = "native")]
mod pipeline;
#[cfg(feature = "native")]
mod prefetch;
pub mod random;
pub mod record;
#[cfg(feature = "native")]
pub mod rust_docs;
#[cfg(feature = "native")]
mod shard;
mod source;
#[cfg(feature = "native")]
mod split;
mod swap;
mod text;
pub mod tokenizer;
mod tokens_digest;
#[cfg(feature = "native")]
mod vectors;

pub use batch::{Batch, ExampleKey, push_example};
#[cfg(feature = "native")]
pub use build::{BuildOptions, build};
pub use corpus_record::CorpusRecord;
#[cfg(feature = "native")]
pub use cut_cache::CACHE_FOLDER;
#[cfg(feature = "native")]
pub use dataset::{Dataset, dataset_tokenizer};
pub use error::{DataError, Result};
pub use folder::{FilesInMemory, Folder};
#[cfg(feature = "native")]
pub use folder_lock::FolderLock;
#[cfg(feature = "native")]
pub use input::{InputOptions, InputReport, LeftOut, OnError, Skipped, TextSource};
#[cfg(feature = "native")]
pub use inspect::{ExampleToken, Inspection, LengthHistogram, SplitStatistics, inspect};
#[cfg(feature = "native")]
pub use manifest::{HeldOutBy, MANIFEST_FILE, Manifest, Split, SplitRecord, TOKENIZER_FOLDER};
pub use masking::{Masked, MaskingConfig, Replacement, choose_masked};
#[cfg(feature = "native")]
pub use out_folder::{OutFolder, finish_interrupted};
pub use packing::{Corpus, CutKey, CutList, MemoryCorpus, cut_list};
#[cfg(feature = "native")]
pub use pipeline::{OnProgress, Progress, Stage};
#[cfg(feature = "native")]
pub use prefetch::Prefetcher;
#[cfg(feature = "native")]
pub use shard::ShardRecord;
pub use source::{BatchSource, CutCache};
pub use swap::{Swapped, WordSwaps, whole_word_counts};
pub use text::TextInMemory;
pub use tokenizer::{
    ImportOptions, Imported, LeftOutCharacters, LineEncoder, SpecialTokens, StripAccents, TokenKind, Tokenizer,
    TrainOptions, Trained, UnknownTokens, UnknownWord, Unreachable,
};
#[cfg(feature = "native")]
pub use vectors::parquet_of_vectors;
