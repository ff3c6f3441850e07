//! Checkpoints that are whole or not there, `step_000500/` in a run's folder.
//!
//! Everything is written into a hidden temporary folder, each file synced, `SHA256SUMS` last, and the folder
//! renamed: a run killed at any moment leaves either the whole checkpoint or a leftover that nothing reads.
//! Disks and copies fail too, so that a checkpoint is believed only when every checksum fits. Three things are told
//! apart: one that is damaged is passed over for an older one, and is left as it is; one that cannot be read now (a
//! permission, a disk that fails, a newer format) is an error, since it may be the best there is; and where there is
//! none, a run starts afresh. `sha256sum -c SHA256SUMS` checks one by hand.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::file;
use crate::pretraining::metrics::WindowSums;
use crate::run::checkpoint::{CHECKPOINT_FILES, Checkpoint, STATE, TrainState};
use crate::run::work::Memory;

const CHECKSUMS: &str = "SHA256SUMS";

/// The newest whole checkpoint of a run, and those newer ones that are damaged.
#[derive(Debug)]
pub struct Latest<M = WindowSums> {
    /// `None` where the run has no checkpoint at all.
    pub found: Option<(PathBuf, Checkpoint<M>)>,
    /// Why each newer checkpoint was passed over; each names its folder.
    pub damaged: Vec<Error>,
}

/// Folder of the checkpoint after `step` steps.
pub fn path_of(run: &Path, step: u64) -> PathBuf {
    run.join(format!("step_{step:06}"))
}

/// The checkpoints of a run, for the one process that trains in its folder.
#[derive(Debug)]
pub struct Checkpoints {
    run: PathBuf,
    keep: usize,
    /// What is known of checkpoints in the folder: whether they are whole.
    known: BTreeMap<u64, bool>,
}

/// What [`Checkpoints::save`] did.
#[derive(Debug)]
pub struct Saved {
    /// Its folder.
    pub path: PathBuf,
    /// Why an older checkpoint is still there.
    pub not_removed: Option<Error>,
}

impl Checkpoints {
    /// Takes over the folder `run`, of whose checkpoints the `keep` newest are to stay.
    pub fn new(run: &Path, keep: usize) -> Self {
        Self { run: run.to_owned(), keep: keep.max(1), known: BTreeMap::new() }
    }

    /// Writes `checkpoint` and removes older ones beyond the `keep` newest whole ones, itself among them, and beyond the one that
    /// it calls its best. What has a higher number is left alone: it is damaged (or the run would go on from it), and shows how.
    ///
    /// # Errors
    /// Something cannot be written: nothing that was there before is lost then.
    pub fn save<M: Memory>(&mut self, checkpoint: &Checkpoint<M>) -> Result<Saved> {
        let step = checkpoint.state.step;
        let path = path_of(&self.run, step);
        let temporary = file::temporary_beside(&path);
        let written = write_folder(&temporary, checkpoint).and_then(|()| replace_folder(&temporary, &path));
        if written.is_err() {
            let _ = fs::remove_dir_all(&temporary);
        }
        written?;
        file::sync_folder(&self.run)?;
        self.known.insert(step, true);
        Ok(Saved { path, not_removed: self.remove_older(step, checkpoint.state.best_step).err() })
    }

    fn remove_older(&mut self, step: u64, best: Option<u64>) -> Result<()> {
        let mut whole = 0;
        for (number, path) in list(&self.run)?.into_iter().rev().filter(|(number, _)| *number <= step) {
            if whole >= self.keep && best != Some(number) {
                remove(&path)?;
                self.known.remove(&number);
            } else if *self.known.entry(number).or_insert_with(|| is_whole(&path)) {
                whole += 1;
            }
        }
        Ok(())
    }
}

fn write_folder<M: Memory>(folder: &Path, checkpoint: &Checkpoint<M>) -> Result<()> {
    file::create_folder(folder)?;
    let mut sums = String::new();
    checkpoint.write(|name, bytes| {
        sums.push_str(&format!("{}  {name}\n", crate::hex(&Sha256::digest(bytes))));
        file::pause_for_tests();
        file::write_synced(&folder.join(name), bytes)
    })?;
    file::pause_for_tests();
    file::write_synced(&folder.join(CHECKSUMS), sums.as_bytes())?;
    file::sync_folder(folder)
}

/// Between a checkpoint's name and the process's number in the hidden name of one that is being replaced.
const REPLACED: &str = ".tmp-old-";

/// Renames `from` to `to`, where a broken or older folder may stand (a rename does not replace full folders).
///
/// Between the two renames only hidden names are there: [`put_back`] undoes the first.
fn replace_folder(from: &Path, to: &Path) -> Result<()> {
    file::pause_for_tests();
    let rename = |from: &Path, to: &Path| fs::rename(from, to).map_err(|source| Error::io(to, "create", source));
    if fs::symlink_metadata(to).is_err() {
        return rename(from, to);
    }
    if !to.is_dir() {
        return Err(Error::invalid(to, "a file is where the checkpoint must be", "move it away, and resume"));
    }
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    let aside = to.with_file_name(format!(".{name}{REPLACED}{}", std::process::id()));
    rename(to, &aside)?;
    file::pause_for_tests();
    if let Err(error) = rename(from, to) {
        let _ = fs::rename(&aside, to);
        return Err(error);
    }
    file::pause_for_tests();
    remove(&aside)
}

/// Puts back what a killed process had taken away to replace it, and had not replaced. Call it before reading a run's
/// checkpoints, as the only process in its folder.
///
/// # Errors
/// The folder cannot be read, or something in it not renamed.
pub fn put_back(run: &Path) -> Result<()> {
    for path in entries(run)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let Some((name, _)) = name.strip_prefix('.').and_then(|name| name.split_once(REPLACED)) else { continue };
        let target = run.join(name);
        if step_of(&target).is_some() && !target.exists() {
            fs::rename(&path, &target).map_err(|source| Error::io(&target, "put back", source))?;
        }
    }
    Ok(())
}

/// Removes a checkpoint so that being killed half-way leaves a leftover, not a broken checkpoint.
fn remove(path: &Path) -> Result<()> {
    let hidden = if is_temporary(path) { path.to_owned() } else { file::temporary_beside(path) };
    if hidden != path {
        fs::rename(path, &hidden).map_err(|source| Error::io(path, "remove the folder", source))?;
    }
    file::pause_for_tests();
    fs::remove_dir_all(&hidden).map_err(|source| Error::io(&hidden, "remove the folder", source))
}

/// Whether it is what a killed run leaves of its checkpoints or of the files beside them.
fn is_temporary(path: &Path) -> bool {
    const OWN: [&str; 6] = ["step_", "run.toml", "metrics.jsonl", "timings.jsonl", "profile.json", "nonfinite_step_"];
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.strip_prefix('.').is_some_and(|name| name.contains(".tmp-") && OWN.iter().any(|own| name.starts_with(own)))
}

/// Removes what killed runs have left in `run`. Call it after [`put_back`], as the only process in the folder.
///
/// # Errors
/// A leftover cannot be removed.
pub fn remove_leftovers(run: &Path) -> Result<()> {
    for path in entries(run)?.into_iter().filter(|path| is_temporary(path)) {
        if path.is_dir() {
            remove(&path)?;
        } else {
            fs::remove_file(&path).map_err(|source| Error::io(&path, "remove", source))?;
        }
    }
    Ok(())
}

/// The step in a checkpoint's name.
fn step_of(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.strip_prefix("step_")?.parse().ok()
}

/// Checkpoints in `run` by step, oldest first, whole or not.
///
/// # Errors
/// The folder cannot be read.
pub fn list(run: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let mut found: Vec<_> = entries(run)?
        .into_iter()
        .filter_map(|path| Some((step_of(&path)?, path)))
        .filter(|(_, path)| !path.is_file())
        .collect();
    found.sort();
    Ok(found)
}

fn entries(run: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = |source| Error::io(run, "list the folder", source);
    fs::read_dir(run).map_err(unreadable)?.map(|entry| Ok(entry.map_err(unreadable)?.path())).collect()
}

/// The newest whole checkpoint in `run`.
///
/// # Errors
/// The folder or a checkpoint cannot be read now, a checkpoint is of another version, or all that are there are damaged.
/// Nothing is changed. A damaged one that is newer than a whole one is no error: it is reported and passed over.
pub fn latest_whole<M: Memory>(run: &Path) -> Result<Latest<M>> {
    let mut damaged = Vec::new();
    for (_, path) in list(run)?.into_iter().rev() {
        match load(&path) {
            Ok(checkpoint) => return Ok(Latest { found: Some((path, checkpoint)), damaged }),
            Err(error @ Error::Damaged { .. }) => damaged.push(error),
            Err(error) => return Err(error),
        }
    }
    match damaged.first() {
        None => Ok(Latest { found: None, damaged }),
        Some(newest) => {
            let problem = format!("no whole checkpoint among the {} in there (the newest: {newest})", damaged.len());
            let remedy = "nothing was changed: put a whole copy of one in its place, or begin again in another folder";
            Err(Error::invalid(run, problem, remedy))
        }
    }
}

fn damaged(path: &Path, problem: impl Into<String>) -> Error {
    let remedy = "the checkpoint is damaged: resume from an older one".to_owned();
    Error::Damaged { path: path.to_owned(), problem: problem.into(), remedy }
}

/// A file that is not there, or no file, is damage; one that the system does not give now may be whole.
fn unreadable(path: &Path, source: std::io::Error) -> Error {
    match source.kind() {
        ErrorKind::NotFound => damaged(path, "the file is missing"),
        ErrorKind::IsADirectory | ErrorKind::NotADirectory => damaged(path, "a file was expected"),
        _ => Error::io(path, "read", source),
    }
}

/// The checksum that `folder`'s list has for each of [`CHECKPOINT_FILES`].
fn checksums(folder: &Path) -> Result<BTreeMap<&'static str, String>> {
    let path = folder.join(CHECKSUMS);
    // On Windows opening a folder is refused as a permission.
    let bytes = if path.is_dir() { Err(ErrorKind::IsADirectory.into()) } else { fs::read(&path) };
    let bytes = bytes.map_err(|source| unreadable(&path, source))?;
    let sums = String::from_utf8_lossy(&bytes);
    let sum_of = |name: &'static str| {
        let listed = sums.lines().find_map(|line| line.strip_suffix(name)?.strip_suffix("  "));
        let listed = listed.ok_or_else(|| damaged(&path, format!("{name} is not listed")))?;
        Ok((name, listed.to_owned()))
    };
    CHECKPOINT_FILES.into_iter().map(sum_of).collect()
}

/// Whether every file fits its checksum, read piece by piece: a checkpoint of a large network is several GB.
fn is_whole(folder: &Path) -> bool {
    let fits = |name: &str, listed: &str| -> std::io::Result<bool> {
        let mut file = File::open(folder.join(name))?;
        let (mut digest, mut piece) = (Sha256::new(), vec![0; 1 << 20]);
        loop {
            match file.read(&mut piece)? {
                0 => return Ok(crate::hex(&digest.finalize()) == listed),
                length => digest.update(&piece[..length]),
            }
        }
    };
    checksums(folder).is_ok_and(|sums| sums.iter().all(|(name, listed)| fits(name, listed).unwrap_or(false)))
}

/// Reads and verifies one checkpoint's folder.
///
/// # Errors
/// [`Error::Damaged`]: a file is missing or its checksum does not fit. [`Error::OtherVersion`]: another release wrote it.
/// [`Error::Io`]: the system does not give it.
pub fn load<M: Memory>(folder: &Path) -> Result<Checkpoint<M>> {
    // A link to a disk that is away is no damage.
    fs::metadata(folder).map_err(|source| Error::io(folder, "read", source))?;
    let sums = checksums(folder)?;
    Checkpoint::read(|name| read_checked(folder, name, &sums))
}

/// The state of one checkpoint's folder, whose other files are checked and not kept: together they are several GB.
///
/// # Errors
/// As [`load`].
pub(crate) fn load_state(folder: &Path) -> Result<TrainState> {
    fs::metadata(folder).map_err(|source| Error::io(folder, "read", source))?;
    let (path, bytes) = read_checked(folder, STATE, &checksums(folder)?)?;
    if !is_whole(folder) {
        return Err(damaged(folder, "the content of a file does not fit its checksum in SHA256SUMS"));
    }
    TrainState::parse(&path, &bytes)
}

fn read_checked(folder: &Path, name: &str, sums: &BTreeMap<&'static str, String>) -> Result<(PathBuf, Vec<u8>)> {
    let path = folder.join(name);
    let bytes = if path.is_dir() { Err(ErrorKind::IsADirectory.into()) } else { fs::read(&path) };
    let bytes = bytes.map_err(|source| unreadable(&path, source))?;
    if crate::hex(&Sha256::digest(&bytes)) != sums[name] {
        return Err(damaged(&path, "the content does not fit its checksum in SHA256SUMS"));
    }
    Ok((path, bytes))
}

#[cfg(test)]
mod tests;
