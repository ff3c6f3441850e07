//! `electra doctor`: faults that are planted into the files of a real run.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::program::run;
use crate::support::small_run::{SmallRun, metrics};

fn diagnosis(run_folder: &str) -> Value {
    let stdout = run(["doctor", "--json", run_folder]).expect_success().stdout;
    serde_json::from_str(&stdout).expect("one JSON object")
}

/// What is said with this severity, by family.
fn found(diagnosis: &Value, severity: &str) -> Vec<String> {
    let findings = diagnosis["findings"].as_array().expect("findings").iter();
    let of_severity = findings.filter(|finding| finding["severity"] == severity);
    of_severity.map(|finding| finding["about"].as_str().expect("a name").to_owned()).collect()
}

/// Adds to one value of the tensor whose name ends with `name`.
fn nudge(file: &Path, name: &str) {
    let mut bytes = fs::read(file).expect("the tensors are there");
    let (header, metadata) = safetensors::SafeTensors::read_metadata(&bytes).expect("a whole file");
    let tensors = metadata.tensors();
    let (_, info) = tensors.iter().find(|(other, _)| other.ends_with(name)).expect("the tensor is there");
    let at = 8 + header + info.data_offsets.0;
    let value = f32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")) + 0.5;
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    fs::write(file, bytes).expect("written");
}

#[test]
fn a_run_of_a_second_has_nothing_wrong_and_planted_faults_are_found_in_its_files() {
    let small = SmallRun::new();
    small.pretrain("run", &[]).expect_success();
    let (folder, path) = (small.shown("run"), small.path("run"));
    let healthy = diagnosis(&folder);
    assert_eq!(found(&healthy, "wrong"), [""; 0], "{healthy:#}");
    assert!(found(&healthy, "fine").contains(&"embeddings".to_owned()), "{healthy:#}");
    assert!(found(&healthy, "fine").contains(&"not_finite".to_owned()), "{healthy:#}");
    assert_eq!(healthy["not_seen"], json!([]), "{healthy:#}");
    run(["doctor", "--strict", &folder]).expect_success();

    nudge(&path.join("generator/model.safetensors"), "word_embeddings.weight");
    let untied = diagnosis(&folder);
    assert_eq!(found(&untied, "wrong"), ["embeddings"], "{untied:#}");
    assert!(untied.to_string().contains("up to 0.500 apart"), "{untied:#}");

    // A run that has gone on for long, at the majority class.
    let config = fs::read_to_string(path.join("run.toml")).expect("run.toml");
    fs::write(path.join("run.toml"), config.replace("\nsteps = 12\n", "\nsteps = 40000\n")).expect("written");
    let rows = metrics(&path).into_iter().map(|mut row| {
        row["step"] = json!(row["step"].as_u64().expect("a step") * 3000);
        row["discriminator_auc"] = json!(0.5);
        row["discriminator_recall"] = json!(0.0);
        row["discriminator_accuracy"] = json!(1.0 - row["replaced_rate"].as_f64().expect("a rate"));
        format!("{row}\n")
    });
    let rows: String = rows.collect();
    // And a row that is being written.
    fs::write(path.join("metrics.jsonl"), rows + "{\"step\":39").expect("written");
    let stopped = run(["doctor", "--color", "never", &folder]).expect_success().stdout;
    for part in [
        "wrong       the discriminator gives every token the same answer",
        "-> in a new run, one at a time: position_initializer",
        "Beside a healthy run",
    ] {
        assert!(stopped.contains(part), "no {part:?} in {stopped}");
    }
    assert!(found(&diagnosis(&folder), "suspicious").contains(&"progress".to_owned()));
    let strict = run(["doctor", "--strict", &folder]);
    assert_eq!(strict.exit_code, Some(1), "{strict:#?}");
    assert!(strict.stderr.contains("same answer") && strict.stderr.contains("and 2 more"), "{strict:#?}");
}

#[test]
fn what_is_gone_is_said_and_what_is_left_is_judged() {
    let small = SmallRun::new();
    small.pretrain("run", &[]).expect_success();
    small.build("tokenizer-2", "data-2", 90);
    fs::remove_dir_all(small.path("data")).expect("removed");
    fs::rename(small.path("data-2"), small.path("data")).expect("renamed");
    let another = diagnosis(&small.shown("run"));
    assert!(another["not_seen"].to_string().contains("is not the one that the run read"), "{another:#}");
    fs::remove_dir_all(small.path("data")).expect("removed");
    fs::remove_dir_all(small.path("run/step_000012")).expect("removed");
    fs::write(small.path("run/step_000008/state.json"), "{}").expect("written");
    let gone = diagnosis(&small.shown("run"));
    assert!(gone["not_seen"].to_string().contains("no such dataset"), "{gone:#}");
    assert!(gone.to_string().contains("the newest checkpoint is damaged"), "{gone:#}");
    assert_eq!(found(&gone, "wrong"), [""; 0], "{gone:#}");
}

#[test]
fn a_folder_that_is_no_run_is_bad_input() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().to_str().expect("a plain name");
    run(["doctor", path]).expect_bad_input(&["not the folder of a pre-training run", "no run.toml in there"]);
    run(["doctor", "no-such-run"]).expect_bad_input(&["no-such-run", "no such folder"]);
}
