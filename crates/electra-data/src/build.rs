//! `data build`: a corpus to a dataset folder, streaming and in parallel.
//!
//! Everything is written into a hidden folder beside the target, the manifest last, and renamed when whole: an interrupted
//! build leaves nothing that could be taken for a dataset. Memory holds some blocks of text and one unfinished shard per
//! split, whatever the corpus; the result depends on the text, the tokenizer, the seed and the fraction, not on the number of jobs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::atomic;
use crate::error::{DataError, Result, io_error, shown};
use crate::input::TextSource;
use crate::manifest::{FORMAT_VERSION, MANIFEST_FILE, Manifest, SplitRecord, TOKENIZER_FOLDER};
use crate::pipeline::{LineBlock, OnProgress, Progress, Stage, for_each_block, report, worker_count};
use crate::shard::SHARD_TOKENS;
use crate::split::SplitWriter;
use crate::tokenizer::{LineEncoder, Tokenizer, UnknownWords};

/// How a dataset is built.
#[derive(Debug, Clone)]
pub struct BuildOptions {
    /// Share of the text that is held out, above 0 and at most .5.
    pub validation_fraction: f64,
    /// Decides what is held out.
    pub seed: u64,
    /// Threads; 0 means one per core.
    pub jobs: usize,
    /// Replace a dataset that is already there.
    pub overwrite: bool,
    /// Tokens after which a shard is full.
    pub shard_tokens: usize,
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
            allow_unknown: false,
        }
    }
}

/// Builds a dataset of `source` in the folder `out`.
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
    let out = out.as_ref();
    check_target(out, options.overwrite)?;
    let building = BuildingFolder::create(out)?;
    let folder = building.path.as_path();

    let mut split = SplitWriter::new(
        folder,
        tokenizer.vocab_size(),
        options.validation_fraction,
        options.seed,
        options.shard_tokens.max(1),
    );
    let mut progress = Progress { input_total_bytes: source.input_bytes(), ..Progress::default() };
    let make_worker = || {
        let mut encoder = LineEncoder::new(tokenizer);
        move |block| EncodedBlock::new(&block, &mut encoder, tokenizer.special().unknown)
    };
    let (mut unknown_count, mut unknown_words) = (0, UnknownWords::default());
    for_each_block(source, worker_count(options.jobs), make_worker, |block: EncodedBlock, input_bytes| {
        block.write(&mut split)?;
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
    let manifest = Manifest {
        format: Manifest::format(),
        version: FORMAT_VERSION,
        tokenizer_sha256: tokenizer.sha256().to_owned(),
        vocab_size: tokenizer.vocab_size(),
        sources: source.names(),
        text_bytes: progress.text_bytes,
        validation_fraction: options.validation_fraction,
        seed: options.seed,
        held_out_by: written.held_out_by,
        train: SplitRecord::of(written.train),
        validation: SplitRecord::of(written.validation),
        unknown: Some(unknown),
        crc32c: 0,
    };
    let manifest = manifest.save(folder)?;
    building.publish(out)?;
    Ok(manifest)
}

/// The ids of a block's lines.
struct EncodedBlock {
    tokens: Vec<u32>,
    /// One past each line's last token.
    line_ends: Vec<usize>,
    document_ends: Vec<u32>,
    text_bytes: u64,
    /// Tokens that are [UNK], and the words behind them.
    unknown_count: u64,
    unknown_words: UnknownWords,
}

impl EncodedBlock {
    fn new(block: &LineBlock, encoder: &mut LineEncoder, unknown: u32) -> Self {
        let mut tokens = Vec::with_capacity(block.text_bytes() as usize / 4);
        let line_ends = block
            .lines()
            .map(|line| {
                encoder.encode_into(line, &mut tokens);
                tokens.len()
            })
            .collect();
        Self {
            unknown_count: tokens.iter().filter(|&&token| token == unknown).count() as u64,
            unknown_words: encoder.take_unknown(),
            tokens,
            line_ends,
            document_ends: block.document_ends.clone(),
            text_bytes: block.text_bytes(),
        }
    }

    fn write(&self, split: &mut SplitWriter) -> Result<()> {
        let mut document_ends = self.document_ends.iter().peekable();
        let mut start = 0;
        for (line, &end) in self.line_ends.iter().enumerate() {
            while document_ends.next_if(|&&at| at as usize == line).is_some() {
                split.end_document()?;
            }
            // A line of control characters alone has no token.
            if end > start {
                split.line(&self.tokens[start..end])?;
            }
            start = end;
        }
        if document_ends.next().is_some() {
            split.end_document()?;
        }
        Ok(())
    }
}

/// Refuses a target whose content would be lost.
fn check_target(out: &Path, overwrite: bool) -> Result<()> {
    let error = |reason: &str, remedy: &str| DataError::Dataset {
        path: shown(out),
        reason: reason.into(),
        remedy: remedy.into(),
    };
    if out.file_name().is_none() {
        return Err(error("not a name for a new folder", "give --out a folder's name"));
    }
    if !out.exists() {
        return Ok(());
    }
    if !out.is_dir() {
        return Err(error("a file of this name is in the way", "choose another --out"));
    }
    let is_empty = fs::read_dir(out).map_err(io_error("list", out))?.next().is_none();
    if is_empty {
        return Ok(());
    }
    if !overwrite {
        return Err(error(
            "the folder exists and is not empty",
            "choose another --out, or replace the dataset there with --overwrite",
        ));
    }
    // --overwrite removes the folder: only ever one that this program made.
    if !out.join(MANIFEST_FILE).is_file() {
        return Err(error(
            "the folder is not empty and holds no dataset, so it is not overwritten",
            "choose another --out",
        ));
    }
    Ok(())
}

/// The hidden folder in which a dataset grows; removed unless published.
struct BuildingFolder {
    path: PathBuf,
    lock: Option<File>,
    published: bool,
}

const LOCK_FILE: &str = "lock";

impl BuildingFolder {
    fn create(out: &Path) -> Result<Self> {
        let path = sibling(out, "building");
        fs::create_dir_all(&path).map_err(io_error("create", &path))?;
        let lock_path = path.join(LOCK_FILE);
        let lock = File::create(&lock_path).map_err(io_error("create", &lock_path))?;
        if lock.try_lock().is_err() {
            return Err(DataError::Dataset {
                path: shown(out),
                reason: "another build is writing this dataset".into(),
                remedy: "wait for it, or choose another --out".into(),
            });
        }
        let building = Self { path, lock: Some(lock), published: false };
        // What an interrupted build left.
        for entry in fs::read_dir(&building.path).map_err(io_error("list", &building.path))? {
            let path = entry.map_err(io_error("list", &building.path))?.path();
            if path != lock_path {
                let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
                removed.map_err(io_error("remove", &path))?;
            }
        }
        Ok(building)
    }

    /// Gives the folder its name, replacing what is there.
    fn publish(mut self, out: &Path) -> Result<()> {
        self.lock = None;
        let lock_path = self.path.join(LOCK_FILE);
        fs::remove_file(&lock_path).map_err(io_error("remove", &lock_path))?;
        let old = sibling(out, "old");
        if out.exists() {
            if old.exists() {
                fs::remove_dir_all(&old).map_err(io_error("remove", &old))?;
            }
            fs::rename(out, &old).map_err(io_error("rename", out))?;
        }
        if let Err(source) = fs::rename(&self.path, out) {
            let _ = fs::rename(&old, out);
            return Err(io_error("rename", &self.path)(source));
        }
        self.published = true;
        let _ = fs::remove_dir_all(&old);
        atomic::sync_folder(out.parent().unwrap_or(Path::new(".")));
        Ok(())
    }
}

impl Drop for BuildingFolder {
    fn drop(&mut self) {
        if !self.published {
            self.lock = None;
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

fn sibling(out: &Path, what: &str) -> PathBuf {
    let name = out.file_name().unwrap_or_default().to_string_lossy();
    out.with_file_name(format!(".{name}.{what}"))
}
