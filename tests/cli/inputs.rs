//! What `data build` and `tokenizer train` say of their inputs: what was taken, left out, skipped, and how to go on.

use serde_json::Value;

use crate::support::program::{Run, run};
use crate::support::small_run::{SmallRun, text};

/// Builds a dataset of what `input` names, with further arguments.
fn build(small: &SmallRun, input: &str, arguments: &[&str]) -> Run {
    let (tokenizer, out) = (small.shown("tokenizer"), small.shown("out"));
    let arguments = ["data", "build", "--overwrite", "--tokenizer", &tokenizer, "--out", &out, "--input", input]
        .into_iter()
        .chain(arguments.iter().copied());
    run(arguments)
}

fn tokens(folder: &str) -> u64 {
    let stdout = run(["data", "inspect", folder, "--sequence-length", "32", "--json"]).expect_success().stdout;
    let seen: Value = serde_json::from_str(&stdout).expect("one JSON object");
    let splits = seen["splits"].as_array().expect("two splits");
    splits.iter().map(|split| split["tokens"].as_u64().expect("a number")).sum()
}

#[test]
fn a_folder_ends_in_a_line_of_what_was_taken_and_left_out() {
    let small = SmallRun::new();
    std::fs::create_dir(small.path("in")).unwrap();
    for (name, content) in
        [("a.txt", text(60)), ("wiki_00", text(9)), ("README.md", text(3)), ("b.pdf", "%PDF-1.5\n".into())]
    {
        std::fs::write(small.path("in").join(name), content).unwrap();
    }
    let input = small.shown("in");
    let built = build(&small, &input, &[]).expect_success();
    assert!(built.stderr.contains("took 1 file ("), "{built:#?}");
    assert!(
        built.stderr.contains("left out 3: 1 (a PDF document), 1 (a README), 1 (no text by its name"),
        "{built:#?}"
    );
    assert!(!built.stderr.contains("b.pdf"), "{built:#?}");
    assert_eq!(tokens(&small.shown("out")), tokens(&small.shown("data")));
    let built = build(&small, &input, &["-v"]).expect_success();
    for name in ["wiki_00", "README.md", "b.pdf"] {
        assert!(built.stderr.contains(&format!("{name}: ")), "no {name} in {built:#?}");
    }
    let manifest = std::fs::read_to_string(small.path("out").join("manifest.json")).unwrap();
    assert!(manifest.contains("wiki_00") && manifest.contains("a PDF document"), "{manifest}");
}

#[test]
fn bad_records_are_skipped_when_asked_and_summed_up() {
    let small = SmallRun::new();
    let lines = text(60);
    let mut bytes = lines.clone().into_bytes();
    bytes.extend(b"caf\xe9 au lait\n");
    std::fs::write(small.path("in.txt"), &bytes).unwrap();
    let input = small.shown("in.txt");
    let number = (lines.lines().count() + 1).to_string();
    build(&small, &input, &[]).expect_bad_input(&["in.txt", &format!("line {number}"), "--on-error"]);
    let built = build(&small, &input, &["--on-error", "skip"]).expect_success();
    assert!(
        built.stderr.contains("not valid in its encoding, left out: 1 (") && built.stderr.contains(&number),
        "{built:#?}"
    );
    assert_eq!(tokens(&small.shown("out")), tokens(&small.shown("data")));
    build(&small, &input, &["--on-error", "replace"]).expect_success();
    assert!(tokens(&small.shown("out")) > tokens(&small.shown("data")));
    let out = small.shown("tok");
    run(["tokenizer", "train", "--input", &input, "--on-error", "skip", "--vocab-size", "300", "--out", &out])
        .expect_success();
}

#[test]
#[cfg(target_os = "linux")]
fn a_name_that_is_not_utf8_is_read() {
    use std::os::unix::ffi::OsStrExt;
    let small = SmallRun::new();
    let odd = small.path("").join(std::ffi::OsStr::from_bytes(b"caf\xe9.txt"));
    std::fs::write(&odd, text(60)).unwrap();
    let out = small.path("out");
    let tokenizer = small.path("tokenizer");
    let arguments: [&std::ffi::OsStr; 8] = [
        "data".as_ref(),
        "build".as_ref(),
        "--tokenizer".as_ref(),
        tokenizer.as_ref(),
        "--out".as_ref(),
        out.as_ref(),
        "--input".as_ref(),
        odd.as_ref(),
    ];
    run(arguments).expect_success();
    assert_eq!(tokens(&small.shown("out")), tokens(&small.shown("data")));
}

#[test]
fn a_share_that_cannot_be_kept_is_said() {
    let small = SmallRun::new();
    std::fs::write(small.path("in.txt"), "the old sailor\nsees\n").unwrap();
    let built = build(&small, &small.shown("in.txt"), &[]).expect_success();
    assert!(built.stderr.contains("are held out for validation, where 2.00 % were asked for"), "{built:#?}");
    let built = build(&small, &small.shown("text.txt"), &["--validation-fraction", "0.1"]).expect_success();
    assert!(!built.stderr.contains("were asked for"), "{built:#?}");
}

#[test]
fn what_is_no_text_is_refused_before_any_work() {
    let small = SmallRun::new();
    std::fs::write(small.path("in.txt"), b"SQLite format 3\0\x10\0").unwrap();
    let input = small.shown("in.txt");
    build(&small, &input, &[]).expect_bad_input(&["in.txt", "an SQLite database", "export"]);
    assert!(!small.path("out").exists());
    build(&small, &input, &["--max-window", "3GiB"]).expect_bad_input(&["--max-window", "2GiB"]);
    build(&small, &input, &["--on-error", "explode"]).expect_bad_input(&["--on-error", "skip"]);
}
