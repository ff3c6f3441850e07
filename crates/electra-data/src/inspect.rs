//! `data inspect`: what a dataset holds, in numbers and in one example with its mask.

use std::path::Path;

use serde::Serialize;

use crate::dataset::{Dataset, dataset_tokenizer};
use crate::error::Result;
use crate::manifest::{Manifest, Split};
use crate::masking::MaskingConfig;
use crate::packing::Corpus;
use crate::tokenizer::{Tokenizer, UnknownTokens};

/// How many lengths lie in each power of two.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct LengthHistogram {
    /// `counts[k]`: lengths in 2^k..2^(k+1).
    pub counts: Vec<u64>,
    /// 0 where there is none.
    pub shortest: u64,
    /// 0 where there is none.
    pub longest: u64,
    /// 0 where there is none.
    pub mean: f64,
}

/// One side of the split in numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SplitStatistics {
    /// [`Split::name`].
    pub split: &'static str,
    /// A document that a full shard cut counts once for each part.
    pub documents: u64,
    /// Not empty.
    pub lines: u64,
    /// Without [CLS] and [SEP].
    pub tokens: u64,
    /// Files.
    pub shards: usize,
    /// Examples of the first epoch at the sequence length asked for.
    pub examples: u64,
    /// Tokens per line.
    pub line_tokens: LengthHistogram,
    /// Tokens per document.
    pub document_tokens: LengthHistogram,
    /// Share of [UNK] among the tokens: high where the vocabulary is of another language.
    pub unknown_share: f64,
}

/// A token of an example.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExampleToken {
    /// As the vocabulary writes it.
    pub token: String,
    /// 0 for segment A, 1 for B.
    pub segment: u8,
    /// Whether the generator predicts it.
    pub chosen: bool,
    /// Whether the generator sees [MASK] in its place.
    pub masked: bool,
}

/// What `data inspect` shows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Inspection {
    /// What the folder says of itself.
    pub manifest: Manifest,
    /// Training, then validation.
    pub splits: Vec<SplitStatistics>,
    /// What to say of [UNK] where there is much of it: share, words, cause.
    pub unknown_warning: Option<String>,
    /// One example of the training split.
    pub example: Vec<ExampleToken>,
    /// The same, decoded.
    pub text: String,
}

/// Opens a dataset, checks all of it, and counts.
///
/// `example`: which example of the first epoch to decode, counted on from the start where there are fewer.
///
/// # Errors
/// Those of opening it, and of [`crate::BatchSource::new`].
pub fn inspect(
    folder: impl AsRef<Path>,
    seq: usize,
    masking: MaskingConfig,
    seed: u64,
    example: u64,
) -> Result<Inspection> {
    let folder = folder.as_ref();
    let manifest = Manifest::load(folder)?;
    let tokenizer = dataset_tokenizer(folder)?;
    let mut splits = Vec::new();
    let mut decoded = (Vec::new(), String::new());
    for split in [Split::Train, Split::Validation] {
        let dataset = Dataset::open(folder, split, tokenizer.sha256())?;
        let batches = dataset.batches(&tokenizer, seq, 1, masking.clone(), seed)?;
        let examples = batches.examples_in_epoch(0);
        if split == Split::Train {
            decoded = decode(&tokenizer, &batches.epoch_batch(0, example % examples.max(1), 1));
        }
        splits.push(statistics(&dataset, &tokenizer, examples));
    }
    let unknown_warning = unknown_warning(&manifest, &splits, &tokenizer);
    Ok(Inspection { manifest, splits, unknown_warning, example: decoded.0, text: decoded.1 })
}

/// From what is counted here; the words are the manifest's.
fn unknown_warning(manifest: &Manifest, splits: &[SplitStatistics], tokenizer: &Tokenizer) -> Option<String> {
    let words = manifest.unknown.as_ref().map_or_else(Vec::new, |unknown| unknown.words.clone());
    let unknown = splits.iter().map(|split| (split.unknown_share * split.tokens as f64).round() as u64).sum();
    let counted = UnknownTokens { tokens: splits.iter().map(|split| split.tokens).sum(), unknown, words };
    counted.is_notable().then(|| counted.explained(tokenizer))
}

fn statistics(dataset: &Dataset, tokenizer: &Tokenizer, examples: u64) -> SplitStatistics {
    let corpus = dataset.corpus();
    let record = dataset.manifest().split(dataset.split());
    let (mut line_tokens, mut document_tokens) = (LengthHistogram::default(), LengthHistogram::default());
    corpus.for_each_document(&mut |document| {
        for bounds in document.line_offsets.windows(2) {
            line_tokens.add(bounds[1] - bounds[0]);
        }
        if let (Some(first), Some(last)) = (document.line_offsets.first(), document.line_offsets.last()) {
            document_tokens.add(last - first);
        }
    });
    line_tokens.mean = record.tokens as f64 / record.lines.max(1) as f64;
    document_tokens.mean = record.tokens as f64 / record.documents.max(1) as f64;
    SplitStatistics {
        split: dataset.split().name(),
        documents: record.documents,
        lines: record.lines,
        tokens: record.tokens,
        shards: record.shards.len(),
        examples,
        line_tokens,
        document_tokens,
        unknown_share: count_token(&*corpus, tokenizer.special().unknown) as f64 / record.tokens.max(1) as f64,
    }
}

fn count_token(corpus: &dyn Corpus, id: u32) -> u64 {
    let mut count = 0;
    corpus.for_each_line(u64::MAX, &mut |tokens| {
        count += tokens.iter().filter(|&&token| token == id as i32).count() as u64;
    });
    count
}

fn decode(tokenizer: &Tokenizer, batch: &crate::batch::Batch) -> (Vec<ExampleToken>, String) {
    let length = batch.token_count();
    let chosen: Vec<i32> = batch
        .masked_positions
        .iter()
        .zip(&batch.mask_weights)
        .filter(|(_, weight)| **weight != 0.0)
        .map(|(&position, _)| position)
        .collect();
    let ids: Vec<u32> = batch.original_ids[..length].iter().map(|&id| id as u32).collect();
    let tokens = (0..length)
        .map(|at| {
            let chosen = chosen.contains(&(at as i32));
            ExampleToken {
                token: tokenizer.token(ids[at]).unwrap_or_else(|| format!("[id {}]", ids[at])),
                segment: batch.token_type_ids[at] as u8,
                chosen,
                masked: chosen && batch.masked_ids[at] == tokenizer.special().mask as i32,
            }
        })
        .collect();
    (tokens, tokenizer.decode(&ids, false))
}

impl LengthHistogram {
    fn add(&mut self, length: u64) {
        let bucket = length.max(1).ilog2() as usize;
        if self.counts.len() <= bucket {
            self.counts.resize(bucket + 1, 0);
        }
        let is_first = self.counts.iter().all(|&count| count == 0);
        self.counts[bucket] += 1;
        self.shortest = if is_first { length } else { self.shortest.min(length) };
        self.longest = self.longest.max(length);
    }
}
