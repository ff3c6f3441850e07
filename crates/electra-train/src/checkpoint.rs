//! Checkpoints that are whole or not there, `step_000500/` in a run's folder.
//!
//! Everything is written into a hidden temporary folder, each file synced, `SHA256SUMS` last, and the folder
//! renamed: a run killed at any moment leaves either the whole checkpoint or a leftover that nothing reads.
//! Disks and copies fail too, so that a checkpoint is believed only when every checksum fits; the newest that
//! fits is resumed from, and the broken ones are reported. `sha256sum -c SHA256SUMS` checks one by hand.
//!
//! | file | holds |
//! |---|---|
//! | parameters.safetensors | weights, by their names in `Parameters` |
//! | optimizer.safetensors | `m.NAME` and `v.NAME` |
//! | metrics.safetensors | scores of the metric window |
//! | state.json | step, counters, sums of the metric window, digest of the configuration |

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::file;
use crate::metrics::WindowSums;
use crate::tensor_file::{HostTensor, TensorFile, encode};

/// Version of the layout; a checkpoint of another version is not read.
const FORMAT_VERSION: u32 = 1;
const PARAMETERS: &str = "parameters.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";
const METRICS: &str = "metrics.safetensors";
const STATE: &str = "state.json";
const CHECKSUMS: &str = "SHA256SUMS";

/// What a run needs to go on, beside its tensors.
///
/// The data's position and the learning rate are functions of `step`, and random numbers of the seed and the
/// step, so that no more is needed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainState {
    /// Steps done; the next batch has this number.
    pub step: u64,
    /// [`crate::RunConfig::digest`] of the run.
    pub config_digest: String,
    /// Tells the dataset and tokenizer from any other.
    pub data_fingerprint: String,
    /// Non-padding tokens seen.
    pub tokens_seen: u64,
    /// Steps whose update was skipped because a loss or gradient was not finite …
    pub nonfinite_steps: u64,
    /// … and how many of them are the latest, in a row.
    pub nonfinite_in_a_row: u64,
    /// Moments updated so often: differs from `step` by the skipped ones; bias correction counts it.
    pub updates: u64,
    /// The loss's factor in half precision, and steps since it changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_scale: Option<[f64; 2]>,
    /// Rows of metrics.jsonl that the checkpoint vouches for; 0 where it does not know.
    #[serde(default)]
    pub rows: u64,
    /// Metrics since the last row.
    pub window: WindowSums,
}

/// One checkpoint in memory. Tensors come back sorted by name.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    pub state: TrainState,
    pub parameters: Vec<HostTensor>,
    /// `m.NAME` and `v.NAME` for each parameter.
    pub optimizer: Vec<HostTensor>,
    /// Scores of the metric window.
    pub window_scores: Vec<HostTensor>,
}

#[derive(Serialize, Deserialize)]
struct StateFile {
    format_version: u32,
    #[serde(flatten)]
    state: serde_json::Value,
}

/// The newest whole checkpoint of a run, and those newer ones that are not whole.
#[derive(Debug)]
pub struct Latest {
    pub found: Option<(PathBuf, Checkpoint)>,
    /// Why each newer checkpoint was passed over; each names its folder.
    pub broken: Vec<Error>,
}

/// Folder of the checkpoint after `step` steps.
pub fn path_of(run: &Path, step: u64) -> PathBuf {
    run.join(format!("step_{step:06}"))
}

/// Writes `checkpoint` into `run` and removes all but the `keep` newest. Returns its folder.
///
/// # Errors
/// Something cannot be written: nothing that was there before is lost then.
pub fn save(run: &Path, checkpoint: &Checkpoint, keep: usize) -> Result<PathBuf> {
    let target = path_of(run, checkpoint.state.step);
    let temporary = file::temporary_beside(&target);
    let written = write_folder(&temporary, checkpoint).and_then(|()| replace_folder(&temporary, &target));
    if written.is_err() {
        let _ = fs::remove_dir_all(&temporary);
    }
    written?;
    file::sync_folder(run)?;
    let steps = list(run)?;
    for (_, path) in steps.iter().take(steps.len().saturating_sub(keep.max(1))) {
        remove(path)?;
    }
    Ok(target)
}

fn write_folder(folder: &Path, checkpoint: &Checkpoint) -> Result<()> {
    file::create_folder(folder)?;
    let state = serde_json::to_value(&checkpoint.state).expect("plain data");
    let state = StateFile { format_version: FORMAT_VERSION, state };
    let mut state = serde_json::to_vec_pretty(&state).expect("plain data");
    state.push(b'\n');
    let mut sums = String::new();
    let mut write = |name: &str, bytes: &[u8]| {
        sums.push_str(&format!("{}  {name}\n", crate::hex(&Sha256::digest(bytes))));
        file::write_synced(&folder.join(name), bytes)
    };
    // One file's bytes at a time: a checkpoint of a large network is several GB.
    write(PARAMETERS, &encode(&checkpoint.parameters, None))?;
    write(OPTIMIZER, &encode(&checkpoint.optimizer, None))?;
    write(METRICS, &encode(&checkpoint.window_scores, None))?;
    write(STATE, &state)?;
    file::write_synced(&folder.join(CHECKSUMS), sums.as_bytes())?;
    file::sync_folder(folder)
}

/// Renames `from` to `to`, where a broken or older folder may stand (a rename does not replace full folders).
fn replace_folder(from: &Path, to: &Path) -> Result<()> {
    let mut old = None;
    if to.exists() {
        let aside = to.with_file_name(format!(
            ".{}.tmp-old-{}",
            to.file_name().unwrap_or_default().to_string_lossy(),
            std::process::id()
        ));
        fs::rename(to, &aside).map_err(|source| Error::io(to, "replace the folder", source))?;
        old = Some(aside);
    }
    fs::rename(from, to).map_err(|source| Error::io(to, "create the folder", source))?;
    old.map_or(Ok(()), |old| remove(&old))
}

/// Removes a checkpoint so that being killed half-way leaves a leftover, not a broken checkpoint.
fn remove(path: &Path) -> Result<()> {
    let hidden = if is_temporary(path) { path.to_owned() } else { file::temporary_beside(path) };
    if hidden != path {
        fs::rename(path, &hidden).map_err(|source| Error::io(path, "remove the folder", source))?;
    }
    fs::remove_dir_all(&hidden).map_err(|source| Error::io(&hidden, "remove the folder", source))
}

fn is_temporary(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with(".step_") && name.contains(".tmp-")
}

/// Removes what killed runs have left in `run`. Call it when a run starts.
///
/// # Errors
/// A leftover cannot be removed.
pub fn remove_leftovers(run: &Path) -> Result<()> {
    for path in entries(run)?.into_iter().filter(|path| is_temporary(path)) {
        remove(&path)?;
    }
    Ok(())
}

/// Checkpoints in `run` by step, oldest first, whole or not.
///
/// # Errors
/// The folder cannot be read.
pub fn list(run: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let step_of = |path: &Path| path.file_name()?.to_str()?.strip_prefix("step_")?.parse::<u64>().ok();
    let mut found: Vec<_> = entries(run)?
        .into_iter()
        .filter_map(|path| Some((step_of(&path)?, path)))
        .filter(|(_, p)| p.is_dir())
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
/// The folder cannot be read. A broken checkpoint is no error: it is reported and passed over.
pub fn latest_whole(run: &Path) -> Result<Latest> {
    let mut broken = Vec::new();
    for (_, path) in list(run)?.into_iter().rev() {
        match load(&path) {
            Ok(checkpoint) => return Ok(Latest { found: Some((path, checkpoint)), broken }),
            Err(error) => broken.push(error),
        }
    }
    Ok(Latest { found: None, broken })
}

/// Reads and verifies one checkpoint's folder.
///
/// # Errors
/// A file is missing, its checksum does not fit, or the version is another.
pub fn load(folder: &Path) -> Result<Checkpoint> {
    let sums_path = folder.join(CHECKSUMS);
    let sums = file::read(&sums_path)?;
    let sums = String::from_utf8_lossy(&sums);
    let remedy = "the checkpoint is damaged: resume from an older one";
    let read = |name: &str| {
        let path = folder.join(name);
        let listed = sums.lines().find_map(|line| line.strip_suffix(name)?.strip_suffix("  "));
        let Some(listed) = listed else {
            return Err(Error::invalid(&sums_path, format!("{name} is not listed"), remedy));
        };
        let bytes = file::read(&path)?;
        if crate::hex(&Sha256::digest(&bytes)) != listed {
            return Err(Error::invalid(&path, "the content does not fit its checksum in SHA256SUMS", remedy));
        }
        Ok((path, bytes))
    };
    let tensors = |name: &str| read(name).and_then(|(path, bytes)| TensorFile::parse(&path, bytes)?.tensors());

    let (path, bytes) = read(STATE)?;
    let unreadable = |error: serde_json::Error| Error::invalid(&path, error.to_string(), remedy);
    let file: StateFile = serde_json::from_slice(&bytes).map_err(unreadable)?;
    if file.format_version != FORMAT_VERSION {
        let problem = format!("format version {}, expected {FORMAT_VERSION}", file.format_version);
        return Err(Error::invalid(&path, problem, "resume with the release that wrote it, or start afresh"));
    }
    let state: TrainState = serde_json::from_value(file.state).map_err(unreadable)?;
    Ok(Checkpoint {
        state,
        parameters: tensors(PARAMETERS)?,
        optimizer: tensors(OPTIMIZER)?,
        window_scores: tensors(METRICS)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint(step: u64) -> Checkpoint {
        let tensor = |name: &str| HostTensor::new(name, [2], vec![0.1 * step as f32, -0.0]);
        Checkpoint {
            state: TrainState { step, config_digest: "d".into(), tokens_seen: 1 << 60, ..TrainState::default() },
            parameters: vec![tensor("w")],
            optimizer: vec![tensor("m.w"), tensor("v.w")],
            window_scores: vec![HostTensor::new("is_replaced", [0], vec![]), HostTensor::new("logits", [0], vec![])],
        }
    }

    #[test]
    fn a_checkpoint_returns_as_it_was() {
        let run = tempfile::tempdir().unwrap();
        let path = save(run.path(), &checkpoint(500), 3).unwrap();
        assert!(path.ends_with("step_000500"));
        assert_eq!(load(&path).unwrap(), checkpoint(500));
        let latest = latest_whole(run.path()).unwrap();
        assert_eq!(latest.found.unwrap().1, checkpoint(500));
        // The same step again, as after a resume, replaces it.
        save(run.path(), &checkpoint(500), 3).unwrap();
        assert_eq!(fs::read_dir(run.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_newest_are_kept_in_order_of_number() {
        let run = tempfile::tempdir().unwrap();
        for step in [999_999, 1_000_000, 1_000_001] {
            save(run.path(), &checkpoint(step), 2).unwrap();
        }
        let steps: Vec<u64> = list(run.path()).unwrap().into_iter().map(|(step, _)| step).collect();
        assert_eq!(steps, [1_000_000, 1_000_001]);
    }

    #[test]
    fn any_damage_to_any_file_passes_the_checkpoint_over() {
        let run = tempfile::tempdir().unwrap();
        save(run.path(), &checkpoint(1), 9).unwrap();
        let newest = save(run.path(), &checkpoint(2), 9).unwrap();
        for name in [PARAMETERS, OPTIMIZER, METRICS, STATE, CHECKSUMS] {
            let path = newest.join(name);
            let whole = fs::read(&path).unwrap();
            let mut damaged: Vec<Vec<u8>> = (0..whole.len()).step_by(7).map(|len| whole[..len].to_vec()).collect();
            for position in (0..whole.len()).step_by(5) {
                let mut flipped = whole.clone();
                flipped[position] ^= 0x10;
                damaged.push(flipped);
            }
            for bytes in damaged {
                fs::write(&path, bytes).unwrap();
                let latest = latest_whole(run.path()).unwrap();
                assert_eq!(latest.found.unwrap().1.state.step, 1, "{name}");
                assert!(latest.broken[0].to_string().contains("step_000002"), "{}", latest.broken[0]);
            }
            fs::remove_file(&path).unwrap();
            assert_eq!(latest_whole(run.path()).unwrap().found.unwrap().1.state.step, 1, "{name} missing");
            fs::write(&path, whole).unwrap();
        }
        assert_eq!(latest_whole(run.path()).unwrap().found.unwrap().1.state.step, 2);
    }

    #[test]
    fn a_checkpoint_of_another_version_says_so() {
        let run = tempfile::tempdir().unwrap();
        let folder = save(run.path(), &checkpoint(2), 9).unwrap();
        let state = fs::read_to_string(folder.join(STATE)).unwrap();
        let other = state.replace("\"format_version\": 1", "\"format_version\": 2");
        let sums = fs::read_to_string(folder.join(CHECKSUMS)).unwrap();
        let digest = |text: &str| crate::hex(&Sha256::digest(text));
        fs::write(folder.join(CHECKSUMS), sums.replace(&digest(&state), &digest(&other))).unwrap();
        fs::write(folder.join(STATE), other).unwrap();
        assert!(load(&folder).unwrap_err().to_string().contains("format version 2, expected 1"));
    }

    #[test]
    fn leftovers_of_killed_runs_are_removed_and_nothing_else() {
        let run = tempfile::tempdir().unwrap();
        save(run.path(), &checkpoint(2), 9).unwrap();
        fs::create_dir(run.path().join(".step_000003.tmp-17")).unwrap();
        fs::write(run.path().join(".step_000003.tmp-17/parameters.safetensors"), "half").unwrap();
        fs::create_dir(run.path().join(".mine")).unwrap();
        assert_eq!(latest_whole(run.path()).unwrap().found.unwrap().1.state.step, 2);
        remove_leftovers(run.path()).unwrap();
        let mut names: Vec<_> = entries(run.path()).unwrap();
        names.sort();
        assert_eq!(names, [run.path().join(".mine"), run.path().join("step_000002")]);
        let empty = tempfile::tempdir().unwrap();
        assert!(latest_whole(empty.path()).unwrap().found.is_none());
    }
}
