//! The job without a command, on a text of its own so that it ends in seconds.

use crate::support::program::run;

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
