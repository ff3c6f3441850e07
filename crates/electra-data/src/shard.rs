//! Shards: safetensors files of tokens, where the lines are, and where the documents are.
//!
//! `tokens` (U16, or U32 above 65,536 entries), `line_offsets` (U64, lines + 1, in tokens), `document_offsets` (U64,
//! documents + 1, in lines); any language reads them. They are mapped into memory and not loaded. A shard is checked against the
//! manifest's size and checksum, and its offsets against each other, when opened: nothing later can index out of it.

use std::fs::File;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use crate::atomic;
use crate::error::{DataError, Result, io_error, shown};
use crate::packing::DocumentLines;
use crate::tokens_digest::is_wide;

#[cfg(target_endian = "big")]
compile_error!("shards are little-endian and mapped as they are");

/// Tokens after which a shard is full: 32 MB of U16. A longer document goes on in the next shard as another one.
pub(crate) const SHARD_TOKENS: usize = 1 << 24;

/// What the manifest says of a shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShardRecord {
    /// File name in the dataset's folder.
    pub file: String,
    /// Of the file.
    pub bytes: u64,
    /// CRC-32C of the file.
    pub crc32c: u32,
    /// A document that began in the shard before counts here too.
    pub documents: u64,
    /// Not empty.
    pub lines: u64,
    /// Without [CLS] and [SEP].
    pub tokens: u64,
}

/// Whether a file of this name may be a shard.
pub(crate) fn is_shard_name(name: &str) -> bool {
    let split = name.strip_suffix(".safetensors").and_then(|name| name.rsplit_once('-'));
    split.is_some_and(|(split, number)| {
        ["train", "validation"].contains(&split) && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// Ids at the width that the shard has.
enum Ids {
    Narrow(Vec<u16>),
    Wide(Vec<u32>),
}

impl Ids {
    fn new(vocab_size: usize) -> Self {
        if is_wide(vocab_size) { Self::Wide(Vec::new()) } else { Self::Narrow(Vec::new()) }
    }

    fn len(&self) -> usize {
        match self {
            Self::Narrow(ids) => ids.len(),
            Self::Wide(ids) => ids.len(),
        }
    }

    fn extend(&mut self, tokens: &[u32]) {
        match self {
            Self::Narrow(ids) => ids.extend(tokens.iter().map(|&id| id as u16)),
            Self::Wide(ids) => ids.extend_from_slice(tokens),
        }
    }

    fn bytes(&self) -> (Dtype, &[u8]) {
        match self {
            Self::Narrow(ids) => (Dtype::U16, bytemuck::cast_slice(ids)),
            Self::Wide(ids) => (Dtype::U32, bytemuck::cast_slice(ids)),
        }
    }

    fn clear(&mut self) {
        match self {
            Self::Narrow(ids) => ids.clear(),
            Self::Wide(ids) => ids.clear(),
        }
    }
}

/// Gathers lines and writes shard after shard of one split.
pub(crate) struct ShardWriter {
    folder: PathBuf,
    split: &'static str,
    shard_tokens: usize,
    tokens: Ids,
    line_offsets: Vec<u64>,
    document_offsets: Vec<u64>,
    records: Vec<ShardRecord>,
}

impl ShardWriter {
    pub(crate) fn new(folder: &Path, split: &'static str, vocab_size: usize, shard_tokens: usize) -> Self {
        Self {
            folder: folder.to_owned(),
            split,
            shard_tokens,
            tokens: Ids::new(vocab_size),
            line_offsets: vec![0],
            document_offsets: vec![0],
            records: Vec::new(),
        }
    }

    /// Adds a line, not empty, to the current document.
    pub(crate) fn line(&mut self, tokens: &[u32]) -> Result<()> {
        debug_assert!(!tokens.is_empty());
        if self.tokens.len() > 0 && self.tokens.len() + tokens.len() > self.shard_tokens {
            self.flush()?;
        }
        self.tokens.extend(tokens);
        self.line_offsets.push(self.tokens.len() as u64);
        Ok(())
    }

    /// Ends the current document, if it has lines.
    pub(crate) fn end_document(&mut self) {
        let lines = self.line_offsets.len() as u64 - 1;
        if self.document_offsets.last() != Some(&lines) {
            self.document_offsets.push(lines);
        }
    }

    /// Writes what is left and says what was written.
    pub(crate) fn finish(mut self) -> Result<Vec<ShardRecord>> {
        self.flush()?;
        Ok(self.records)
    }

    fn flush(&mut self) -> Result<()> {
        self.end_document();
        if self.tokens.len() == 0 {
            return Ok(());
        }
        let file = format!("{}-{:05}.safetensors", self.split, self.records.len());
        let path = self.folder.join(&file);
        let (dtype, data) = self.tokens.bytes();
        let view = |dtype, length, data| {
            TensorView::new(dtype, vec![length], data).map_err(|error| damaged(&path, error.to_string()))
        };
        let tensors = [
            ("tokens", view(dtype, self.tokens.len(), data)?),
            ("line_offsets", view(Dtype::U64, self.line_offsets.len(), bytemuck::cast_slice(&self.line_offsets))?),
            (
                "document_offsets",
                view(Dtype::U64, self.document_offsets.len(), bytemuck::cast_slice(&self.document_offsets))?,
            ),
        ];
        let bytes = safetensors::serialize(tensors, None).map_err(|error| damaged(&path, error.to_string()))?;
        atomic::write(&path, &bytes).map_err(io_error("write to", &path))?;
        self.records.push(ShardRecord {
            file,
            bytes: bytes.len() as u64,
            crc32c: crc32c::crc32c(&bytes),
            documents: self.document_offsets.len() as u64 - 1,
            lines: self.line_offsets.len() as u64 - 1,
            tokens: self.tokens.len() as u64,
        });
        self.tokens.clear();
        self.line_offsets.truncate(1);
        self.document_offsets.truncate(1);
        Ok(())
    }
}

/// A shard mapped into memory, and where in it what lies.
pub(crate) struct Shard {
    map: Mmap,
    tokens: std::ops::Range<usize>,
    wide: bool,
    line_offsets: std::ops::Range<usize>,
    document_offsets: std::ops::Range<usize>,
}

fn damaged(path: &Path, reason: impl Into<String>) -> DataError {
    DataError::Dataset {
        path: shown(path),
        reason: reason.into(),
        remedy: "rebuild the dataset with \"electra data build\"".into(),
    }
}

impl Shard {
    /// Maps the shard that `record` describes and checks it.
    pub(crate) fn open(folder: &Path, record: &ShardRecord, vocab_size: usize) -> Result<Self> {
        let path = folder.join(&record.file);
        let file = File::open(&path).map_err(io_error("read", &path))?;
        let bytes = file.metadata().map_err(io_error("read", &path))?.len();
        if bytes != record.bytes {
            return Err(damaged(
                &path,
                format!("{bytes} bytes, but the manifest says {}: truncated or changed", record.bytes),
            ));
        }
        if bytes == 0 {
            return Err(damaged(&path, "the file is empty"));
        }
        // SAFETY: the map is only read. Another process that shortens the file meanwhile is outside any guarantee that a map can give;
        // this program replaces shards only by renaming whole folders.
        let map = unsafe { Mmap::map(&file) }.map_err(io_error("map", &path))?;
        if crc32c::crc32c(&map) != record.crc32c {
            return Err(damaged(&path, "the checksum differs from the manifest's: damaged or changed"));
        }
        let shard = Self::parse(map, &path)?;
        shard.check(record, vocab_size, &path)?;
        Ok(shard)
    }

    fn parse(map: Mmap, path: &Path) -> Result<Self> {
        let tensors = SafeTensors::deserialize(&map)
            .map_err(|error| damaged(path, format!("not a safetensors file: {error}")))?;
        let base = map.as_ptr() as usize;
        let find = |name: &str, allowed: &[Dtype]| {
            let view = tensors.tensor(name).map_err(|_| damaged(path, format!("the tensor {name:?} is missing")))?;
            if view.shape().len() != 1 || !allowed.contains(&view.dtype()) {
                let found = format!("the tensor {name:?} is {:?} {:?}", view.dtype(), view.shape());
                return Err(damaged(path, found));
            }
            let start = view.data().as_ptr() as usize - base;
            Ok((start..start + view.data().len(), view.dtype()))
        };
        let (tokens, dtype) = find("tokens", &[Dtype::U16, Dtype::U32])?;
        let (line_offsets, _) = find("line_offsets", &[Dtype::U64])?;
        let (document_offsets, _) = find("document_offsets", &[Dtype::U64])?;
        let width = if dtype == Dtype::U32 { 4 } else { 2 };
        if tokens.start % width != 0 || line_offsets.start % 8 != 0 || document_offsets.start % 8 != 0 {
            return Err(damaged(path, "its tensors are not aligned"));
        }
        drop(tensors);
        Ok(Self { map, tokens, wide: dtype == Dtype::U32, line_offsets, document_offsets })
    }

    fn check(&self, record: &ShardRecord, vocab_size: usize, path: &Path) -> Result<()> {
        let counts = (self.documents() as u64, self.line_offsets().len() as u64, self.token_count() as u64);
        if counts != (record.documents, record.lines + 1, record.tokens) {
            return Err(damaged(path, "its numbers of documents, lines and tokens differ from the manifest's"));
        }
        let ascends = |offsets: &[u64], end: u64| {
            offsets.first() == Some(&0)
                && offsets.last() == Some(&end)
                && offsets.windows(2).all(|pair| pair[0] < pair[1])
        };
        if !ascends(self.line_offsets(), record.tokens) || !ascends(self.document_offsets(), record.lines) {
            return Err(damaged(path, "its offsets do not ascend to its numbers of tokens and lines"));
        }
        let largest = if self.wide {
            bytemuck::cast_slice::<u8, u32>(&self.map[self.tokens.clone()]).iter().copied().max()
        } else {
            bytemuck::cast_slice::<u8, u16>(&self.map[self.tokens.clone()]).iter().copied().max().map(u32::from)
        };
        match largest {
            Some(id) if id as usize >= vocab_size => {
                Err(damaged(path, format!("it holds the id {id}, beyond the vocabulary's {vocab_size}")))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn token_count(&self) -> usize {
        self.tokens.len() / if self.wide { 4 } else { 2 }
    }

    fn documents(&self) -> usize {
        self.document_offsets().len().saturating_sub(1)
    }

    pub(crate) fn line_offsets(&self) -> &[u64] {
        bytemuck::cast_slice(&self.map[self.line_offsets.clone()])
    }

    fn document_offsets(&self) -> &[u64] {
        bytemuck::cast_slice(&self.map[self.document_offsets.clone()])
    }

    /// The lines of each document, with `base` as the shard's first token.
    pub(crate) fn for_each_document(&self, base: u64, visit: &mut dyn FnMut(DocumentLines)) {
        let line_offsets = self.line_offsets();
        for bounds in self.document_offsets().windows(2) {
            visit(DocumentLines { base, line_offsets: &line_offsets[bounds[0] as usize..=bounds[1] as usize] });
        }
    }

    /// Calls `each` with tokens `start..start + length`, in order.
    pub(crate) fn for_each_token(&self, start: usize, length: usize, mut each: impl FnMut(u32)) {
        if self.wide {
            let tokens: &[u32] = bytemuck::cast_slice(&self.map[self.tokens.clone()]);
            tokens[start..start + length].iter().for_each(|&id| each(id));
        } else {
            let tokens: &[u16] = bytemuck::cast_slice(&self.map[self.tokens.clone()]);
            tokens[start..start + length].iter().for_each(|&id| each(u32::from(id)));
        }
    }
}
