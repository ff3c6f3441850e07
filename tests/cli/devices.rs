//! `electra devices`.

use electra_kernels::device::{adapters, automatic};
use serde_json::Value;

use crate::support::adapter::{gpu, is_gpu_left_out, skip};
use crate::support::program::{electra, run};
use crate::support::small_run::SmallRun;

fn report() -> Value {
    let stdout = run(["devices", "--json"]).expect_success().stdout;
    serde_json::from_str(&stdout).expect("one JSON object")
}

#[test]
fn json_and_listing_name_the_same_adapters() {
    let report = report();
    let listed = report["adapters"].as_array().expect("an array").clone();
    let listing = run(["devices"]).expect_success().stdout;
    for (number, adapter) in listed.iter().enumerate() {
        assert_eq!(adapter["number"], number);
        let name = adapter["name"].as_str().expect("a name");
        assert!(listing.contains(&format!("gpu:{number}   {name}")), "{listing}");
    }
    assert_eq!(listed.len(), adapters().len());
    assert!(is_gpu_left_out() || !listed.is_empty(), "there is no adapter");
    assert_eq!(listing.matches("<- auto").count(), 1, "{listing}");
}

#[test]
fn auto_is_never_a_software_adapter() {
    let report = report();
    let expected = automatic(&adapters()).map_or("cpu".to_owned(), |number| format!("gpu:{number}"));
    assert_eq!(report["auto"], expected);
    let software = |adapter: &&Value| adapter["is_software"] == true;
    for adapter in report["adapters"].as_array().expect("an array").iter().filter(software) {
        assert_ne!(report["auto"], format!("gpu:{}", adapter["number"]));
    }
}

#[test]
fn every_adapter_computes_what_the_cpu_does() {
    if gpu().is_none() {
        return;
    }
    let stdout = run(["devices", "--verify", "--json"]).expect_success().stdout;
    let report: Value = serde_json::from_str(&stdout).expect("one JSON object");
    let verified = report["adapters"].as_array().expect("an array");
    assert_eq!(verified.len(), adapters().len());
    for adapter in verified {
        let checks = adapter["checks"].as_array().expect("an array");
        assert!(checks.len() > 20, "{checks:?}");
        assert!(checks.iter().all(|check| check["passed"] == true), "{checks:?}");
    }
}

#[test]
fn a_parameter_beyond_the_largest_binding_is_refused() {
    let Some(adapter) = gpu().and_then(|_| adapters().into_iter().next()) else { return };
    let limit = adapter.limits.max_storage_binding_bytes;
    if limit > 1 << 31 {
        return skip("the adapter binds more than such a parameter has");
    }
    // One row more than fits, of the feed-forward's first matrix.
    let inner = format!("model.intermediate_size={}", limit / (4 * 64) + 1);
    run(["bench", "step", "--preset", "nano", "--device", "gpu:0", "--set", &inner]).expect_bad_input(&[
        "dense.weight",
        "at most",
        "--device cpu",
    ]);
}

/// Trains on the graphics adapter into `out`, as the environment says; exit code and standard error.
fn train_on_gpu(small: &SmallRun, out: &str, more: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let arguments = small.arguments_on("gpu", out, more);
    let output = electra(arguments).envs(environment.iter().copied()).output().expect("the program starts");
    (output.status.code(), String::from_utf8(output.stderr).expect("UTF-8"))
}

/// What is remembered is only ever a number that was wrong, and a full verification writes it anew.
#[test]
fn a_verification_by_hand_replaces_what_was_remembered() {
    if gpu().is_none() {
        return;
    }
    let small = SmallRun::new();
    let cache = small.shown("cache");
    let environment = [("XDG_CACHE_HOME", cache.as_str())];
    let file = small.path("cache/electra/verified-adapters.json");
    let remembered = || serde_json::from_slice::<Value>(&std::fs::read(&file).unwrap()).unwrap();
    let (code, told) = train_on_gpu(&small, "first", &["train.steps=4"], &environment);
    assert!(code == Some(0) && told.contains("Comparing the adapter's kernels"), "{told}");
    let (key, failed) = remembered().as_object().unwrap().iter().next().map(|(k, v)| (k.clone(), v.clone())).unwrap();
    assert_eq!(failed, serde_json::json!([]));
    // As a driver left it that has been mended since.
    std::fs::write(&file, serde_json::json!({ key.clone(): ["linear"] }).to_string()).unwrap();
    let (code, told) = train_on_gpu(&small, "second", &["train.steps=4"], &environment);
    assert!(code == Some(0) && told.contains("in linear: these run as Burn's primitives"), "{told}");
    assert!(!told.contains("Comparing"), "{told}");
    let output = electra(["devices", "--verify", "--json"]).envs(environment).output().expect("the program starts");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(remembered()[&key], serde_json::json!([]));
}

/// Exit code 4, where the run stands, and what helps; never "a bug".
#[test]
fn a_device_that_fails_says_where_the_run_stands() {
    if gpu().is_none() {
        return;
    }
    let small = SmallRun::new();
    let sets = ["train.log_every=1", "train.checkpoint_every=2"];
    // Verified before, so that the reads that are counted are the run's.
    let (code, told) = train_on_gpu(&small, "whole", &sets, &[]);
    assert_eq!(code, Some(0), "{told}");
    let fails = |out: &str, fault: &str, parts: &[&str]| {
        let (code, told) = train_on_gpu(&small, out, &sets, &[("ELECTRA_TEST_DEVICE", fault)]);
        assert_eq!(code, Some(4), "{told}");
        for part in parts {
            assert!(told.contains(part), "no {part:?} in {told}");
        }
        assert!(!told.contains("this is a bug") && !told.contains("panicked"), "{told}");
    };
    // A checkpoint takes a read for each tensor.
    let lost = ["the device was lost", "last checkpoint stands at step", "electra pretrain --resume --out", "--device"];
    fails("lost", "lost=400", &lost);
    let full = ["out of memory", "no checkpoint was written yet", "--micro-batch 2", "--recompute", "--device"];
    fails("full", "memory=1000", &full);
    let resumed = small.resume("lost").expect_success();
    assert!(resumed.stderr.contains("Resuming after step"), "{resumed:?}");
    assert_eq!(small.metrics_text("lost"), small.metrics_text("whole"));
}

/// `--micro-batch auto` where the device has less than it says: half, and half again, until it fits; the numbers are those of a
/// run that was told so. A resume with `auto` keeps the run's size unless there is no longer memory for it.
#[test]
fn micro_batches_are_halved_where_the_device_has_no_memory_for_them() {
    if gpu().is_none() {
        return;
    }
    let small = SmallRun::new();
    let sizes = ["model.hidden_size=64", "model.intermediate_size=256", "train.batch_size=64", "train.steps=4"];
    let train = |out: &str, micro_batch: &str, fault: &str| {
        let set = format!("train.micro_batch={micro_batch}");
        let sets: Vec<&str> = sizes.iter().copied().chain([set.as_str(), "train.log_every=1"]).collect();
        train_on_gpu(&small, out, &sets, &[("ELECTRA_TEST_DEVICE", fault)])
    };
    let told_so = train("told", "16", "");
    assert_eq!(told_so.0, Some(0), "{}", told_so.1);
    let bytes_of = |micro_batch: usize| {
        let micro_batch = format!("train.micro_batch={micro_batch}");
        let sets = sizes.iter().chain([&"model.embedding_size=16", &"model.num_attention_heads=2"]);
        let sets = sets.chain([&"model.num_hidden_layers=1", &"train.sequence_length=32", &"model.vocab_size=300"]);
        let sets = sets.copied().chain([micro_batch.as_str()]).flat_map(|set| ["--set", set]);
        let step = ["bench", "step", "--preset", "nano", "--device", "gpu", "--steps", "1", "--no-plain", "--json"];
        let stdout = run(step.into_iter().chain(sets)).expect_success().stdout;
        let report: Value = serde_json::from_str(&stdout).expect("one JSON object");
        report["peak_device_bytes"].as_u64().expect("an adapter counts its memory")
    };
    let (enough, too_little) = (bytes_of(16), bytes_of(32));
    assert!(enough < too_little, "{enough} {too_little}");
    let most = enough + (too_little - enough) / 4;
    let (code, told) = train("halved", "\"auto\"", &format!("memory={most}"));
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("beginning again with micro-batches of 32 examples"), "{told}");
    assert!(told.contains("beginning again with micro-batches of 16 examples"), "{told}");
    assert_eq!(small.metrics_text("halved"), small.metrics_text("told"));

    // After a checkpoint the run goes on from there, as one does that is told so then.
    for out in ["later", "expected"] {
        assert_eq!(train(out, "32", "").0, Some(0));
    }
    let resume = |out: &str, micro_batch: &str, fault: &str| {
        let out = small.shown(out);
        let line = ["pretrain", "--resume", "--out", &out, "--set", "train.steps=8", "--micro-batch", micro_batch];
        let ended = electra(line).env("ELECTRA_TEST_DEVICE", fault).output().expect("the program starts");
        let told = String::from_utf8(ended.stderr).expect("UTF-8");
        assert_eq!(ended.status.code(), Some(0), "{told}");
        told
    };
    resume("expected", "16", "");
    let told = resume("later", "auto", &format!("memory={most}"));
    assert!(told.contains("going on from step 4 with micro-batches of 16 examples"), "{told}");
    assert!(told.contains("train.micro_batch is 16 from here on; it was 32"), "{told}");
    let state = |run: &str| std::fs::read(small.path(run).join("step_000008/state.json")).unwrap();
    assert!(state("later") == state("expected"), "the change is recorded");
    assert_eq!(small.metrics_text("later"), small.metrics_text("expected"));
}
