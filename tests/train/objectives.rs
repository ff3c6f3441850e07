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

/// Objective, class of the network to keep, folders of its networks.
const EXPORTED: [(&str, &str, &[&str]); 12] = [
    ("rtd", "ElectraForPreTraining", &["discriminator", "generator"]),
    ("electra_15", "ElectraForPreTraining", &["discriminator", "generator"]),
    ("replace_mlm", "ElectraForMaskedLM", &["discriminator", "generator"]),
    ("all_tokens_mlm", "ElectraForPreTraining", &["discriminator", "generator"]),
    ("mlm", "ElectraForMaskedLM", &["generator"]),
    ("bert", "ElectraForMaskedLM", &["generator"]),
    ("roberta", "ElectraForMaskedLM", &["generator"]),
    ("two_stage", "ElectraForPreTraining", &["discriminator", "generator"]),
    ("adversarial", "ElectraForPreTraining", &["discriminator", "generator"]),
    ("electric", "ElectraForPreTraining", &["discriminator"]),
    ("causal", "ElectraForCausalLM", &["discriminator"]),
    ("permutation", "ElectraForMaskedLM", &["discriminator"]),
];

#[test]
fn every_objective_resumes_bit_exactly_and_exports_what_it_keeps() {
    let small = SmallRun::new();
    assert_eq!(EXPORTED.map(|(name, ..)| name).to_vec(), electra_model::objective::names());
    for (objective, kept, folders) in EXPORTED {
        let name = format!("objective.name={objective}");
        // Two stages meet at step 10: killed before, and the second begins after the checkpoint of step 9.
        let sets = [&*name, "train.steps=20", "train.log_every=1", "train.checkpoint_every=3"];
        let (whole, killed) = (format!("{objective}-whole"), format!("{objective}-killed"));
        small.pretrain(&whole, &sets).expect_success();
        let folder = small.path(&killed);
        let rows = || std::fs::read(folder.join("metrics.jsonl")).map_or(0, |text| text.split(|b| *b == b'\n').count());
        let mut start = electra(small.arguments(&killed, &sets));
        let child = start.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        assert!(kill_when(child, || rows() >= 8), "{objective}: killed before its end");
        // In each of two stages.
        if objective == "two_stage" {
            let mut again = electra(["pretrain", "--resume", "--out", &small.shown(&killed)]);
            let child = again.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it goes on");
            assert!(kill_when(child, || rows() >= 15), "{objective}: killed before its end");
        }
        small.resume(&killed).expect_success();
        assert_same_run(&folder, &small.path(&whole), 20);

        let there: Vec<&str> =
            ["discriminator", "generator"].into_iter().filter(|name| folder.join(name).exists()).collect();
        assert_eq!(there, folders, "{objective}");
        let path = folder.join(folders[0]).join("config.json");
        let config: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&path).expect("config.json")).expect("JSON");
        assert_eq!(config["architectures"][0], kept, "{objective}");
        assert_eq!(config["is_decoder"], objective == "causal", "{objective}");
        let rows = metrics(&folder);
        let flops: Vec<f64> = rows.iter().filter_map(|row| row["flops"].as_f64()).collect();
        assert_eq!(flops.len(), 20, "{objective}: every row of training says what was spent");
        assert!(flops.windows(2).all(|pair| pair[0] < pair[1]), "{objective}: {flops:?}");
        let last = rows.iter().rfind(|row| row["split"] == "validation").expect("validations");
        let detects = kept == "ElectraForPreTraining";
        assert_eq!(last["swap_auc"].is_f64() && last["swap_first"].is_f64(), detects, "{objective}: {last}");

        for network in folders {
            let names = tensors(&folder.join(network).join("model.safetensors"));
            let names: Vec<String> = names.into_iter().map(|tensor| tensor.0).collect();
            let foreign = |name: &&String| ["baseline", "delta", "ltr.", "rtl."].iter().any(|word| name.contains(word));
            assert_eq!(names.iter().find(foreign), None, "{objective} {network}");
        }
        let model = small.shown(&format!("{killed}/{}", folders[0]));
        match kept {
            "ElectraForPreTraining" => drop(run(["detect", "--model", &model, "the dog"]).expect_success()),
            "ElectraForMaskedLM" => {
                run(["fill", "--model", &model, "the [MASK] dog"]).expect_success();
                run(["detect", "--model", &model, "the dog"]).expect_bad_input(&[kept]);
            }
            _ => {
                run(["fill", "--model", &model, "the [MASK] dog"]).expect_bad_input(&[kept]);
            }
        }
    }
}

#[test]
fn two_stages_copy_the_generator_and_freeze_it() {
    let small = SmallRun::new();
    let sets = ["objective.name=two_stage", "objective.two_stage.generator_steps=6", "train.checkpoint_every=6"];
    let shown = small.pretrain("run", &sets).expect_success();
    assert!(shown.stderr.contains("step 6: the phase \"discriminator\" begins"), "{shown:#?}");
    let of = |step: u64| {
        let path = small.path("run").join(format!("step_{step:06}/parameters.safetensors"));
        tensors(&path)
    };
    let (first, last) = (of(6), of(12));
    for ((name, _, _, before), (_, _, _, after)) in first.iter().zip(&last) {
        assert_eq!(
            before == after,
            name.starts_with("generator."),
            "{name}: only the discriminator learns in the second stage"
        );
    }
    // Untouched by the first stage: as the seed gives it, decay included.
    let fresh = small.pretrain("fresh", &["objective.name=two_stage", "train.steps=1", "train.warmup_steps=1"]);
    fresh.expect_success();
    let begun = tensors(&small.path("fresh/step_000001/parameters.safetensors"));
    let head = |of: &[(String, safetensors::Dtype, Vec<usize>, Vec<u8>)]| -> Vec<Vec<u8>> {
        let names = of.iter().filter(|tensor| tensor.0.contains("discriminator_predictions"));
        names.map(|tensor| tensor.3.clone()).collect()
    };
    assert_eq!(head(&first).len(), 4);
    assert_ne!(head(&first), head(&last));
    drop(begun);
}

#[test]
fn generators_that_are_no_network_leave_one_network() {
    let small = SmallRun::new();
    for generator in ["uniform", "unigram"] {
        for objective in ["rtd", "electra_15", "replace_mlm", "all_tokens_mlm"] {
            let run = format!("{objective}-{generator}");
            let sets = [format!("objective.name={objective}"), format!("objective.generator={generator}")];
            let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
            small.pretrain(&run, &sets).expect_success();
            assert!(small.path(&run).join("discriminator").exists() && !small.path(&run).join("generator").exists());
            let rows = metrics(&small.path(&run));
            assert!(rows.iter().all(|row| row["generator_loss"].is_null() && row["generator_accuracy"].is_null()));
            assert!(rows.iter().all(|row| row["sampled_accuracy"].is_f64() && row["loss"].is_f64()), "{rows:#?}");
        }
    }
    small.pretrain("electric", &["objective.name=electric", "objective.generator=unigram"]).expect_bad_input(&[
        "objective.generator",
        "unigram",
        "\"network\"",
        "electric",
    ]);
    small.pretrain("shared", &["objective.name=electric", "model.sharing=gdes"]).expect_bad_input(&[
        "model.sharing",
        "gdes",
        "embeddings",
        "electric",
    ]);
}

#[test]
fn disentangled_embeddings_are_exported_as_sums_and_taken_up_again() {
    let small = SmallRun::new();
    small.pretrain("run", &["model.sharing=gdes"]).expect_success();
    let read = |run: &str, network: &str| tensors(&small.path(&format!("{run}/{network}/model.safetensors")));
    let find = |of: &[(String, safetensors::Dtype, Vec<usize>, Vec<u8>)], name: &str| -> Vec<f32> {
        let found = of.iter().find(|tensor| tensor.0 == name).unwrap_or_else(|| panic!("{name}"));
        found.3.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect()
    };
    let trained = tensors(&small.path("run/step_000012/parameters.safetensors"));
    let (discriminator, generator) = (read("run", "discriminator"), read("run", "generator"));
    for table in ["electra.embeddings.word_embeddings.weight", "electra.embeddings.position_embeddings.weight"] {
        let delta = find(&trained, &format!("discriminator.{table}_delta"));
        assert!(delta.iter().any(|&x| x != 0.0), "{table}: the difference has learnt");
        let (kept, base) = (find(&discriminator, table), find(&generator, table));
        assert!(kept.iter().zip(&base).zip(&delta).all(|((sum, base), delta)| *sum == base + delta), "{table}");
    }
    let mut next =
        small.arguments("next", &["model.sharing=gdes", "train.learning_rate=1e-30", "train.weight_decay=0.0"]);
    next.extend(["--init-from".to_owned(), small.shown("run")]);
    run(next).expect_success();
    for ((name, _, _, before), (_, _, _, after)) in discriminator.iter().zip(&read("next", "discriminator")) {
        let floats = |bytes: &[u8]| -> Vec<f32> {
            bytes.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect()
        };
        let close = floats(before).iter().zip(floats(after)).all(|(a, b)| (a - b).abs() <= 1e-6 * a.abs().max(1e-2));
        assert!(close, "{name}");
    }
}

#[test]
fn a_network_with_two_heads_is_exported_as_either() {
    let small = SmallRun::new();
    small.pretrain("run", &["objective.name=all_tokens_mlm"]).expect_success();
    let (run_folder, out) = (small.shown("run"), small.shown("out"));
    run(["export", &run_folder, "--out", &out, "--as", "ElectraForMaskedLM"]).expect_success();
    let discriminator = small.shown("out/discriminator");
    run(["fill", "--model", &discriminator, "the [MASK] dog"]).expect_success();
    run(["export", &run_folder, "--out", &out, "--as", "ElectraForCausalLM"]).expect_bad_input(&[
        "all_tokens_mlm",
        "ElectraForCausalLM",
        "ElectraForPreTraining or ElectraForMaskedLM",
    ]);
}

#[test]
fn texts_are_scored_by_networks_that_say_how_likely_they_are() {
    let small = SmallRun::new();
    let text = "the small dog sees the big cat near the bird";
    for (objective, how) in
        [("causal", "causal"), ("mlm", "masked"), ("permutation", "permutation"), ("electric", "electric")]
    {
        let name = format!("objective.name={objective}");
        small.pretrain(objective, &[&*name, "train.steps=60", "train.learning_rate=5e-3"]).expect_success();
        let model = small.shown(objective);
        let scored = run(["score", "--model", &model, "--json", "--tokens", text, "", "cat dog"]).expect_success();
        let rows: Vec<serde_json::Value> =
            scored.stdout.lines().map(|line| serde_json::from_str(line).expect("a row is JSON")).collect();
        assert_eq!(rows.len(), 3, "a row a text");
        assert_eq!(rows[0]["as"], how);
        assert_eq!(rows[0]["tokens"], 10);
        let parts: f64 =
            rows[0]["parts"].as_array().unwrap().iter().map(|p| p["log_likelihood"].as_f64().unwrap()).sum();
        assert!((parts - rows[0]["log_likelihood"].as_f64().unwrap()).abs() < 1e-4, "{objective}");
        assert_eq!((&rows[1]["log_likelihood"], &rows[1]["per_token"]), (&0.0.into(), &serde_json::Value::Null));
        if objective == "causal" {
            // What comes later changes nothing of what was said before.
            let prefix = run(["score", "--model", &model, "--json", "--tokens", "the small dog sees"]).expect_success();
            let prefix: serde_json::Value = serde_json::from_str(&prefix.stdout).unwrap();
            for (a, b) in rows[0]["parts"].as_array().unwrap().iter().zip(prefix["parts"].as_array().unwrap()) {
                let of = |part: &serde_json::Value| part["log_likelihood"].as_f64().unwrap();
                assert!((of(a) - of(b)).abs() < 1e-5, "{a} {b}");
            }
        }
    }
    small.pretrain("rtd", &[]).expect_success();
    run(["score", "--model", &small.shown("rtd"), text]).expect_bad_input(&["rtd", "replaced", "electric, causal"]);
    let generator = small.shown("rtd/generator");
    run(["score", "--model", &generator, "--as", "masked", text]).expect_success();
}

#[test]
fn a_budget_stands_for_steps() {
    let small = SmallRun::new();
    let whole = small.pretrain("whole", &[]).expect_success();
    drop(whole);
    let spent = metrics(&small.path("whole")).iter().filter_map(|row| row["flops"].as_f64()).fold(0.0, f64::max);
    // Of its 12 steps eight and a half.
    let budget = format!("train.budget={:e} FLOPs", spent * 8.5 / 12.0);
    let paid = small.pretrain("paid", &[&budget]).expect_success();
    assert!(paid.stderr.contains("pay for 8 steps"), "{paid:#?}");
    let config = std::fs::read_to_string(small.path("paid/run.toml")).unwrap();
    assert!(config.contains("steps = 8\n"), "{config}");
    small.pretrain("wrong", &["train.budget=ten minutes"]).expect_bad_input(&[
        "train.budget",
        "ten minutes",
        "2e16 FLOPs",
    ]);
    // A run that is resumed has its number.
    small.resume("paid").expect_success();
}
