//! Objectives and ways to share weights, each from run.toml to its exported folders.

use std::process::Stdio;

use super::resume::{assert_same_run, kill_when};
use crate::support::program::{electra, run};
use crate::support::small_run::{SmallRun, metrics, tensors};

#[test]
fn mlm_trains_and_exports_its_only_network() {
    let small = SmallRun::new();
    let steps = ["objective.name=mlm", "train.steps=60", "train.learning_rate=5e-3"];
    small.pretrain("run", &steps).expect_success();
    let rows = metrics(&small.path("run"));
    let losses: Vec<f64> =
        rows.iter().filter(|row| row["split"] == "train").map(|row| row["generator_loss"].as_f64().unwrap()).collect();
    // A uniform guess among the 133 entries costs 4.9.
    assert!(losses[0] > 4.5 && losses[losses.len() - 1] < 4.0, "{losses:?}");
    assert!(rows.iter().all(|row| row["discriminator_loss"].is_null() && row["discriminator_auc"].is_null()));
    assert!(!small.path("run/discriminator").exists());

    let run_folder = small.shown("run");
    let filled = run(["fill", "--model", &run_folder, "the [MASK] dog sees the cat"]).expect_success();
    assert!(filled.stdout.contains("[MASK] 1"), "{filled:#?}");
    run(["detect", "--model", &run_folder, "the dog"]).expect_bad_input(&[&run_folder, "no discriminator", "mlm"]);
    let generator = small.shown("run/generator");
    run(["detect", "--model", &generator, "the dog"])
        .expect_bad_input(&["ElectraForMaskedLM", "ElectraForPreTraining"]);
}

#[test]
fn every_sharing_trains_and_exports_what_it_shares() {
    let small = SmallRun::new();
    for sharing in ["none", "embeddings", "all"] {
        let set = format!("model.sharing={sharing}");
        small.pretrain(sharing, &[&set, "model.generator_size=1.0", "model.generator_depth=1.0"]).expect_success();
        let read = |network: &str| tensors(&small.path(&format!("{sharing}/{network}/model.safetensors")));
        let (discriminator, generator) = (read("discriminator"), read("generator"));
        let shared: Vec<&str> =
            generator.iter().filter(|tensor| discriminator.contains(tensor)).map(|tensor| &*tensor.0).collect();
        let is_shared = |name: &str| match sharing {
            "none" => false,
            "embeddings" => name.starts_with("electra.embeddings."),
            _ => name.starts_with("electra."),
        };
        let expected: Vec<&str> = generator.iter().map(|tensor| &*tensor.0).filter(|name| is_shared(name)).collect();
        assert_eq!(shared, expected, "{sharing}");
        let rows = metrics(&small.path(sharing));
        assert!(rows.iter().all(|row| row["loss"].is_f64()), "{rows:#?}");
    }
    small
        .pretrain("unequal", &["model.sharing=all", "model.generator_size=0.5"])
        .expect_bad_input(&["model.sharing", "generator_size = 1.0"]);
}

#[test]
fn objectives_of_two_networks_resume_bit_exactly_and_export_what_they_keep() {
    let small = SmallRun::new();
    for (objective, kept) in [
        ("electra_15", "ElectraForPreTraining"),
        ("replace_mlm", "ElectraForMaskedLM"),
        ("adversarial", "ElectraForPreTraining"),
    ] {
        let name = format!("objective.name={objective}");
        let sets = [&*name, "train.steps=20", "train.log_every=1", "train.checkpoint_every=3"];
        let (whole, killed) = (format!("{objective}-whole"), format!("{objective}-killed"));
        small.pretrain(&whole, &sets).expect_success();
        let folder = small.path(&killed);
        let rows = || std::fs::read(folder.join("metrics.jsonl")).map_or(0, |text| text.split(|b| *b == b'\n').count());
        let mut start = electra(small.arguments(&killed, &sets));
        let child = start.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        assert!(kill_when(child, || rows() >= 8), "{objective}: killed before its end");
        small.resume(&killed).expect_success();
        assert_same_run(&folder, &small.path(&whole), 20);

        let read = |network: &str| {
            let path = folder.join(network).join("config.json");
            let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            serde_json::from_str::<serde_json::Value>(&text).expect("JSON")["architectures"][0].clone()
        };
        assert_eq!(read("discriminator"), kept, "{objective}");
        assert_eq!(read("generator"), "ElectraForMaskedLM", "{objective}");
        let names: Vec<String> =
            tensors(&folder.join("generator/model.safetensors")).into_iter().map(|tensor| tensor.0).collect();
        assert!(names.iter().all(|name| !name.contains("baseline")), "{names:?}");
        let discriminator = small.shown(&format!("{killed}/discriminator"));
        match kept {
            "ElectraForMaskedLM" => {
                run(["fill", "--model", &discriminator, "the [MASK] dog"]).expect_success();
                run(["detect", "--model", &discriminator, "the dog"]).expect_bad_input(&[kept]);
            }
            _ => drop(run(["detect", "--model", &discriminator, "the dog"]).expect_success()),
        }
    }
}
