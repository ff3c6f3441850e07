//! Signals: a stopped run has saved, and its exit code says so; what was ignored at the start stays ignored.
#![cfg(unix)]

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use electra_train::pretraining::WindowSums;
use electra_train::run::folder::checkpoints;

use crate::support::program::{electra, run};
use crate::support::small_run::{SmallRun, metrics};

/// More steps than a test has time for, and no checkpoint of its own accord.
const ENDLESS: [&str; 4] =
    ["train.steps=1000000", "train.log_every=1", "train.checkpoint_every=1000000", "train.validate_every=0"];

fn send(signal: &str, child: &Child) {
    let sent = Command::new("sh").args(["-c", &format!("kill -{signal} {}", child.id())]).status();
    assert!(sent.expect("there is a shell").success());
}

fn rows(run: &Path) -> usize {
    std::fs::read(run.join("metrics.jsonl")).map_or(0, |text| text.split(|byte| *byte == b'\n').count())
}

#[track_caller]
fn wait_until(what: &str, mut ready: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !ready() {
        assert!(Instant::now() < deadline, "{what} within a minute");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Exit code (`None`: a signal) and standard error.
fn end(child: Child) -> (Option<i32>, String) {
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// `command` with these signals as in a terminal, whatever the tests themselves were started with: a script's background
/// jobs ignore SIGINT. `ignored` is ignored, as nohup does.
fn with_signals(mut command: Command, ignored: Option<i32>) -> Child {
    let reset = move || {
        for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGUSR1] {
            let action = if ignored == Some(signal) { libc::SIG_IGN } else { libc::SIG_DFL };
            // SAFETY: no handler is installed.
            unsafe { libc::signal(signal, action) };
        }
        Ok(())
    };
    // SAFETY: between fork and exec only `signal` is called, which is allowed there.
    unsafe { command.pre_exec(reset) };
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts")
}

/// The endless run in `out`, training.
fn start(small: &SmallRun, out: &str, ignored: Option<i32>) -> Child {
    let child = with_signals(electra(small.arguments(out, &ENDLESS)), ignored);
    wait_until("a first row", || rows(&small.path(out)) > 2);
    child
}

#[test]
fn a_signal_saves_and_ends_with_exit_code_three() {
    let small = SmallRun::new();
    for signal in ["TERM", "INT", "HUP", "USR1"] {
        let child = start(&small, signal, None);
        send(signal, &child);
        let (code, stderr) = end(child);
        assert_eq!(code, Some(3), "{signal}: {stderr}");
        assert!(stderr.contains("electra pretrain --resume --out"), "{stderr}");
        let folder = small.path(signal);
        let saved =
            checkpoints::latest_whole::<WindowSums>(&folder).unwrap().found.expect("a whole checkpoint").1.state.step;
        assert_eq!(metrics(&folder).last().unwrap()["step"], saved, "saved after the last row");
        for network in ["discriminator", "generator"] {
            assert!(folder.join(network).join("model.safetensors").is_file());
        }
        // It goes on, and a run that comes to its last step is told from one that was stopped.
        let steps = format!("train.steps={}", saved + 2);
        run(["pretrain", "--resume", "--out", &small.shown(signal), "--set", &steps]).expect_success();
    }
    for help in [["--help"].as_slice(), &["pretrain", "--help"]] {
        assert!(run(help).expect_success().stdout.contains("3 a"), "{help:?}");
    }
}

#[test]
fn a_signal_that_was_ignored_at_the_start_stays_ignored() {
    let small = SmallRun::new();
    for (signal, number) in [("HUP", libc::SIGHUP), ("USR1", libc::SIGUSR1), ("INT", libc::SIGINT)] {
        let child = start(&small, signal, Some(number));
        send(signal, &child);
        let (folder, now) = (small.path(signal), rows(&small.path(signal)));
        wait_until("it goes on", || rows(&folder) > now + 20);
        send("TERM", &child);
        assert_eq!(end(child).0, Some(3));
    }
}

#[test]
fn a_second_ctrl_c_ends_the_run_at_once() {
    let small = SmallRun::new();
    // A checkpoint that takes seconds to write leaves time for a second thought.
    let mut command = electra(small.arguments("run", &ENDLESS));
    command.env("ELECTRA_TEST_DELAY_MS", "3000");
    let mut child = with_signals(command, None);
    wait_until("a first row", || rows(&small.path("run")) > 2);
    send("INT", &child);
    // A launcher may pass the same key on a second time.
    send("INT", &child);
    std::thread::sleep(Duration::from_millis(600));
    assert!(child.try_wait().unwrap().is_none(), "one press of a key is no second thought");
    send("INT", &child);
    let started = Instant::now();
    let (code, stderr) = end(child);
    assert_eq!(code, None, "ended by the signal: {stderr}");
    assert!(started.elapsed() < Duration::from_secs(2), "at once");
    assert!(stderr.contains("press Ctrl-C again"), "{stderr}");
}
