//! `data build`: a corpus to a dataset folder, streaming and in parallel.
//!
//! Everything grows in a hidden folder inside the target and takes its place when whole ([`OutFolder`]): an interrupted
//! build leaves what was there before. Memory holds some blocks of text and one unfinished shard per
//! split, whatever the corpus; the result depends on the text, the tokenizer, the seed and the fraction, not on the number of jobs.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::cut_cache;
use crate::error::{DataError, Result, io_error, shown};
use crate::input::TextSource;
use crate::manifest::{FORMAT_VERSION, MANIFEST_FILE, Manifest, SplitRecord, TOKENIZER_FOLDER};
use crate::out_folder::OutFolder;
use crate::pipeline::{LineBlock, OnProgress, Progress, Stage, for_each_block, report, worker_count};
use crate::shard::{SHARD_TOKENS, is_shard_name};
use crate::split::SplitWriter;
use crate::tokenizer::{LineEncoder, Tokenizer, UnknownWords};
use crate::tokens_digest::{TokensDigest, is_wide, push_line};

/// How a dataset is built.
#[derive(Debug, Clone)]
pub struct BuildOptions {
    /// Share of the text that is held out, above 0 and at most .5.
    pub validation_fraction: f64,
    /// Decides what is held out.
    pub seed: u64,
    /// Threads; 0 means one per core.
    pub jobs: usize,
    /// Replace a dataset that is already there: the files that its manifest lists.
    pub overwrite: bool,
    /// Tokens after which a shard is full.
    pub shard_tokens: usize,
    /// The corpus' name in model cards; the folder's where `None`.
    pub name: Option<String>,
    /// Take text even if more than half of its tokens are [UNK].
    pub allow_unknown: bool,
}

impl Default for BuildOptions {
    fn default() -> Self {
        Self {
            validation_fraction: 0.02,
            seed: 0,
            jobs: 0,
            overwrite: false,
            shard_tokens: SHARD_TOKENS,
            name: None,
            allow_unknown: false,
        }
    }
}

/// Builds a dataset of `source` in the folder `out`, of which it is known to be writable before anything is read.
///
/// # Errors
/// Those of reading; text too small to hold some out; text that is [UNK] for the most part; a folder that is in the way; a full disk.
pub fn build(
    source: &TextSource,
    tokenizer: &Tokenizer,
    out: impl AsRef<Path>,
    options: &BuildOptions,
    on_progress: &mut OnProgress,
) -> Result<Manifest> {
    if !(options.validation_fraction > 0.0 && options.validation_fraction <= 0.5) {
        let reason = "must be above 0 and at most 0.5, since training needs held-out text to be judged by";
        return Err(DataError::setting("validation_fraction", options.validation_fraction, reason));
    }
    let out = OutFolder::begin(out)?;
    let mut replaced = replaced_files(&out, options.overwrite)?;
    let folder = out.building();

    let mut split = SplitWriter::new(
        folder,
        tokenizer.vocab_size(),
        options.validation_fraction,
        options.seed,
        options.shard_tokens.max(1),
    );
    let mut digest = TokensDigest::default();
    let mut progress = Progress { input_total_bytes: source.input_bytes(), ..Progress::default() };
    let make_worker = || {
        let mut encoder = LineEncoder::new(tokenizer);
        let wide = is_wide(tokenizer.vocab_size());
        move |block: LineBlock| EncodedBlock::new(&block, &mut encoder, tokenizer.special().unknown, wide)
    };
    let (mut unknown_count, mut unknown_words) = (0, UnknownWords::default());
    for_each_block(source, worker_count(options.jobs), make_worker, |block: EncodedBlock, input_bytes| {
        block.write(&mut split, &mut digest)?;
        unknown_count += block.unknown_count;
        unknown_words.merge(&block.unknown_words);
        progress.input_bytes = input_bytes;
        progress.text_bytes += block.text_bytes;
        progress.tokens += block.tokens.len() as u64;
        progress.lines = split.lines();
        progress.documents = split.documents();
        report(on_progress, &progress)
    })?;
    if split.lines() == 0 {
        return Err(DataError::TooSmall {
            what: source.names().join(", "),
            reason: "the corpus holds no text".into(),
            remedy: "check --input; blank lines and control characters don't count".into(),
        });
    }
    let unknown = unknown_words.record(progress.tokens, unknown_count);
    if unknown.is_refused() && !options.allow_unknown {
        return Err(DataError::Unknown { what: source.names().join(", "), reason: unknown.explained(tokenizer) });
    }
    report(on_progress, &Progress { stage: Stage::Writing, ..progress })?;

    let written = split.finish()?;
    tokenizer.save(folder.join(TOKENIZER_FOLDER))?;
    let read = source.last_reading();
    let manifest = Manifest {
        format: Manifest::format(),
        version: FORMAT_VERSION,
        tokenizer_sha256: tokenizer.sha256().to_owned(),
        vocab_size: tokenizer.vocab_size(),
        name: options.name.clone(),
        sources: source.names(),
        text_bytes: progress.text_bytes,
        tokens_sha256: Some(digest.finish()),
        validation_fraction: options.validation_fraction,
        seed: options.seed,
        held_out_by: written.held_out_by,
        left_out: source.found().left_out.iter().chain(&read.left_out).cloned().collect(),
        skipped: read.skipped.clone(),
        train: SplitRecord::of(written.train),
        validation: SplitRecord::of(written.validation),
        unknown: Some(unknown),
        crc32c: 0,
    };
    let manifest = manifest.save(folder)?;
    // Cut lists are of the shards that go.
    replaced.extend(cut_cache::files(out.path()));
    out.publish(&[PathBuf::from(MANIFEST_FILE)], &replaced)?;
    Ok(manifest)
}

/// The ids of a block's lines.
struct EncodedBlock {
    tokens: Vec<u32>,
    /// One past each line's last token.
    token_ends: Vec<usize>,
    /// The lines as the digest takes them, and one past each.
    digested: Vec<u8>,
    digested_ends: Vec<usize>,
    document_ends: Vec<u32>,
    text_bytes: u64,
    /// Tokens that are [UNK], and the words behind them.
    unknown_count: u64,
    unknown_words: UnknownWords,
}

impl EncodedBlock {
    fn new(block: &LineBlock, encoder: &mut LineEncoder, unknown: u32, wide: bool) -> Self {
        let mut tokens = Vec::with_capacity(block.text_bytes() as usize / 4);
        let token_ends: Vec<usize> = block
            .lines()
            .map(|line| {
                encoder.encode_into(line, &mut tokens);
                tokens.len()
            })
            .collect();
        let mut digested = Vec::with_capacity(tokens.len() * if wide { 4 } else { 2 } + token_ends.len() * 4);
        let mut start = 0;
        let digested_ends = token_ends
            .iter()
            .map(|&end| {
                push_line(&tokens[start..end], wide, &mut digested);
                start = end;
                digested.len()
            })
            .collect();
        Self {
            unknown_count: tokens.iter().filter(|&&token| token == unknown).count() as u64,
            unknown_words: encoder.take_unknown(),
            tokens,
            token_ends,
            digested,
            digested_ends,
            document_ends: block.document_ends.clone(),
            text_bytes: block.text_bytes(),
        }
    }

    fn write(&self, split: &mut SplitWriter, digest: &mut TokensDigest) -> Result<()> {
        let mut line = 0;
        for &end in self.document_ends.iter().chain([&(self.token_ends.len() as u32)]) {
            self.write_lines(line..end as usize, split, digest)?;
            line = end as usize;
            if self.document_ends.binary_search(&end).is_ok() {
                split.end_document()?;
                digest.end_document();
            }
        }
        Ok(())
    }

    /// Lines of one document.
    fn write_lines(&self, lines: Range<usize>, split: &mut SplitWriter, digest: &mut TokensDigest) -> Result<()> {
        let start_of = |ends: &[usize], line: usize| if line == 0 { 0 } else { ends[line - 1] };
        let bytes = start_of(&self.digested_ends, lines.start)..start_of(&self.digested_ends, lines.end);
        digest.lines(&self.digested[bytes]);
        let mut start = start_of(&self.token_ends, lines.start);
        for &end in &self.token_ends[lines] {
            // A line of control characters alone has no token.
            if end > start {
                split.line(&self.tokens[start..end])?;
            }
            start = end;
        }
        Ok(())
    }
}

/// The files of the dataset that is replaced, the manifest first; none where there is no dataset.
///
/// # Errors
/// A folder with content that would be lost, or mixed up with a dataset.
fn replaced_files(out: &OutFolder, overwrite: bool) -> Result<Vec<PathBuf>> {
    let error = |reason: &str, remedy: &str| DataError::Folder {
        path: shown(out.path()),
        reason: reason.into(),
        remedy: remedy.into(),
    };
    if out.is_vacant()? {
        return Ok(Vec::new());
    }
    if !overwrite {
        return Err(error(
            "the folder exists and is not empty",
            "choose another --out, or replace the dataset there with --overwrite",
        ));
    }
    let Some(listed) = Manifest::listed_files(out.path()) else {
        return Err(error(
            "the folder is not empty and holds no dataset, so it is not overwritten",
            "choose another --out",
        ));
    };
    // Shards that no manifest lists are somebody's, and new ones may bear their names.
    for entry in fs::read_dir(out.path()).map_err(io_error("list", out.path()))? {
        let name = PathBuf::from(entry.map_err(io_error("list", out.path()))?.file_name());
        if is_shard_name(&name.to_string_lossy()) && !listed.contains(&name) {
            return Err(error(
                &format!("the file {} is not part of the dataset there", name.display()),
                "move it away, or choose another --out",
            ));
        }
    }
    Ok(listed)
}
