//! `electra flops`.

use serde_json::Value;

use crate::support::program::run;

fn count(arguments: &[&str]) -> Value {
    let stdout = run(["flops", "--json"].iter().chain(arguments)).expect_success().stdout;
    serde_json::from_str(&stdout).expect("one JSON object")
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

#[test]
fn the_references_numbers_are_printed() {
    let stdout = run(["flops", "--reference"]).expect_success().stdout;
    let found: Vec<&str> = stdout.lines().map(|line| line.split_whitespace().nth(1).expect("a number")).collect();
    assert_eq!(found, ["1.294e18", "1.419e18", "6.425e19", "7.118e20", "3.114e21", "3.969e19", "3.187e21"]);
    let named = count(&["--reference"]);
    assert_eq!(named.as_array().expect("seven numbers").len(), 7);
}

#[test]
fn the_reference_rule_gives_the_papers_number_for_a_preset() {
    let small = count(&["--preset", "small", "--rule", "reference"]);
    assert_eq!(format!("{:.3e}", number(&small["flops"])), "1.294e18");
    assert!(small["bytes_per_step"].is_null());
}

#[test]
fn parts_add_up_to_the_step() {
    let found = count(&["--preset", "tiny", "--set", "train.recompute=true"]);
    let parts = found["parts"].as_array().expect("parts");
    let sum: f64 = parts
        .iter()
        .flat_map(|part| ["forward", "backward", "recompute"].map(|pass| number(&part[pass]["flops"])))
        .sum();
    assert!((sum / number(&found["flops_per_step"]) - 1.0).abs() < 1e-12);
    assert_eq!(number(&found["flops"]), number(&found["flops_per_step"]) * number(&found["steps"]));
    assert!(number(&found["flops_per_step"]) > number(&count(&["--preset", "tiny"])["flops_per_step"]));
}

#[test]
fn the_only_network_of_mlm_has_the_discriminators_size() {
    let both = count(&["--preset", "tiny"]);
    let one = count(&["--preset", "tiny", "--set", "objective.name=mlm"]);
    let roles = |found: &Value| -> Vec<String> {
        let parts = found["parts"].as_array().expect("parts").iter();
        let mut roles: Vec<String> = parts.filter_map(|part| part["network"].as_str().map(str::to_owned)).collect();
        roles.dedup();
        roles
    };
    assert_eq!(roles(&both), ["discriminator", "generator"]);
    assert_eq!(roles(&one), ["generator"]);
}

#[test]
fn a_folder_that_is_no_run_and_a_wrong_preset_are_named() {
    run(["flops", "no-such-run"]).expect_bad_input(&["no-such-run: not the folder of a run"]);
    run(["flops", "--preset", "smal"]).expect_bad_input(&["unknown preset \"smal\""]);
}
