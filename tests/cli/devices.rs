//! `electra devices`.

use electra_kernels::device::{adapters, automatic};
use serde_json::Value;

use crate::support::{adapter::requires_gpu, program::run};

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
    assert!(!requires_gpu() || !listed.is_empty(), "ELECTRA_REQUIRE_GPU=1, but there is no adapter");
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
    let Some(adapter) = adapters().into_iter().next() else { return };
    let limit = adapter.limits.max_storage_binding_bytes;
    if limit > 1 << 31 {
        eprintln!("not run: {} binds {limit} bytes", adapter.name);
        return;
    }
    // One row more than fits, of the feed-forward's first matrix.
    let inner = format!("model.intermediate_size={}", limit / (4 * 64) + 1);
    run(["bench", "step", "--preset", "nano", "--device", "gpu:0", "--set", &inner]).expect_bad_input(&[
        "dense.weight",
        "at most",
        "--device cpu",
    ]);
}
