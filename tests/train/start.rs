//! Where a run starts from: weights of another one, or a look before it.

use serde_json::Value;

use crate::support::program::run;
use crate::support::small_run::{SmallRun, metrics};

fn validation(rows: &[Value]) -> &Value {
    rows.iter().rfind(|row| row["split"] == "validation").expect("a validation row")
}

#[test]
fn init_from_goes_on_with_exported_and_imported_networks() {
    let small = SmallRun::new();
    for sharing in ["embeddings", "none"] {
        let sharing_set = format!("model.sharing={sharing}");
        let first = format!("first-{sharing}");
        small.pretrain(&first, &[&sharing_set]).expect_success();
        let imported = small.shown(&format!("imported-{sharing}"));
        let network = |name: &str| small.shown(&format!("{first}/{name}"));
        let (discriminator, generator) = (network("discriminator"), network("generator"));
        run(["import", "--discriminator", &discriminator, "--generator", &generator, "--out", &imported])
            .expect_success();
        let expected = metrics(&small.path(&first));
        let expected = validation(&expected);
        for (number, source) in [&small.shown(&first), &imported].into_iter().enumerate() {
            let out = format!("next-{sharing}-{number}");
            // The first step of a warmup has learning rate 0: it leaves the weights alone.
            let mut arguments = small.arguments(&out, &[&sharing_set, "train.steps=1", "train.warmup_steps=1"]);
            arguments.extend(["--init-from".to_owned(), source.clone()]);
            run(arguments).expect_success();
            let found = metrics(&small.path(&out));
            let mut found = validation(&found).clone();
            found["step"] = expected["step"].clone();
            assert_eq!(&found, expected, "validation after {source}");
        }
    }
}

#[test]
fn init_from_networks_that_do_not_fit_is_one_message() {
    let small = SmallRun::new();
    small.pretrain("first", &["train.steps=1", "train.warmup_steps=1"]).expect_success();
    let attempt = |out: &str, from: &str, set: &str| {
        let mut arguments = small.arguments(out, &[set]);
        arguments.extend(["--init-from".to_owned(), small.shown(from)]);
        run(arguments)
    };
    attempt("a", "first", "model.intermediate_size=128").expect_bad_input(&["intermediate", "[64, 32]", "[128, 32]"]);
    // What was refused leaves the folder free for another attempt.
    attempt("a", "first", "model.num_hidden_layers=2").expect_bad_input(&["first"]);
    attempt("b", "first", "model.num_hidden_layers=2").expect_bad_input(&["first", "holds no tensor for", "layer.1"]);
    attempt("c", "nowhere", "seed=1").expect_bad_input(&["nowhere", "config.json", "check the path"]);
}

#[test]
fn an_init_from_that_is_killed_at_once_does_not_resume_from_random_weights() {
    let small = SmallRun::new();
    small.pretrain("first", &[]).expect_success();
    let mut arguments = small.arguments("next", &["train.checkpoint_every=1000", "train.keep=5"]);
    arguments.extend(["--init-from".to_owned(), small.shown("first")]);
    run(arguments).expect_success();
    let whole = std::fs::read(small.path("next/metrics.jsonl")).unwrap();
    // What a kill before the first periodic checkpoint leaves.
    std::fs::remove_dir_all(small.path("next/step_000012")).unwrap();
    small.resume("next").expect_success();
    assert_eq!(std::fs::read(small.path("next/metrics.jsonl")).unwrap(), whole);
}

#[test]
fn the_learning_rate_is_said_to_be_infinite_where_it_is() {
    let small = SmallRun::new();
    small.pretrain("run", &["train.learning_rate=inf"]).expect_bad_input(&["train.learning_rate is inf", "finite"]);
}

#[test]
fn a_dry_run_prints_and_writes_nothing() {
    let small = SmallRun::new();
    let mut arguments = small.arguments("run", &[]);
    arguments.push("--dry-run".to_owned());
    let ended = run(arguments).expect_success();
    for heading in ["device", "parameters", "FLOPs", "memory", "time"] {
        assert!(ended.stdout.lines().any(|line| line.starts_with(heading)), "no {heading} in {ended:#?}");
    }
    assert!(!small.path("run").exists());
}
