//! A split of a dataset folder, opened: a [`Corpus`] over mapped shards, and the folder's cache of cut lists.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cut_cache::FolderCache;
use crate::error::{DataError, Result};
use crate::manifest::{Manifest, Split, TOKENIZER_FOLDER};
use crate::masking::MaskingConfig;
use crate::packing::{Corpus, DocumentLines};
use crate::shard::Shard;
use crate::source::BatchSource;
use crate::tokenizer::Tokenizer;

/// One split of a dataset, its shards mapped and checked.
pub struct Dataset {
    folder: PathBuf,
    split: Split,
    manifest: Manifest,
    shards: Arc<Shards>,
}

struct Shards {
    shards: Vec<Shard>,
    /// First token of each shard, and one past the last.
    starts: Vec<u64>,
}

impl Dataset {
    /// Opens a split of the dataset in `folder` and checks every byte of it.
    ///
    /// `tokenizer_sha256`: [`Tokenizer::sha256`] of the tokenizer that its tokens are to be understood with.
    ///
    /// # Errors
    /// A folder that is no whole dataset, damaged shards, another tokenizer.
    pub fn open(folder: impl AsRef<Path>, split: Split, tokenizer_sha256: &str) -> Result<Self> {
        let folder = folder.as_ref();
        let manifest = Manifest::load(folder)?;
        manifest.check_tokenizer(folder, tokenizer_sha256)?;
        let mut shards = Vec::new();
        let mut starts = vec![0];
        let mut end = 0;
        for record in &manifest.split(split).shards {
            let shard = Shard::open(folder, record, manifest.vocab_size)?;
            end += shard.token_count() as u64;
            shards.push(shard);
            starts.push(end);
        }
        Ok(Self { folder: folder.to_owned(), split, manifest, shards: Arc::new(Shards { shards, starts }) })
    }

    /// What the folder holds.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Which split this is.
    pub fn split(&self) -> Split {
        self.split
    }

    /// The token lines, for packing.
    pub fn corpus(&self) -> Arc<dyn Corpus> {
        self.shards.clone()
    }

    /// Batches of this split, their cut lists cached in the folder.
    ///
    /// # Errors
    /// As [`BatchSource::new`].
    pub fn batches(
        &self,
        tokenizer: &Tokenizer,
        seq: usize,
        batch_size: usize,
        masking: MaskingConfig,
        seed: u64,
    ) -> Result<BatchSource> {
        self.manifest.check_tokenizer(&self.folder, tokenizer.sha256())?;
        let cache = FolderCache::new(&self.folder, self.split, self.manifest.crc32c, self.shards.token_count());
        let (special, vocab_size) = (tokenizer.special(), tokenizer.vocab_size());
        let source = BatchSource::new(self.corpus(), special, vocab_size, seq, batch_size, masking, seed)?;
        Ok(source.with_cache(Arc::new(cache)))
    }
}

/// The copy of the tokenizer that a dataset carries, checked against its manifest.
///
/// # Errors
/// A folder that is no whole dataset; a tokenizer that is missing, damaged or another one.
pub fn dataset_tokenizer(folder: impl AsRef<Path>) -> Result<Tokenizer> {
    let folder = folder.as_ref();
    let manifest = Manifest::load(folder)?;
    let path = folder.join(TOKENIZER_FOLDER);
    let tokenizer = Tokenizer::load(&path)?;
    if tokenizer.sha256() != manifest.tokenizer_sha256 {
        return Err(DataError::Dataset {
            path: path.display().to_string(),
            reason: "this is not the tokenizer that the shards were made with: damaged or changed".into(),
            remedy: "rebuild the dataset with \"electra data build\"".into(),
        });
    }
    Ok(tokenizer)
}

impl Corpus for Shards {
    fn token_count(&self) -> u64 {
        self.starts.last().copied().unwrap_or(0)
    }

    fn for_each_document(&self, visit: &mut dyn FnMut(DocumentLines)) {
        for (shard, &start) in self.shards.iter().zip(&self.starts) {
            shard.for_each_document(start, visit);
        }
    }

    fn append_tokens(&self, start: u64, length: usize, tokens: &mut Vec<i32>) {
        // A document never crosses shards, so neither does a run.
        let index = self.starts.partition_point(|&first| first <= start) - 1;
        self.shards[index].for_each_token((start - self.starts[index]) as usize, length, |id| tokens.push(id as i32));
    }
}
