//! `electra tokenizer` on text and vocabularies that BERT's defaults would lose something of.

use std::fmt::Write;

use serde_json::Value;

use crate::support::program::run;
use crate::support::small_run::SmallRun;

fn json(path: &std::path::Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).expect("written")).expect("JSON")
}

/// A folder with `text` as in.txt.
fn with_text(text: &str) -> (tempfile::TempDir, impl Fn(&str) -> String + use<>) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("in.txt"), text).unwrap();
    let root = folder.path().to_owned();
    (folder, move |name: &str| root.join(name).to_str().unwrap().to_owned())
}

fn unknown_share(data: &str) -> f64 {
    let seen = run(["data", "inspect", data, "--sequence-length", "32", "--json"]).expect_success();
    let seen: Value = serde_json::from_str(&seen.stdout).unwrap();
    seen["splits"][0]["unknown_share"].as_f64().unwrap()
}

#[test]
fn accents_are_stripped_or_kept_as_asked() {
    let mut text = String::new();
    for line in 0..200 {
        let (who, what) = (["Bäcker", "Ärztin", "Großvater"][line % 3], ["Äpfel", "Bücher", "Schlüssel"][line / 3 % 3]);
        writeln!(text, "{who} möchte {what} über der Brücke suchen").unwrap();
    }
    let (_folder, path) = with_text(&text);
    for (word, lowercases, strips) in
        [("auto", true, true), ("true", true, true), ("false", true, false), ("cased", false, false)]
    {
        let out = path(word);
        let (input, flag) = (path("in.txt"), if word == "cased" { "--cased" } else { "--strip-accents" });
        let mut arguments = vec!["tokenizer", "train", "--input", &input, "--vocab-size", "300", "--out", &out, flag];
        arguments.extend((word != "cased").then_some(word));
        let trained = run(arguments).expect_success();
        let casing = match (lowercases, strips) {
            (true, true) => "entries, lowercased, accents stripped, sha256",
            (true, false) => "entries, lowercased, sha256",
            _ => "entries, cased, sha256",
        };
        assert!(trained.stdout.contains(casing), "{trained:#?}");
        let vocab = std::fs::read_to_string(path(&format!("{word}/vocab.txt"))).unwrap();
        assert_eq!(vocab.contains('ö'), !strips, "{word}");
        let data = path(&format!("{word}-data"));
        run(["data", "build", "--input", &input, "--tokenizer", &out, "--out", &data]).expect_success();
        assert_eq!(unknown_share(&data), 0.0, "{word}");
    }
    let (input, out) = (path("in.txt"), path("x"));
    run(["tokenizer", "train", "--input", &input, "--out", &out, "--strip-accents", "yes"]).expect_bad_input(&["yes"]);
}

#[test]
fn text_that_the_vocabulary_cannot_say_is_refused_and_some_of_it_warned_of() {
    let small = SmallRun::new();
    let tokenizer = small.shown("tokenizer");
    let hindi = "लड़का बाज़ार में किताबें खरीदता है\n".repeat(200);
    std::fs::write(small.path("hindi.txt"), &hindi).unwrap();
    let (input, out) = (small.shown("hindi.txt"), small.shown("hindi"));
    let build = ["data", "build", "--input", &input, "--tokenizer", &tokenizer, "--out", &out];
    run(build).expect_bad_input(&["[UNK]", "no piece for", "--allow-unknown"]);
    assert!(!small.path("hindi/manifest.json").exists());
    let built = run(build.into_iter().chain(["--allow-unknown"])).expect_success();
    assert!(built.stderr.contains("warning:") && built.stderr.contains("[UNK]"), "{built:#?}");
    let seen = run(["data", "inspect", &out, "--sequence-length", "32"]).expect_success();
    assert!(seen.stderr.contains("[UNK]") && seen.stderr.contains("no piece for"), "{seen:#?}");

    let mut arguments = small.arguments("run", &["train.steps=1", "train.warmup_steps=1"]);
    let data = arguments.iter().position(|argument| argument == "--data").unwrap();
    arguments[data + 1] = out.clone();
    run(&arguments).expect_bad_input(&["[UNK]", "--allow-unknown"]);
    arguments.push("--allow-unknown".to_owned());
    let trained = run(&arguments).expect_success();
    assert!(trained.stderr.contains("[UNK]"), "{trained:#?}");

    // A few percent.
    let text = std::fs::read_to_string(small.path("text.txt")).unwrap();
    std::fs::write(small.path("some.txt"), format!("{text}\n{}", &hindi[..hindi.len() / 10])).unwrap();
    let (input, out) = (small.shown("some.txt"), small.shown("some"));
    let built = run(["data", "build", "--input", &input, "--tokenizer", &tokenizer, "--out", &out]).expect_success();
    assert!(built.stderr.contains("% of the tokens are [UNK]"), "{built:#?}");
    // And none.
    let (input, out) = (small.shown("text.txt"), small.shown("none"));
    let built = run(["data", "build", "--input", &input, "--tokenizer", &tokenizer, "--out", &out]).expect_success();
    assert!(!built.stderr.contains("[UNK]"), "{built:#?}");
}

#[test]
fn characters_that_a_limit_leaves_out_are_warned_of() {
    let text: String = (0..600)
        .map(|line| {
            let rare = char::from_u32(0x4e00 + line % 50).unwrap();
            format!("common words and {rare} rare\n")
        })
        .collect();
    let (_folder, path) = with_text(&text);
    let train = |limit: &str| {
        let (input, out) = (path("in.txt"), path(limit));
        run(["tokenizer", "train", "--input", &input, "--vocab-size", "200", "--alphabet-limit", limit, "--out", &out])
    };
    let trained = train("20").expect_success();
    for part in ["warning:", "--alphabet-limit", "left out", "[UNK]"] {
        assert!(trained.stderr.contains(part), "no {part:?} in {trained:#?}");
    }
    let trained = train("100").expect_success();
    assert!(!trained.stderr.contains("left out"), "{trained:#?}");
    // More than half of it: nothing is written.
    train("5").expect_bad_input(&["[UNK]", "--allow-unknown"]);
    assert!(!std::path::Path::new(&path("5/tokenizer.json")).exists());
}

#[test]
fn a_long_line_of_thai_is_learnt_and_said() {
    let words = ["เด็กนักเรียน", "ที่ตลาด", "ค้นหา", "หนังสือเล่มใหม่", "ชาวนา", "ริมแม่น้ำ", "ถือ", "กล่องไม้ใบใหญ่"];
    let line: String = (0..4000).map(|number| words[number * number % 7]).collect();
    let (_folder, path) = with_text(&format!("{line}\n{}\n", &words.concat()));
    let (input, tokenizer, data) = (path("in.txt"), path("tokenizer"), path("data"));
    run(["tokenizer", "train", "--input", &input, "--vocab-size", "300", "--out", &tokenizer]).expect_success();
    run(["data", "build", "--input", &input, "--tokenizer", &tokenizer, "--out", &data]).expect_success();
    assert_eq!(unknown_share(&data), 0.0);
    let settings = json(std::path::Path::new(&path("tokenizer/tokenizer_config.json")));
    assert_eq!(settings["tokenizer_class"], "PreTrainedTokenizerFast");
}

#[test]
fn import_says_what_is_unusual_about_a_vocabulary() {
    let (_folder, path) = with_text("");
    let write = |name: &str, words: &[&str]| {
        let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
        std::fs::write(path(name), special.iter().chain(words).copied().collect::<Vec<_>>().join("\n") + "\n").unwrap();
        path(name)
    };
    let korean = write("korean.txt", &["학생", "##이", "시장"]);
    let imported = run(["tokenizer", "import", &korean, "--out", &path("a")]).expect_success();
    assert!(imported.stderr.contains("--strip-accents true"), "{imported:#?}");
    assert!(imported.stdout.contains("lowercased, sha256"), "{imported:#?}");
    let stripped =
        run(["tokenizer", "import", &korean, "--out", &path("b"), "--strip-accents", "true"]).expect_success();
    assert!(stripped.stderr.contains("3 of 3 pieces can never be found"), "{stripped:#?}");
    let repeated = write("repeated.txt", &["a", "b", "a"]);
    let imported = run(["tokenizer", "import", &repeated, "--out", &path("c")]).expect_success();
    assert!(imported.stderr.contains("\"a\" on lines 6 and 8"), "{imported:#?}");
}
