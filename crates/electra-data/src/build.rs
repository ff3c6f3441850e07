//! `data build`: a corpus to a dataset folder, streaming and in parallel.
//!
//! Everything is written into a hidden folder beside the target, the manifest last, and renamed when whole: an interrupted
//! build leaves nothing that could be taken for a dataset. Memory holds some blocks of text and one unfinished shard per
//! split, whatever the corpus; the result depends on the text, the tokenizer, the seed and the fraction, not on the number of jobs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::atomic;
use crate::corpus_record::TextDigest;
use crate::error::{DataError, Result, io_error, shown};
use crate::input::TextSource;
use crate::manifest::{FORMAT_VERSION, MANIFEST_FILE, Manifest, SplitRecord, TOKENIZER_FOLDER};
use crate::pipeline::{LineBlock, OnProgress, Progress, Stage, for_each_block, report, worker_count};
use crate::shard::SHARD_TOKENS;
use crate::split::SplitWriter;
use crate::tokenizer::{LineEncoder, Tokenizer};

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
    /// The dataset's name in model cards; the folder's where `None`.
    pub name: Option<String>,
}

impl Default for BuildOptions {
    fn default() -> Self {
        Self { validation_fraction: 0.02, seed: 0, jobs: 0, overwrite: false, shard_tokens: SHARD_TOKENS, name: None }
    }
}

/// Builds a dataset of `source` in the folder `out`.
///
/// # Errors
/// Those of reading; text too small to hold some out; a folder that is in the way; a full disk.
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
    let mut digest = TextDigest::default();
    let mut progress = Progress { input_total_bytes: source.input_bytes(), ..Progress::default() };
    let make_worker = || {
        let mut encoder = LineEncoder::new(tokenizer);
        move |block| EncodedBlock::new(block, &mut encoder)
    };
    for_each_block(source, worker_count(options.jobs), make_worker, |block: EncodedBlock, input_bytes| {
        block.write(&mut split, &mut digest)?;
        progress.input_bytes = input_bytes;
        progress.text_bytes += block.text.text_bytes();
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
    report(on_progress, &Progress { stage: Stage::Writing, ..progress })?;

    let written = split.finish()?;
    tokenizer.save(folder.join(TOKENIZER_FOLDER))?;
    let manifest = Manifest {
        format: Manifest::format(),
        version: FORMAT_VERSION,
        tokenizer_sha256: tokenizer.sha256().to_owned(),
        vocab_size: tokenizer.vocab_size(),
        name: Some(options.name.clone().unwrap_or_else(|| name_of(out))),
        sources: source.names(),
        text_bytes: progress.text_bytes,
        text_sha256: Some(digest.finish()),
        validation_fraction: options.validation_fraction,
        seed: options.seed,
        held_out_by: written.held_out_by,
        train: SplitRecord::of(written.train),
        validation: SplitRecord::of(written.validation),
        crc32c: 0,
    };
    let manifest = manifest.save(folder)?;
    building.publish(out)?;
    Ok(manifest)
}

/// The folder's own name, where it has one: not "." and not "/".
fn name_of(folder: &Path) -> String {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    folder.file_name().map_or_else(|| "unnamed".into(), |name| name.to_string_lossy().into_owned())
}

/// A block and the ids of its lines.
struct EncodedBlock {
    text: LineBlock,
    tokens: Vec<u32>,
    /// One past each line's last token.
    token_ends: Vec<usize>,
}

impl EncodedBlock {
    fn new(text: LineBlock, encoder: &mut LineEncoder) -> Self {
        let mut tokens = Vec::with_capacity(text.text_bytes() as usize / 4);
        let token_ends = text
            .lines()
            .map(|line| {
                encoder.encode_into(line, &mut tokens);
                tokens.len()
            })
            .collect();
        Self { text, tokens, token_ends }
    }

    fn write(&self, split: &mut SplitWriter, digest: &mut TextDigest) -> Result<()> {
        let mut document_ends = self.text.document_ends.iter().peekable();
        let mut start = 0;
        for (number, (line, &end)) in self.text.lines().zip(&self.token_ends).enumerate() {
            while document_ends.next_if(|&&at| at as usize == number).is_some() {
                split.end_document()?;
                digest.end_document();
            }
            digest.line(line);
            // A line of control characters alone has no token.
            if end > start {
                split.line(&self.tokens[start..end])?;
            }
            start = end;
        }
        if document_ends.next().is_some() {
            split.end_document()?;
            digest.end_document();
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
