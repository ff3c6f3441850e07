//! The job without a command, on a text of its own so that it ends in seconds.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use crate::support::program::{Run, electra, run};
use crate::support::small_run::tensors;

/// Enough different words for a vocabulary, in documents to hold some out.
fn text() -> String {
    let subjects = ["the compiler", "a borrow", "the parser", "this lifetime", "every thread", "one iterator"];
    let verbs = ["reads", "returns", "moves", "checks", "drops", "shares"];
    let objects = ["the value", "a reference", "its memory", "the token", "a closure", "the result"];
    let mut text = String::new();
    for number in 0..400usize {
        for line in 0..4 {
            let pick = |words: &[&'static str], step: usize| words[(number * 5 + line * step) % words.len()];
            text.push_str(&format!("{} {} {} .\n", pick(&subjects, 1), pick(&verbs, 7), pick(&objects, 3)));
        }
        text.push('\n');
    }
    text
}

#[test]
fn from_text_to_detections_and_on_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("text.txt"), text()).unwrap();
    let (input, out) = (path("text.txt"), path("run"));
    let arguments = [
        "--input",
        &input,
        "--out",
        &out,
        "--device",
        "cpu",
        "--steps",
        "30",
        "--set",
        "model.vocab_size=120",
        "--set",
        "train.validation_batches=1",
    ];
    let first = run(arguments).expect_success();
    for part in ["discriminator AUC", "unigram detector AUC", "bigram detector AUC", "Held-out text", "Next"] {
        assert!(first.stdout.contains(part), "{part} is missing in\n{}", first.stdout);
    }
    assert!(first.stderr.contains("Device CPU"), "the device comes first:\n{}", first.stderr);
    for name in ["discriminator/model.safetensors", "generator/config.json", "metrics.jsonl", "run.toml"] {
        assert!(folder.path().join("run").join(name).is_file(), "{name}");
    }
    let rows = std::fs::read(folder.path().join("run/metrics.jsonl")).unwrap();

    // The same command again: nothing is left to train, and nothing changes.
    let again = run(["--input", &input, "--out", &out, "--device", "cpu"]).expect_success();
    assert!(again.stdout.contains("discriminator AUC"), "{}", again.stdout);
    assert_eq!(std::fs::read(folder.path().join("run/metrics.jsonl")).unwrap(), rows);
    run(["--out", &out, "--device", "cpu", "--steps", "40"]).expect_bad_input(&["has begun", "--out"]);
    std::fs::write(path("other.txt"), text()).unwrap();
    run(["--input", &path("other.txt"), "--out", &out, "--device", "cpu"]).expect_bad_input(&["other text", "--out"]);
}

/// Runs the default job for a step, with `stdin` as its standard input.
fn one_step(arguments: &[&str], stdin: &str) -> Run {
    let settings =
        ["--device", "cpu", "--steps", "1", "--set", "train.batch_size=2", "--set", "train.validation_batches=1"];
    let mut command = electra(settings.iter().chain(arguments));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A program that has refused its arguments reads nothing.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let output = child.wait_with_output().unwrap();
    Run {
        exit_code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn standard_input_is_read_once_and_gives_what_a_file_gives() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("text.txt"), text()).unwrap();
    let (file, piped) = (path("file"), path("piped"));
    one_step(&["--input", &path("text.txt"), "--out", &file], "").expect_success();
    one_step(&["--input", "-", "--out", &piped], &text()).expect_success();
    for name in ["data/train-00000.safetensors", "data/validation-00000.safetensors", "discriminator/model.safetensors"]
    {
        let read = |run: &str| tensors(&Path::new(run).join(name));
        assert!(read(&file) == read(&piped), "{name}");
    }
    let hidden = std::fs::read_dir(&piped).unwrap().map(|entry| entry.unwrap().file_name());
    let hidden: Vec<_> = hidden.filter(|name| name.to_string_lossy().starts_with(".electra")).collect();
    assert!(hidden.is_empty(), "the text that was kept is gone: {hidden:?}");

    // Going on needs no text, and says that what comes is not looked at.
    let again = run(["--input", "-", "--out", &piped, "--device", "cpu"]).expect_success();
    assert!(again.stderr.contains("standard input is not read"), "{}", again.stderr);
    one_step(&["--input", "-", "--out", &path("empty")], "").expect_bad_input(&["-", "no word found"]);
    assert!(!folder.path().join("empty").exists(), "nothing is left of it");
}

#[test]
fn input_is_read_as_the_options_of_other_commands_say() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let records: String = text().lines().map(|line| format!("{{\"content\": \"{line}\"}}\n")).collect();
    std::fs::write(path("text.jsonl"), &records).unwrap();
    let (input, out) = (path("text.jsonl"), path("run"));
    one_step(&["--input", &input, "--out", &out], "").expect_bad_input(&["text.jsonl", "content", "--text-key"]);
    one_step(&["--input", &input, "--out", &out, "--text-key", "content"], "").expect_success();
    let piped = path("piped");
    one_step(&["--input", "-", "--out", &piped, "--text-key", "content", "--format", "jsonl"], &records)
        .expect_success();
    let read = |run: &str| std::fs::read(Path::new(run).join("data/train-00000.safetensors")).unwrap();
    assert!(read(&out) == read(&piped));

    // A folder of the user's in the place of the dataset: no advice that this command cannot take.
    std::fs::create_dir_all(folder.path().join("taken/data")).unwrap();
    std::fs::write(folder.path().join("taken/data/thesis.txt"), "years").unwrap();
    let refused = one_step(&["--input", &input, "--out", &path("taken"), "--text-key", "content"], "");
    let refused = refused.expect_bad_input(&["data", "not empty", "--out"]);
    assert!(!refused.stderr.contains("--overwrite"), "{}", refused.stderr);
}
