//! Folders that are given to write into are the user's: filled and not replaced, tried before the work, kept apart from a
//! second writer, and whole however a command ends.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::support::program::{Run, electra, run};
use crate::support::small_run::{SmallRun, text};

/// Every file below `folder` that is not hidden, by its path.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    fn add(folder: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                add(&path, files);
            } else {
                files.insert(path.clone(), fs::read(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    add(folder, &mut found);
    found.into_iter().map(|(path, bytes)| (path.strip_prefix(folder).unwrap().to_owned(), bytes)).collect()
}

/// A program that waits for text, which it gets first; killed when this is dropped.
struct Waiting(Child);

impl Waiting {
    fn start(arguments: &[&str], text: &str) -> Self {
        let mut command = electra(arguments);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut waiting = Self(child);
        // A program that has refused its arguments reads nothing.
        let _ = waiting.0.stdin.as_mut().unwrap().write_all(text.as_bytes());
        waiting
    }

    /// Fails unless the program ends by itself, with its input still open.
    fn expect_end(mut self) -> Run {
        let started = Instant::now();
        while self.0.try_wait().unwrap().is_none() {
            assert!(started.elapsed() < Duration::from_secs(30), "it waits for the end of its input");
            std::thread::sleep(Duration::from_millis(20));
        }
        let read = |stream: &mut dyn std::io::Read| {
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            text
        };
        let stdout = read(self.0.stdout.as_mut().unwrap());
        let stderr = read(self.0.stderr.as_mut().unwrap());
        Run { exit_code: self.0.wait().unwrap().code(), stdout, stderr }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until `path` is there.
fn expect_soon(path: &Path) {
    let started = Instant::now();
    while !path.exists() {
        assert!(started.elapsed() < Duration::from_secs(30), "{} does not come", path.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The commands with an `--out` for all but runs, each without it, and a file that it writes there.
fn commands(small: &SmallRun) -> Vec<(Vec<String>, &'static str)> {
    let (text, tokenizer, run) = (small.shown("text.txt"), small.shown("tokenizer"), small.shown("run"));
    let vocabulary = small.shown("tokenizer/vocab.txt");
    let (discriminator, generator) = (small.shown("run/discriminator"), small.shown("run/generator"));
    let lines: [(&[&str], _); 5] = [
        (&["tokenizer", "train", "--vocab-size", "300", "--input", &text], "tokenizer.json"),
        (&["tokenizer", "import", &vocabulary], "tokenizer.json"),
        (&["data", "build", "--tokenizer", &tokenizer, "--input", &text], "manifest.json"),
        (&["export", &run], "discriminator/config.json"),
        (&["import", "--discriminator", &discriminator, "--generator", &generator], "generator/model.safetensors"),
    ];
    lines.map(|(words, file)| (words.iter().map(|word| (*word).to_owned()).collect(), file)).into()
}

fn run_into(command: &[String], out: &str, more: &[&str]) -> Run {
    run(command.iter().map(String::as_str).chain(["--out", out]).chain(more.iter().copied()))
}

#[test]
fn every_out_is_filled_where_it_is_and_what_else_is_in_it_stays() {
    let small = SmallRun::new();
    small.pretrain("run", &[]).expect_success();
    for (number, (command, file)) in commands(&small).iter().enumerate() {
        // A link to a folder elsewhere, in a folder of which nobody may change the entries.
        let (parent, disk) = (small.path(&format!("parent{number}")), small.path(&format!("disk{number}")));
        fs::create_dir_all(&parent).unwrap();
        fs::create_dir_all(&disk).unwrap();
        fs::write(disk.join(".hidden"), "mine").unwrap();
        let out = parent.join("out");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::os::unix::fs::symlink(&disk, &out).unwrap();
            fs::set_permissions(&parent, fs::Permissions::from_mode(0o555)).unwrap();
        }
        #[cfg(not(unix))]
        fs::create_dir(&out).unwrap();
        let out = out.to_str().unwrap();
        run_into(command, out, &[]).expect_success();
        assert!(!cfg!(unix) || Path::new(out).is_symlink());
        let first = files(Path::new(out));
        assert!(first.contains_key(Path::new(file)), "{command:?}: {:?}", first.keys());
        assert!(first.keys().all(|path| !path.to_string_lossy().contains(".electra")), "{:?}", first.keys());

        // Again: with the user's own files beside, which stay.
        let beside = Path::new(out).join(Path::new(file).parent().unwrap()).join("mine.txt");
        fs::write(&beside, "mine").unwrap();
        run_into(command, out, &["--overwrite"]).expect_success();
        let mut second = files(Path::new(out));
        let beside = beside.strip_prefix(out).unwrap();
        assert_eq!(second.remove(beside).as_deref(), Some(&b"mine"[..]), "{command:?}");
        assert!(second == first, "{command:?} gives other files the second time");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&parent, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
}

#[test]
fn what_cannot_be_written_is_found_out_before_the_input_is_read() {
    let small = SmallRun::new();
    fs::write(small.path("file"), "a file").unwrap();
    fs::create_dir(small.path("full")).unwrap();
    fs::write(small.path("full/thesis.txt"), "years").unwrap();
    let tokenizer = small.shown("tokenizer");
    let lines: [&[&str]; 3] = [
        &["tokenizer", "train", "--input", "-"],
        &["data", "build", "--tokenizer", &tokenizer, "--input", "-"],
        &["--input", "-", "--device", "cpu", "--steps", "1"],
    ];
    for line in lines {
        for out in ["file", "file/below/it"] {
            let out = small.shown(out);
            let arguments: Vec<&str> = line.iter().copied().chain(["--out", &out]).collect();
            Waiting::start(&arguments, &text(2)).expect_end().expect_bad_input(&["file", "choose another"]);
        }
    }
    for line in &lines[..2] {
        let out = small.shown("full");
        let arguments: Vec<&str> = line.iter().copied().chain(["--out", &out]).collect();
        Waiting::start(&arguments, &text(2)).expect_end().expect_bad_input(&["full", "not empty", "--out"]);
    }
    assert_eq!(files(&small.path("full")).len(), 1);
}

#[test]
fn a_second_build_into_a_folder_ends_at_once_and_names_the_first() {
    let small = SmallRun::new();
    let (tokenizer, data, input) = (small.shown("tokenizer"), small.shown("new"), small.shown("text.txt"));
    let build =
        |input: &str| ["data", "build", "--tokenizer", &tokenizer, "--out", &data, "--input", input].map(str::to_owned);
    let first = build("-");
    let first = Waiting::start(&first.each_ref().map(String::as_str), &text(3));
    expect_soon(&small.path("new/.electra-building"));
    run(build(&input)).expect_bad_input(&["new", &format!("process {} ", first.0.id())]);
    // The first is none the worse for it: killed, it leaves nothing that keeps the next one out.
    drop(first);
    run(build(&input)).expect_success();
    let names: Vec<PathBuf> = files(&small.path("new")).into_keys().collect();
    assert!(names.iter().all(|path| !path.to_string_lossy().contains(".electra")), "{names:?}");
    assert!(files(&small.path("new")) == files(&small.path("data")), "the same text, the same dataset");
}

#[test]
fn an_interrupted_overwrite_leaves_the_old_dataset_and_a_whole_one_replaces_all_of_it() {
    let small = SmallRun::new();
    let (tokenizer, data) = (small.shown("tokenizer"), small.shown("data"));
    let before = files(&small.path("data"));
    let arguments =
        ["data", "build", "--tokenizer", &tokenizer, "--out", &data, "--overwrite", "--seed", "3", "--input"];
    let killed = Waiting::start(&[&arguments[..], &["-"]].concat(), &text(3));
    expect_soon(&small.path("data/.electra-building"));
    run(["data", "inspect", &data, "--sequence-length", "32"]).expect_success();
    drop(killed);
    run(["data", "inspect", &data, "--sequence-length", "32"]).expect_success();
    let mut after = files(&small.path("data"));
    after.retain(|path, _| !path.to_string_lossy().contains(".electra"));
    assert!(after == before, "{:?}", after.keys());

    // Text that lies in the folder itself is read and stays.
    fs::write(small.path("data/mine.txt"), text(30)).unwrap();
    run([&arguments[..], &[&small.shown("data/mine.txt")]].concat()).expect_success();
    let mut after = files(&small.path("data"));
    assert_eq!(after.remove(Path::new("mine.txt")), Some(text(30).into_bytes()));
    assert!(after.keys().eq(before.keys()) && after != before, "{:?}", after.keys());
}

#[test]
fn an_export_never_mixes_two_runs() {
    let small = SmallRun::new();
    small.pretrain("pair", &[]).expect_success();
    small.pretrain("single", &["objective.name=mlm", "seed=5"]).expect_success();
    let (pair, single, out) = (small.shown("pair"), small.shown("single"), small.shown("exported"));
    run(["export", &pair, "--out", &out]).expect_success();
    let before = files(&small.path("exported"));

    run(["export", &single, "--out", &out]).expect_bad_input(&["exported", "--overwrite"]);
    assert!(files(&small.path("exported")) == before, "a refused export changes nothing");
    // Another step of the same run is what the user means.
    run(["export", &pair, "--step", "8", "--out", &out]).expect_success();
    let early = files(&small.path("exported"));
    assert!(early.keys().eq(before.keys()) && early != before);

    // A run that was begun with more steps is another one; this run with more is not.
    small.pretrain("longer", &["train.steps=16"]).expect_success();
    run(["export", &small.shown("longer"), "--out", &out]).expect_bad_input(&["exported", "--overwrite"]);
    run(["pretrain", "--resume", "--out", &pair, "--set", "train.steps=16"]).expect_success();
    run(["export", &pair, "--out", &out]).expect_success();

    fs::write(small.path("exported/discriminator/notes.txt"), "mine").unwrap();
    run(["export", &single, "--out", &out, "--overwrite"]).expect_success();
    let after = files(&small.path("exported"));
    assert_eq!(
        fs::read(small.path("single/generator/model.safetensors")).unwrap(),
        after[Path::new("generator/model.safetensors")]
    );
    let left: Vec<&Path> =
        after.keys().map(PathBuf::as_path).filter(|path| path.starts_with("discriminator")).collect();
    assert_eq!(
        left,
        [Path::new("discriminator/notes.txt")],
        "the other run's discriminator is gone, the notes are not"
    );
    run(["detect", "--model", &out, "the dog"]).expect_bad_input(&["holds a generator but no discriminator"]);
}

#[test]
fn a_model_card_says_which_text_it_was_and_not_where_it_lay() {
    let small = SmallRun::new();
    let secret = "customer 4711";
    fs::create_dir_all(small.path(secret).join("texts")).unwrap();
    fs::write(small.path(secret).join("texts/a.txt"), text(40)).unwrap();
    let (input, tokenizer) = (small.shown(&format!("{secret}/texts")), small.shown("tokenizer"));
    let build = |out: &str, more: &[&str]| {
        let out = small.shown(out);
        let line = ["data", "build", "--input", &input, "--tokenizer", &tokenizer, "--out", &out, "--overwrite"];
        run(line.iter().chain(more)).expect_success();
    };
    build("data", &[]);
    small.pretrain("run", &["train.steps=4"]).expect_success();
    build("data", &["--name", "Letters, 2nd edition"]);
    small.pretrain("named", &["train.steps=4"]).expect_success();
    let exported = small.shown("exported");
    run(["export", &small.shown("named"), "--out", &exported]).expect_success();
    // As other programs leave them: the path that somebody loaded the network from.
    for network in ["discriminator", "generator"] {
        let exported = |name: &str| small.path(&format!("named/{network}/{name}"));
        for (file, key) in [
            ("config.json", "_name_or_path"),
            ("tokenizer_config.json", "name_or_path"),
            ("tokenizer_config.json", "tokenizer_file"),
        ] {
            let mut json: serde_json::Value = serde_json::from_slice(&fs::read(exported(file)).unwrap()).unwrap();
            json[key] = format!("/home/{secret}/model").into();
            fs::write(exported(file), json.to_string()).unwrap();
        }
    }
    let (discriminator, generator) = (small.shown("named/discriminator"), small.shown("named/generator"));
    let imported = small.shown("imported");
    run(["tokenizer", "import", &discriminator, "--out", &small.shown("imported/discriminator/tokenizer")])
        .expect_success();
    let import = ["import", "--discriminator", &discriminator, "--generator", &generator, "--out", &imported];
    run(import.iter().chain(&["--overwrite"])).expect_success();
    // Exported again, the run says what it did before.
    run(["export", &small.shown("named")]).expect_success();

    let manifest = fs::read_to_string(small.path("data/manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let number = |value: &serde_json::Value| value.as_u64().unwrap();
    let sizes = format!(
        "{} bytes of text, {} tokens, sha256 of the tokens {}",
        number(&manifest["text_bytes"]),
        number(&manifest["train"]["tokens"]) + number(&manifest["validation"]["tokens"]),
        manifest["tokens_sha256"].as_str().unwrap()
    );
    let root = small.path("").canonicalize().unwrap();
    for (folder, corpus) in [
        ("run", Some("data")),
        ("named", Some("Letters, 2nd edition")),
        ("exported", Some("Letters, 2nd edition")),
        ("imported", None),
    ] {
        for (path, bytes) in files(&small.path(folder)) {
            let is_public = path.starts_with("discriminator") || path.starts_with("generator");
            if !is_public {
                continue;
            }
            let text = String::from_utf8_lossy(&bytes);
            let shown = path.display();
            assert!(!text.contains(secret) && !text.contains(root.to_str().unwrap()), "{folder}/{shown}");
            if let Some(name) = corpus.filter(|_| path.ends_with("README.md")) {
                assert!(text.contains(&format!("- Corpus: {name}: {sizes}")), "{text}");
                assert!(text.contains("- Tokenizer: WordPiece") && text.contains("- Run: "), "{text}");
            }
        }
    }
}

#[test]
fn a_vocabulary_of_any_size_is_what_the_text_gives_or_a_message() {
    let small = SmallRun::new();
    let (input, out) = (small.shown("text.txt"), small.shown("large"));
    let train =
        |size: &str| run(["tokenizer", "train", "--input", &input, "--out", &out, "--overwrite", "--vocab-size", size]);
    let first = train("100000").expect_success();
    for size in ["4294967296", "1000000000000", "18446744073709551615"] {
        let vocabulary = train(size).expect_success();
        assert_eq!(vocabulary.stdout, first.stdout, "--vocab-size {size}");
        assert!(vocabulary.stderr.contains(size), "{}", vocabulary.stderr);
    }
    train("18446744073709551616").expect_bad_input(&["--vocab-size", "18446744073709551616"]);
    let job = [
        "--input",
        &input,
        "--device",
        "cpu",
        "--steps",
        "1",
        "--set",
        "model.vocab_size=2000000000",
        "--set",
        "train.validation_batches=1",
        "--out",
        &small.shown("job"),
    ];
    run(job).expect_success();
}
