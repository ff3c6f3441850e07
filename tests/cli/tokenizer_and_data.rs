//! `electra tokenizer` and `electra data`, from text in several formats to a dataset.

use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::program::{electra, run};
use crate::support::small_run::{SmallRun, text};

/// The same documents as lines of text, as JSONL and compressed.
fn write_formats(small: &SmallRun) {
    let text = text(60);
    let jsonl: String = text
        .split("\n\n")
        .filter(|text| !text.is_empty())
        .map(|text| format!("{}\n", json!({ "text": text })))
        .collect();
    std::fs::write(small.path("text.jsonl"), jsonl).unwrap();
    let file = std::fs::File::create(small.path("packed.txt.gz")).unwrap();
    let mut packed = flate2::write::GzEncoder::new(file, flate2::Compression::default());
    packed.write_all(text.as_bytes()).unwrap();
    packed.finish().unwrap();
}

fn inspection(folder: &str) -> Value {
    let stdout = run(["data", "inspect", folder, "--sequence-length", "32", "--json"]).expect_success().stdout;
    serde_json::from_str(&stdout).expect("one JSON object")
}

#[test]
fn every_format_gives_the_same_tokens() {
    let small = SmallRun::new();
    write_formats(&small);
    let tokenizer = small.shown("tokenizer");
    let expected = inspection(&small.shown("data"));
    for (name, source) in [("jsonl", "text.jsonl"), ("gz", "packed.txt.gz")] {
        let (input, out) = (small.shown(source), small.shown(name));
        let built =
            run(["data", "build", "--input", &input, "--tokenizer", &tokenizer, "--out", &out]).expect_success();
        assert!(built.stdout.contains("tokens in") && built.stderr.contains("Tokenized"), "{built:#?}");
        assert_eq!(inspection(&out)["splits"], expected["splits"], "{name}");
    }
    // Standard input is text too.
    let out = small.shown("stdin");
    let mut child = electra(["-q", "data", "build", "--input", "-", "--tokenizer", &tokenizer, "--out", &out])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().expect("piped").write_all(text(60).as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(inspection(&out)["splits"], expected["splits"], "standard input");
}

#[test]
fn a_dataset_is_the_same_with_any_number_of_threads() {
    let small = SmallRun::new();
    let read = |name: &str| std::fs::read(small.path(name).join("train-00000.safetensors")).unwrap();
    for jobs in ["1", "3"] {
        let (text, tokenizer, out) = (small.shown("text.txt"), small.shown("tokenizer"), small.shown(jobs));
        run(["data", "build", "--input", &text, "--tokenizer", &tokenizer, "--out", &out, "--jobs", jobs])
            .expect_success();
        assert!(read(jobs) == read("data"), "{jobs} threads");
    }
}

#[test]
fn inspect_shows_counts_lengths_and_a_masked_example() {
    let small = SmallRun::new();
    let data = small.shown("data");
    let report = run(["data", "inspect", &data, "--sequence-length", "32"]).expect_success().stdout;
    for part in ["train", "validation", "tokens per line", "tokens per document", "An example", "[CLS]", "[MASK] <"] {
        assert!(report.contains(part), "no {part:?} in {report}");
    }
    let seen = inspection(&data);
    let train = &seen["splits"][0];
    assert_eq!(train["documents"], 60, "{seen:#}");
    assert!(seen["splits"][1]["tokens"].as_u64().is_some_and(|tokens| tokens > 0), "{seen:#}");
}

#[test]
fn an_imported_vocabulary_is_the_trained_one() {
    let small = SmallRun::new();
    let vocabulary = small.shown("tokenizer/vocab.txt");
    let out = small.shown("imported");
    let imported = run(["tokenizer", "import", &vocabulary, "--out", &out, "--uncased"]).expect_success();
    assert!(imported.stdout.contains("lowercased, accents stripped, sha256"), "{imported:#?}");
    let (text, built) = (small.shown("text.txt"), small.shown("again"));
    run(["data", "build", "--input", &text, "--tokenizer", &out, "--out", &built]).expect_success();
    assert_eq!(inspection(&built)["splits"], inspection(&small.shown("data"))["splits"]);
}

#[test]
fn bad_input_is_one_message_that_names_it() {
    let small = SmallRun::new();
    let (text, tokenizer, data) = (small.shown("text.txt"), small.shown("tokenizer"), small.shown("data"));
    let absent = small.shown("absent.txt");
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(small.path(name), bytes).unwrap();
        small.shown(name)
    };
    let build = |input: &str| {
        let out = small.path("out");
        let ended = run(["data", "build", "--input", input, "--tokenizer", &tokenizer, "--out", &small.shown("out")]);
        assert!(!out.join("manifest.json").exists(), "nothing that looks whole is left");
        ended
    };
    build(&absent).expect_bad_input(&["absent.txt"]);
    build(&write("latin.txt", b"one line\na caf\xe9 line\n")).expect_bad_input(&["latin.txt", "line 2", "UTF-8"]);
    build(&write("empty.txt", b"")).expect_bad_input(&["empty.txt"]);
    build(&write("broken.jsonl", b"{\"text\": \"fine\"}\n{\"text\": \n")).expect_bad_input(&["broken.jsonl", "line 2"]);
    build(&write("other.jsonl", b"{\"body\": \"fine\"}\n")).expect_bad_input(&["other.jsonl", "line 1", "text"]);
    write_formats(&small);
    let packed = std::fs::read(small.path("packed.txt.gz")).unwrap();
    build(&write("cut.txt.gz", &packed[..packed.len() / 2])).expect_bad_input(&["cut.txt.gz", "truncated"]);

    let into =
        |tokenizer: &str, out: &str| run(["data", "build", "--input", &text, "--tokenizer", tokenizer, "--out", out]);
    into(&small.shown("nowhere"), &small.shown("out")).expect_bad_input(&["nowhere"]);
    into(&tokenizer, &data).expect_bad_input(&[&data, "--overwrite"]);
    run(["tokenizer", "train", "--input", &text, "--vocab-size", "300", "--out", &tokenizer])
        .expect_bad_input(&[&tokenizer, "--overwrite"]);
    run(["tokenizer", "train", "--input", &text, "--vocab-size", "3", "--out", &small.shown("t")])
        .expect_bad_input(&["3"]);
    let words = write("words.txt", b"one\ntwo\n");
    run(["tokenizer", "import", &words, "--out", &small.shown("t")]).expect_bad_input(&["words.txt", "[PAD]"]);
    run(["data", "inspect", &small.shown("nowhere")]).expect_bad_input(&["nowhere"]);
    run(["data", "inspect", &data, "--sequence-length", "3"]).expect_bad_input(&["3"]);
}
