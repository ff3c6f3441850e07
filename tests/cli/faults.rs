//! Every file that the program reads, damaged: one message that names it and exit code 2, or, where something older
//! or less will do, a warning and success. Never a panic.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::program::{Run, run};
use crate::support::small_run::SmallRun;

/// One way to lose a file.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Damage {
    /// To this share of its length.
    Truncated(f64),
    Emptied,
    /// One bit, at this share of its length.
    Flipped(f64),
    Folder,
    Deleted,
}

const GONE: [Damage; 3] = [Damage::Emptied, Damage::Folder, Damage::Deleted];
const CUT: [Damage; 3] = [Damage::Truncated(0.02), Damage::Truncated(0.5), Damage::Truncated(0.99)];
const FLIPS: [Damage; 3] = [Damage::Flipped(0.0), Damage::Flipped(0.4), Damage::Flipped(0.97)];

/// Damages `path`, runs `check`, and puts the file back.
fn with_damage(path: &Path, damage: Damage, check: impl FnOnce()) {
    let whole = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let at = |share: f64| ((whole.len() as f64 * share) as usize).min(whole.len() - 1);
    match damage {
        Damage::Truncated(share) => fs::write(path, &whole[..at(share)]).unwrap(),
        Damage::Emptied => fs::write(path, []).unwrap(),
        Damage::Flipped(share) => {
            let mut flipped = whole.clone();
            flipped[at(share)] ^= 0x04;
            fs::write(path, flipped).unwrap();
        }
        Damage::Folder => {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
        }
        Damage::Deleted => fs::remove_file(path).unwrap(),
    }
    eprintln!("{}: {damage:?}", path.display());
    check();
    if path.is_dir() {
        fs::remove_dir_all(path).unwrap();
    }
    fs::write(path, whole).unwrap();
}

/// Fails unless the run succeeded with a warning that holds every one of `parts`.
#[track_caller]
fn expect_warning(ended: Run, parts: &[&str]) {
    let ended = ended.expect_success();
    assert!(ended.stderr.contains("warning: ") && !ended.stderr.contains("panicked"), "{ended:#?}");
    for part in parts {
        assert!(ended.stderr.contains(part), "no {part:?} in {ended:#?}");
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap().path();
        let target = to.join(entry.file_name().unwrap());
        if entry.is_dir() {
            copy_folder(&entry, &target);
        } else {
            fs::copy(&entry, &target).unwrap();
        }
    }
}

/// A finished run in `run`; `restore` makes `copy` equal to it again.
struct Finished {
    small: SmallRun,
}

impl Finished {
    fn new() -> Self {
        let small = SmallRun::new();
        small.pretrain("run", &[]).expect_success();
        Self { small }
    }

    /// A fresh copy of the run, which the test may ruin.
    fn copy(&self) -> PathBuf {
        let copy = self.small.path("copy");
        let _ = fs::remove_dir_all(&copy);
        copy_folder(&self.small.path("run"), &copy);
        copy
    }

    fn resume(&self) -> Run {
        self.small.resume("copy")
    }
}

#[test]
fn a_damaged_checkpoint_gives_way_to_the_one_before() {
    let finished = Finished::new();
    let rows = fs::read(finished.small.path("run/metrics.jsonl")).unwrap();
    let copy = finished.copy();
    let newest = copy.join("step_000012");
    for name in ["SHA256SUMS", "state.json", "parameters.safetensors", "optimizer.safetensors", "metrics.safetensors"] {
        for damage in CUT.into_iter().chain(GONE).chain(FLIPS) {
            with_damage(&newest.join(name), damage, || {
                // It goes on from step 8, and writes step 12 anew.
                expect_warning(finished.resume(), &["checkpoint passed over", "step_000012", "Resuming after step 8"]);
                assert_eq!(fs::read(copy.join("metrics.jsonl")).unwrap(), rows, "{name} {damage:?}");
                assert!(
                    electra_train::run::folder::checkpoints::load::<electra_train::pretraining::WindowSums>(&newest)
                        .is_ok(),
                    "{name} {damage:?}"
                );
            });
            finished.copy();
        }
    }
    // A file in the place of the folder: nothing was wrong with the command, but the run cannot go on.
    fs::remove_dir_all(&newest).unwrap();
    fs::write(&newest, "").unwrap();
    let ended = finished.resume();
    assert_eq!(ended.exit_code, Some(1), "{ended:#?}");
    assert!(ended.stderr.contains("step_000012") && ended.stderr.contains("move it away"), "{ended:#?}");
}

/// Names and bytes of all that is in a folder.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            found.push((path.clone(), fs::read(path).unwrap()));
        }
    }
    found.sort();
    found
}

#[test]
fn checkpoints_of_which_none_can_be_read_stop_a_resume_that_touches_nothing() {
    let finished = Finished::new();
    let steps = ["step_000004", "step_000008", "step_000012"];
    for (name, parts) in [
        ("state.json", ["no whole checkpoint among the 3", "step_000012", "nothing was changed"]),
        ("SHA256SUMS", ["no whole checkpoint among the 3", "step_000012", "nothing was changed"]),
    ] {
        let copy = finished.copy();
        for step in steps {
            fs::write(copy.join(step).join(name), "{}").unwrap();
        }
        let before = contents(&copy);
        finished.resume().expect_bad_input(&parts);
        run(["export", copy.to_str().unwrap()]).expect_bad_input(&["no whole checkpoint"]);
        assert!(contents(&copy) == before, "{name}: something was changed");
    }
    // Of another version: the older ones are not taken in its place.
    let copy = finished.copy();
    let path = copy.join("step_000012/state.json");
    let state = fs::read_to_string(&path).unwrap();
    fs::write(&path, state.replace("\"format_version\": 2", "\"format_version\": 3")).unwrap();
    let sums = std::process::Command::new("sh")
        .args([
            "-c",
            "sha256sum optimizer.safetensors parameters.safetensors metrics.safetensors state.json > SHA256SUMS",
        ])
        .current_dir(copy.join("step_000012"))
        .status();
    if sums.is_ok_and(|status| status.success()) {
        let before = contents(&copy);
        finished.resume().expect_bad_input(&["step_000012", "format version 3", "expected 2"]);
        assert!(contents(&copy) == before);
    }
}

#[test]
fn a_save_beside_damaged_checkpoints_of_higher_numbers_keeps_what_it_wrote() {
    let finished = Finished::new();
    let copy = finished.copy();
    let damaged = ["step_000010", "step_000011", "step_000013"];
    for name in damaged {
        copy_folder(&copy.join("step_000012"), &copy.join(name));
        fs::write(copy.join(name).join("state.json"), "{}").unwrap();
    }
    fs::remove_dir_all(copy.join("step_000012")).unwrap();
    let resumed = ["pretrain", "--resume", "--out", copy.to_str().unwrap(), "--set", "train.keep=1"];
    expect_warning(run(resumed), &["step_000013", "step_000010", "Resuming after step 8"]);
    assert!(
        electra_train::run::folder::checkpoints::load::<electra_train::pretraining::WindowSums>(
            &copy.join("step_000012")
        )
        .is_ok()
    );
    assert!(copy.join("step_000013").is_dir(), "what is newer and damaged stays, as evidence");
    assert!(!copy.join("step_000008").exists() && !copy.join("step_000004").exists(), "one is kept");
}

#[test]
fn a_damaged_run_toml_is_named() {
    let finished = Finished::new();
    let copy = finished.copy();
    let path = copy.join("run.toml");
    let shown = path.to_str().unwrap().to_owned();
    for damage in CUT.into_iter().chain(GONE) {
        with_damage(&path, damage, || {
            finished.resume().expect_bad_input(&[&shown]);
        });
    }
    for bytes in [&b"\xff\xfe"[..], b"preset = 3", b"preset = \"huge\"", b"[train]\nsteps = -4", b"seed = 1\nseed = 2"]
    {
        fs::write(&path, bytes).unwrap();
        finished.resume().expect_bad_input(&[&shown]);
        run(["export", copy.to_str().unwrap()]).expect_bad_input(&["run.toml"]);
    }
}

#[test]
fn lost_rows_are_no_reason_to_lose_the_run() {
    let finished = Finished::new();
    let whole = fs::read(finished.small.path("run/metrics.jsonl")).unwrap();
    for damage in CUT.into_iter().chain([Damage::Emptied, Damage::Deleted]) {
        let copy = finished.copy();
        let path = copy.join("metrics.jsonl");
        with_damage(&path, damage, || {
            expect_warning(finished.resume(), &["metrics.jsonl", "training goes on without the lost ones"]);
            let left = fs::read(&path).unwrap();
            assert!(whole.starts_with(&left) && (left.is_empty() || left.ends_with(b"\n")), "whole rows only");
        });
    }
    for name in ["metrics.jsonl", "timings.jsonl"] {
        let copy = finished.copy();
        with_damage(&copy.join(name), Damage::Folder, || {
            finished.resume().expect_bad_input(&[name]);
        });
        fs::write(copy.join(name), "{\"step\":1}\n{\"ste").unwrap();
        finished.resume().expect_success();
        fs::write(copy.join(name), "{\"step\":1}\nnonsense\n{\"step\":12}\n").unwrap();
        finished.resume().expect_bad_input(&[name, "line 2", "move the file away"]);
    }
    // TensorBoard's folder is written only; a file in its place is in the way.
    let copy = finished.copy();
    fs::remove_dir_all(copy.join("tensorboard")).unwrap();
    fs::write(copy.join("tensorboard"), "").unwrap();
    finished.resume().expect_bad_input(&["tensorboard"]);
}

#[test]
fn a_damaged_export_is_named() {
    let finished = Finished::new();
    let copy = finished.copy();
    let model = copy.to_str().unwrap().to_owned();
    let detect = || run(["detect", "--model", &model, "the old dog"]);
    let fill = || run(["fill", "--model", &model, "the [MASK] dog"]);
    let start = |number: usize| {
        let mut arguments = finished.small.arguments(&format!("next-{number}"), &[]);
        arguments.extend(["--init-from".to_owned(), model.clone()]);
        run(arguments)
    };
    // Beside a vocab.txt a tokenizer.json is not missed.
    for network in ["discriminator", "generator"] {
        fs::remove_file(copy.join(network).join("vocab.txt")).unwrap();
    }
    for name in ["config.json", "model.safetensors", "tokenizer.json"] {
        for damage in CUT.into_iter().chain(GONE).chain([Damage::Flipped(0.0)]) {
            // A folder without config.json may hold anything: the message says what was looked for.
            with_damage(&copy.join("discriminator").join(name), damage, || {
                detect().expect_bad_input(&[name]);
                if name != "tokenizer.json" {
                    start(0).expect_bad_input(&["discriminator", name]);
                }
            });
            with_damage(&copy.join("generator").join(name), damage, || {
                fill().expect_bad_input(&[name]);
                if name != "tokenizer.json" {
                    start(1).expect_bad_input(&["generator", name]);
                }
            });
        }
    }
    // Valid JSON that describes something else.
    let path = copy.join("discriminator/config.json");
    let whole = fs::read_to_string(&path).unwrap();
    for (from, to, part) in [
        ("\"electra\"", "\"bert\"", "model_type"),
        ("\"hidden_size\": 32", "\"hidden_size\": 48", "shape"),
        ("\"hidden_size\": 32", "\"hidden_size\": \"wide\"", "wide"),
        ("\"hidden_size\": 32", "\"hidden_size\": 0", "hidden_size"),
        ("\"num_attention_heads\": 2", "\"num_attention_heads\": 5", "heads"),
        ("\"num_hidden_layers\": 1", "\"num_hidden_layers\": 9", "missing"),
        ("\"vocab_size\": ", "\"vocab_size\": 1", "shape"),
        ("\"max_position_embeddings\": 32", "\"max_position_embeddings\": 2", "max_position_embeddings"),
        ("\"gelu\"", "\"swish\"", "swish"),
        ("ElectraForPreTraining", "BertModel", "BertModel"),
    ] {
        assert!(whole.contains(from), "{from} in {whole}");
        fs::write(&path, whole.replacen(from, to, 1)).unwrap();
        let ended = detect().expect_bad_input(&[copy.join("discriminator").to_str().unwrap()]);
        assert!(ended.stderr.contains(part) || part == "max_position_embeddings", "no {part:?} in {ended:#?}");
    }
    fs::write(&path, whole).unwrap();
    // A tokenizer of another model.
    let small = &finished.small;
    fs::write(small.path("text.txt"), crate::support::small_run::text(60).replace('a', "xyz w")).unwrap();
    small.build("tokenizer-2", "data-2", 600);
    fs::copy(small.path("tokenizer-2/tokenizer.json"), copy.join("discriminator/tokenizer.json")).unwrap();
    detect().expect_bad_input(&["tokenizer", "entries"]);
}

#[test]
fn a_damaged_dataset_is_named() {
    let small = SmallRun::new();
    let data = small.path("data");
    let mut number = 0;
    let mut attempt = |name: &str, damage: Damage, parts: &[&str]| {
        with_damage(&data.join(name), damage, || {
            number += 1;
            let out = format!("run-{number}");
            small.pretrain(&out, &[]).expect_bad_input(parts);
            assert!(!small.path(&out).exists(), "no run was begun");
            run(["data", "inspect", data.to_str().unwrap(), "--sequence-length", "32"]).expect_bad_input(parts);
        });
    };
    for name in ["manifest.json", "train-00000.safetensors", "validation-00000.safetensors"] {
        for damage in CUT.into_iter().chain(GONE).chain(FLIPS) {
            // A folder without a manifest is no dataset, whatever stands in its place.
            let is_none = name == "manifest.json" && matches!(damage, Damage::Folder | Damage::Deleted);
            attempt(name, damage, &[if is_none { "has no manifest" } else { name }]);
        }
    }
    for damage in CUT.into_iter().chain(GONE).chain([Damage::Flipped(0.0), Damage::Flipped(0.8)]) {
        attempt("tokenizer/tokenizer.json", damage, &["tokenizer"]);
    }
}

#[test]
fn a_damaged_tokenizer_is_named() {
    let small = SmallRun::new();
    let (text, tokenizer) = (small.shown("text.txt"), small.shown("tokenizer"));
    let path = small.path("tokenizer/tokenizer.json");
    for damage in CUT.into_iter().chain(GONE).chain([Damage::Flipped(0.0)]) {
        with_damage(&path, damage, || {
            run(["data", "build", "--input", &text, "--tokenizer", &tokenizer, "--out", &small.shown("out")])
                .expect_bad_input(&["tokenizer"]);
            if damage != Damage::Deleted {
                run(["tokenizer", "import", path.to_str().unwrap(), "--out", &small.shown("imported")])
                    .expect_bad_input(&["tokenizer.json"]);
            }
            assert!(!small.path("out/manifest.json").exists() && !small.path("imported/vocab.txt").exists());
        });
    }
}
