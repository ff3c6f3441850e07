//! A run that was interrupted or killed at any moment, and resumed, is the run that was not.
//!
//! All runs here have dropout on and batches of two unequal micro-batches.

use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use burn::tensor::Device;
use electra_train::pretraining::Outcome;
use electra_train::run::folder::checkpoints;
use electra_train::{RunConfig, TrainEvent};

use crate::support::program::{electra, run};
use crate::support::small_run::{SmallRun, run_in_this_process};

/// Fails unless two finished runs have the same rows, weights and moments, bit for bit.
#[track_caller]
pub(super) fn assert_same_run(found: &Path, expected: &Path, steps: u64) {
    let checkpoint = |name: &str| format!("step_{steps:06}/{name}");
    let networks = ["discriminator/model.safetensors", "generator/model.safetensors"];
    let exported: Vec<&str> = networks.into_iter().filter(|name| expected.join(name).exists()).collect();
    assert!(!exported.is_empty(), "no network was exported");
    let (parameters, optimizer) = (checkpoint("parameters.safetensors"), checkpoint("optimizer.safetensors"));
    for name in ["metrics.jsonl", &*parameters, &*optimizer].into_iter().chain(exported) {
        let read = |run: &Path| std::fs::read(run.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let (found, expected) = (read(found), read(expected));
        if name == "metrics.jsonl" {
            assert_eq!(String::from_utf8(found).unwrap(), String::from_utf8(expected).unwrap());
        } else {
            assert!(found == expected, "{name} differs");
        }
    }
}

/// Runs in this process until `stop_after` steps are done.
fn run_until(config: &RunConfig, folder: &Path, resume: bool, stop_after: Option<u64>) -> Outcome {
    run_in_this_process(config, folder, Device::flex(), resume, &mut |event, stop| {
        if let TrainEvent::Progress { step, .. } = event
            && Some(*step) == stop_after
        {
            stop.store(true, Ordering::SeqCst);
        }
    })
}

#[test]
fn an_interrupted_run_resumes_bit_exactly() {
    let small = SmallRun::new();
    // Four examples of 32 tokens: 12 steps go through the text more than once.
    let config = small.config(&[]);
    let whole = small.path("whole");
    assert!(!run_until(&config, &whole, false, None).interrupted);
    // On a checkpoint, on a row, on a validation, on none of them, one step before the end.
    for stops in [&[1][..], &[4, 5], &[6, 7, 11], &[2, 3, 8]] {
        let name = format!("stopped-{}", stops[0]);
        let folder = small.path(&name);
        for (number, stop) in stops.iter().enumerate() {
            let outcome = run_until(&config, &folder, number > 0, Some(*stop));
            assert_eq!((outcome.step, outcome.interrupted), (*stop, true));
        }
        assert_eq!(run_until(&config, &folder, true, None).step, 12);
        assert_same_run(&folder, &whole, 12);
    }
    // Resuming a finished run changes nothing.
    run_until(&config, &whole, true, None);
    assert_same_run(&whole, &small.path("stopped-1"), 12);
}

/// Whether a checkpoint is being written in `run` just now, or was when its writer was killed.
fn has_unfinished_checkpoint(run: &Path) -> bool {
    std::fs::read_dir(run).into_iter().flatten().flatten().any(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.starts_with(".step_") && name.contains(".tmp-")
    })
}

/// Waits until `ready`, and kills `child` with SIGKILL. False if it ended by itself before.
pub(super) fn kill_when(mut child: Child, ready: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !ready() {
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "it ended by itself, and badly: {status}");
            return false;
        }
        assert!(Instant::now() < deadline, "the run neither ends nor gets there");
    }
    child.kill().unwrap();
    child.wait().unwrap().code().is_none()
}

#[test]
fn a_killed_run_resumes_bit_exactly() {
    const STEPS: u64 = 60;
    let small = SmallRun::new();
    let steps = format!("train.steps={STEPS}");
    small.pretrain("whole", &[&steps, "train.log_every=1"]).expect_success();
    let mut killed_while_writing = 0;
    for checkpoint_every in 1..=3 {
        let name = format!("killed-{checkpoint_every}");
        let folder = small.path(&name);
        let every = format!("train.checkpoint_every={checkpoint_every}");
        let start = small.arguments(&name, &[&steps, "train.log_every=1", &every]);
        let goes_on = ["pretrain", "--resume", "--out", &small.shown(&name)].map(str::to_owned);
        let rows = || std::fs::read(folder.join("metrics.jsonl")).map_or(0, |text| text.split(|b| *b == b'\n').count());
        let spawn = |arguments: &[String]| {
            electra(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts")
        };

        // Between two checkpoints, wherever that is: after a few more rows than there were.
        let mut kills = 0;
        for (number, further) in [3, 5, 2].into_iter().enumerate() {
            let target = rows() + further;
            let child = spawn(if number == 0 { &start } else { &goes_on });
            kills += u32::from(kill_when(child, || rows() >= target));
        }
        assert_eq!(kills, 3, "killed before its end");
        // While a checkpoint is written. It may have been renamed by the time the signal arrives: then once more.
        for _ in 0..5 {
            if checkpoints::list(&folder).unwrap().last().is_some_and(|(step, _)| *step + 10 > STEPS) {
                break;
            }
            // The leftover of the kill before is cleared away as the run starts.
            let before = rows();
            kill_when(spawn(&goes_on), || rows() > before && has_unfinished_checkpoint(&folder));
            if has_unfinished_checkpoint(&folder) {
                killed_while_writing += 1;
                break;
            }
        }
        small.resume(&name).expect_success();
        assert!(!has_unfinished_checkpoint(&folder), "leftovers are removed");
        assert_same_run(&folder, &small.path("whole"), STEPS);
    }
    assert!(killed_while_writing > 0, "no kill met a checkpoint half-written");
}

#[test]
fn a_killed_start_is_started_again() {
    let small = SmallRun::new();
    small.pretrain("whole", &[]).expect_success();
    // Killed as soon as the folder is there: before the first checkpoint, perhaps before run.toml.
    let child = electra(small.arguments("killed", &[])).stderr(Stdio::null()).spawn().expect("it starts");
    let folder = small.path("killed");
    assert!(kill_when(child, || folder.is_dir()));
    let mut again = small.arguments("killed", &[]);
    again.push("--resume".to_owned());
    let ended = run(again).expect_success();
    assert!(ended.stderr.contains("no checkpoint to resume from; starting afresh"), "{ended:#?}");
    assert_same_run(&folder, &small.path("whole"), 12);
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let small = SmallRun::new();
    // Large enough that Burn's CPU backend and its matrix products divide the work.
    let large = [
        "model.hidden_size=128",
        "model.embedding_size=128",
        "model.intermediate_size=512",
        "model.num_hidden_layers=2",
        "model.max_position_embeddings=128",
        "train.sequence_length=128",
        "train.batch_size=16",
        "train.micro_batch=16",
        "train.steps=3",
        "train.warmup_steps=1",
        "train.log_every=1",
        "train.validate_every=3",
        "train.validation_batches=1",
    ];
    for (size, sets, steps) in [("small", &[][..], 12), ("large", &large, 3)] {
        for threads in ["1", "2", "4"] {
            let arguments = small.arguments(&format!("{size}-{threads}"), sets);
            let output = electra(arguments).env("RAYON_NUM_THREADS", threads).output().expect("it starts");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            assert_same_run(&small.path(&format!("{size}-{threads}")), &small.path(&format!("{size}-1")), steps);
        }
    }
}
