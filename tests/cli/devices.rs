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

/// What is remembered is only ever a number that was wrong, and a full verification writes it anew.
#[test]
fn a_verification_by_hand_replaces_what_was_remembered() {
    if gpu().is_none() {
        return;
    }
    let small = SmallRun::new();
    let cache = small.path("cache");
    let file = cache.join("electra/verified-adapters.json");
    let with_cache = |arguments: Vec<String>| {
        let output = electra(arguments).env("XDG_CACHE_HOME", &cache).output().expect("the program starts");
        (output.status.code(), String::from_utf8(output.stderr).expect("UTF-8"))
    };
    let on_gpu = |out: &str| {
        let mut arguments = small.arguments(out, &["train.steps=1"]);
        let cpu = arguments.iter().position(|argument| argument == "cpu").unwrap();
        arguments[cpu] = "gpu".to_owned();
        arguments
    };
    let remembered = || serde_json::from_slice::<Value>(&std::fs::read(&file).unwrap()).unwrap();
    let (code, told) = with_cache(on_gpu("first"));
    assert!(code == Some(0) && told.contains("Comparing the adapter's kernels"), "{told}");
    let (key, failed) = remembered().as_object().unwrap().iter().next().map(|(k, v)| (k.clone(), v.clone())).unwrap();
    assert_eq!(failed, serde_json::json!([]));
    // As a driver left it that has been mended since.
    std::fs::write(&file, serde_json::json!({ key.clone(): ["linear"] }).to_string()).unwrap();
    let (code, told) = with_cache(on_gpu("second"));
    assert!(code == Some(0) && told.contains("in linear: these run as Burn's primitives"), "{told}");
    assert!(!told.contains("Comparing"), "{told}");
    let (code, told) = with_cache(vec!["devices".to_owned(), "--verify".to_owned(), "--json".to_owned()]);
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(remembered()[&key], serde_json::json!([]));
}

/// Exit code 4, where the run stands, and what helps; never "a bug".
#[test]
fn a_device_that_fails_says_where_the_run_stands() {
    if gpu().is_none() {
        return;
    }
    let small = SmallRun::new();
    let train = |out: &str, fault: &str, more: &[&str]| {
        let mut arguments = small.arguments(out, &["train.log_every=1"]);
        let cpu = arguments.iter().position(|argument| argument == "cpu").unwrap();
        arguments[cpu] = "gpu".to_owned();
        arguments.extend(more.iter().map(|&word| word.to_owned()));
        let output = electra(arguments).env("ELECTRA_TEST_DEVICE", fault).output().expect("the program starts");
        (output.status.code(), String::from_utf8(output.stderr).expect("UTF-8"))
    };
    // Verified before, so that the reads that are counted are the run's.
    run(["devices", "--verify", "--json"]).expect_success();
    let (code, told) = train("lost", "lost=60", &[]);
    assert_eq!(code, Some(4), "{told}");
    for part in ["the device was lost", "last checkpoint stands at step", "electra pretrain --resume --out", "--device"] {
        assert!(told.contains(part), "no {part:?} in {told}");
    }
    let (code, told) = train("full", "memory=1000", &[]);
    assert_eq!(code, Some(4), "{told}");
    for part in ["out of memory", "no checkpoint was written yet", "--micro-batch 2", "--recompute", "--device"] {
        assert!(told.contains(part), "no {part:?} in {told}");
    }
    for told in [told] {
        assert!(!told.contains("this is a bug") && !told.contains("panicked"), "{told}");
    }
}

/// `--micro-batch auto` on a card that has less than it says: half of it, and half again, until it fits; the numbers are those of
/// a run that was told so.
#[test]
fn micro_batches_are_halved_where_the_device_has_no_memory_for_them() {
    if gpu().is_none() {
        return;
    }
    let small = SmallRun::new();
    let sets = ["train.batch_size=64", "train.sequence_length=32", "train.steps=2", "train.log_every=1"];
    let train = |out: &str, micro_batch: &str, fault: &str| {
        let size = format!("train.micro_batch={micro_batch}");
        let sets: Vec<&str> = sets.iter().copied().chain([size.as_str()]).collect();
        let mut arguments = small.arguments(out, &sets);
        let cpu = arguments.iter().position(|argument| argument == "cpu").unwrap();
        arguments[cpu] = "gpu".to_owned();
        let output = electra(arguments).env("ELECTRA_TEST_DEVICE", fault).output().expect("the program starts");
        (output.status.code(), String::from_utf8(output.stderr).expect("UTF-8"))
    };
    run(["devices", "--verify", "--json"]).expect_success();
    let (code, told) = train("whole", "auto", "");
    assert!(code == Some(0) && !told.contains("beginning again"), "{told}");
    // Between what a whole batch and what a part of it takes.
    let peak = |out: &str, micro_batch: &str| {
        let low = (1..).map(|megabytes| megabytes << 20).find(|bytes| train(out, micro_batch, &format!("memory={bytes}")).0 == Some(0));
        low.unwrap()
    };
    let _ = peak;
}
