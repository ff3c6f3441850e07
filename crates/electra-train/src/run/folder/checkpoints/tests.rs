use super::*;
use crate::host::HostTensor;
use crate::run::checkpoint::{METRICS, OPTIMIZER, PARAMETERS, STATE, TrainState};

fn checkpoint(step: u64) -> Checkpoint {
    let tensor = |name: &str| HostTensor::new(name, [2], vec![0.1 * step as f32, -0.0]);
    Checkpoint {
        state: TrainState { step, data_fingerprint: "d".into(), tokens_seen: 1 << 60, ..TrainState::default() },
        parameters: vec![tensor("w")],
        optimizer: vec![tensor("m.w"), tensor("v.w")],
        window_scores: vec![HostTensor::new("is_replaced", [0], vec![]), HostTensor::new("logits", [0], vec![])],
    }
}

/// Saves checkpoints as one process after another would, each of which knows nothing of the ones before.
fn save(run: &Path, checkpoint: &Checkpoint, keep: usize) -> Result<PathBuf> {
    let saved = Checkpoints::new(run, keep).save(checkpoint)?;
    assert!(saved.not_removed.is_none(), "{saved:?}");
    Ok(saved.path)
}

/// The same bytes but for one of state.json.
fn damage(folder: &Path) {
    let path = folder.join(STATE);
    let mut bytes = fs::read(&path).unwrap();
    bytes[5] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

fn steps(run: &Path) -> Vec<u64> {
    list(run).unwrap().into_iter().map(|(step, _)| step).collect()
}

#[test]
fn a_checkpoint_returns_as_it_was() {
    let run = tempfile::tempdir().unwrap();
    let path = save(run.path(), &checkpoint(500), 3).unwrap();
    assert!(path.ends_with("step_000500"));
    assert_eq!(load::<WindowSums>(&path).unwrap(), checkpoint(500));
    let latest = latest_whole::<WindowSums>(run.path()).unwrap();
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
    assert_eq!(steps(run.path()), [1_000_000, 1_000_001]);
}

#[test]
fn a_save_keeps_itself_and_leaves_newer_damaged_ones_alone() {
    for keep in 1..=3 {
        let run = tempfile::tempdir().unwrap();
        for step in [8, 100, 101, 102] {
            damage(&save(run.path(), &checkpoint(step), 9).unwrap());
        }
        for step in [10, 20, 30, 40] {
            let path = save(run.path(), &checkpoint(step), keep).unwrap();
            assert_eq!(load::<WindowSums>(&path).unwrap(), checkpoint(step));
        }
        let whole = &[20, 30, 40][3 - keep..];
        assert_eq!(steps(run.path()), [whole, &[100, 101, 102]].concat(), "keep {keep}");
        assert_eq!(latest_whole::<WindowSums>(run.path()).unwrap().damaged.len(), 3);
    }
}

#[test]
fn only_whole_ones_count_among_those_to_keep() {
    let run = tempfile::tempdir().unwrap();
    for step in [10, 20, 30] {
        save(run.path(), &checkpoint(step), 9).unwrap();
    }
    damage(&path_of(run.path(), 30));
    save(run.path(), &checkpoint(40), 2).unwrap();
    assert_eq!(steps(run.path()), [20, 30, 40], "30 is damaged, so 20 is the second whole one");
}

#[test]
fn where_none_is_whole_nothing_is_done() {
    let run = tempfile::tempdir().unwrap();
    for step in [1, 2] {
        damage(&save(run.path(), &checkpoint(step), 9).unwrap());
    }
    let message = latest_whole::<WindowSums>(run.path()).unwrap_err().to_string();
    for part in ["no whole checkpoint among the 2", "step_000002", "state.json", "nothing was changed"] {
        assert!(message.contains(part), "no {part:?} in {message}");
    }
}

#[cfg(unix)]
#[test]
fn what_cannot_be_read_now_is_not_passed_over() {
    let run = tempfile::tempdir().unwrap();
    save(run.path(), &checkpoint(1), 9).unwrap();
    // Permissions do not stop root: a disk that is away does.
    std::os::unix::fs::symlink("/nowhere/step_000002", run.path().join("step_000002")).unwrap();
    let error = latest_whole::<WindowSums>(run.path()).unwrap_err();
    assert!(matches!(error, Error::Io { .. }) && error.to_string().contains("step_000002"), "{error}");
    fs::remove_file(run.path().join("step_000002")).unwrap();
    // A link that leads in a circle is no damaged file either.
    let newest = save(run.path(), &checkpoint(2), 9).unwrap();
    fs::remove_file(newest.join(OPTIMIZER)).unwrap();
    std::os::unix::fs::symlink(OPTIMIZER, newest.join(OPTIMIZER)).unwrap();
    let error = latest_whole::<WindowSums>(run.path()).unwrap_err();
    assert!(matches!(error, Error::Io { .. }) && error.to_string().contains(OPTIMIZER), "{error}");
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
            let latest = latest_whole::<WindowSums>(run.path()).unwrap();
            assert_eq!(latest.found.unwrap().1.state.step, 1, "{name}");
            assert!(latest.damaged[0].to_string().contains("step_000002"), "{}", latest.damaged[0]);
        }
        fs::remove_file(&path).unwrap();
        assert_eq!(latest_whole::<WindowSums>(run.path()).unwrap().found.unwrap().1.state.step, 1, "{name} missing");
        fs::write(&path, whole).unwrap();
    }
    assert_eq!(latest_whole::<WindowSums>(run.path()).unwrap().found.unwrap().1.state.step, 2);
}

/// Replaces part of state.json, and its checksum.
fn rewrite_state(folder: &Path, from: &str, to: &str) {
    let state = fs::read_to_string(folder.join(STATE)).unwrap();
    assert!(state.contains(from), "{from} in {state}");
    let other = state.replace(from, to);
    let sums = fs::read_to_string(folder.join(CHECKSUMS)).unwrap();
    let digest = |text: &str| crate::hex(&Sha256::digest(text));
    fs::write(folder.join(CHECKSUMS), sums.replace(&digest(&state), &digest(&other))).unwrap();
    fs::write(folder.join(STATE), other).unwrap();
}

#[test]
fn a_checkpoint_of_another_version_is_an_error_even_where_an_older_one_would_do() {
    for (from, to, part) in [
        ("\"format_version\": 2", "\"format_version\": 3", "format version 3, expected 2"),
        ("\"tokens_seen\"", "\"tokens_read\"", "tokens_read"),
    ] {
        let run = tempfile::tempdir().unwrap();
        save(run.path(), &checkpoint(1), 9).unwrap();
        rewrite_state(&save(run.path(), &checkpoint(2), 9).unwrap(), from, to);
        let error = latest_whole::<WindowSums>(run.path()).unwrap_err();
        assert!(matches!(error, Error::OtherVersion { .. }) && error.to_string().contains(part), "{error}");
    }
}

/// What a kill leaves between the two renames of a replacement.
#[test]
fn a_replacement_that_was_cut_short_is_undone() {
    let run = tempfile::tempdir().unwrap();
    let hidden = |name: &str| run.path().join(name);
    save(run.path(), &checkpoint(2), 9).unwrap();
    write_folder(&hidden(".step_000002.tmp-17"), &Checkpoint { window_scores: vec![], ..checkpoint(2) }).unwrap();
    fs::rename(path_of(run.path(), 2), hidden(".step_000002.tmp-old-17")).unwrap();
    // And after the second one, where the old one is of no use any more.
    save(run.path(), &checkpoint(3), 9).unwrap();
    write_folder(&hidden(".step_000003.tmp-old-17"), &checkpoint(3)).unwrap();
    put_back(run.path()).unwrap();
    remove_leftovers(run.path()).unwrap();
    assert_eq!(load::<WindowSums>(&path_of(run.path(), 2)).unwrap(), checkpoint(2));
    assert_eq!(load::<WindowSums>(&path_of(run.path(), 3)).unwrap(), checkpoint(3));
    assert_eq!(entries(run.path()).unwrap().len(), 2);
}

#[test]
fn leftovers_of_killed_runs_are_removed_and_nothing_else() {
    let run = tempfile::tempdir().unwrap();
    save(run.path(), &checkpoint(2), 9).unwrap();
    fs::create_dir(run.path().join(".step_000003.tmp-17")).unwrap();
    fs::write(run.path().join(".step_000003.tmp-17/parameters.safetensors"), "half").unwrap();
    fs::write(run.path().join(".metrics.jsonl.tmp-17-3"), "half").unwrap();
    fs::create_dir(run.path().join(".mine")).unwrap();
    assert_eq!(latest_whole::<WindowSums>(run.path()).unwrap().found.unwrap().1.state.step, 2);
    remove_leftovers(run.path()).unwrap();
    let mut names: Vec<_> = entries(run.path()).unwrap();
    names.sort();
    assert_eq!(names, [run.path().join(".mine"), run.path().join("step_000002")]);
    let empty = tempfile::tempdir().unwrap();
    assert!(latest_whole::<WindowSums>(empty.path()).unwrap().found.is_none());
}
