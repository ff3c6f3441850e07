//! `electra pretrain`: its arguments, and which run a folder may be resumed as.

use crate::support::program::run;
use crate::support::small_run::{SmallRun, metrics};

#[test]
fn wrong_arguments_are_one_message() {
    let small = SmallRun::new();
    let out = small.shown("run");
    run(["pretrain", "--out", &out]).expect_bad_input(&["no dataset", "--data", "electra data build"]);
    let data = small.shown("data");
    let attempt = |arguments: &[&str]| run(["pretrain", "--out", &out, "--data", &data].iter().chain(arguments));
    attempt(&["--preset", "smal"]).expect_bad_input(&["unknown preset \"smal\"", "did you mean \"small\"?", "nano"]);
    attempt(&["--set", "train.stepz=3"]).expect_bad_input(&["--set train.stepz=3", "unknown key", "steps"]);
    attempt(&["--set", "train.steps=many"]).expect_bad_input(&["train.steps", "many"]);
    attempt(&["--set", "train.steps"]).expect_bad_input(&["--set train.steps", "--set train.steps=1000"]);
    attempt(&["--set", "train.steps=0"]).expect_bad_input(&["train.steps", "at least 1"]);
    attempt(&["--set", "objective.name=gan"]).expect_bad_input(&["objective.name", "\"gan\"", "rtd"]);
    attempt(&["--set", "model.num_attention_heads=3"]).expect_bad_input(&["num_attention_heads", "3"]);
    attempt(&["--device", "tpu"]).expect_bad_input(&["tpu", "auto"]);
    attempt(&["--device", "gpu:99"]).expect_bad_input(&["gpu:99"]);
    attempt(&["--precision", "f15"]).expect_bad_input(&["f15", "f32 or f16"]);
    attempt(&["--precision", "f16", "--device", "cpu"]).expect_bad_input(&["computes in f32 alone", "--precision f32"]);
    attempt(&["--config", &small.shown("none.toml")]).expect_bad_input(&["none.toml"]);
    run(["pretrain", "--out", &out, "--data", &small.shown("nowhere")]).expect_bad_input(&["nowhere"]);
    attempt(&["--resume", "--init-from", &data]).expect_bad_input(&["--resume", "--init-from"]);
    assert!(!small.path("run").exists(), "nothing was begun");

    std::fs::write(small.path("bad.toml"), "seed = 1\n[train]\nstep = 3\n").unwrap();
    attempt(&["--config", &small.shown("bad.toml")])
        .expect_bad_input(&["bad.toml, line 3", "unknown key \"train.step\""]);
    std::fs::write(small.path("file"), "").unwrap();
    run(["pretrain", "--data", &data, "--out", &small.shown("file")]).expect_bad_input(&["file"]);
}

#[test]
fn a_folder_that_is_in_use_is_not_overwritten() {
    let small = SmallRun::new();
    std::fs::create_dir(small.path("run")).unwrap();
    std::fs::write(small.path("run/mine.txt"), "mine").unwrap();
    small.pretrain("run", &[]).expect_bad_input(&[&small.shown("run"), "not empty", "--resume", "--out"]);
    assert_eq!(std::fs::read_dir(small.path("run")).unwrap().count(), 1);
    // An empty one is as good as none.
    std::fs::create_dir(small.path("empty")).unwrap();
    small.pretrain("empty", &["train.steps=1", "train.warmup_steps=1"]).expect_success();
}

#[test]
fn resume_without_a_checkpoint_starts_afresh_and_says_so() {
    let small = SmallRun::new();
    std::fs::create_dir(small.path("run")).unwrap();
    let mut arguments = small.arguments("run", &[]);
    arguments.push("--resume".to_owned());
    let ended = run(&arguments).expect_success();
    assert!(ended.stderr.contains("warning: "), "{ended:#?}");
    assert!(ended.stderr.contains("no whole checkpoint to resume from; starting afresh"), "{ended:#?}");
    assert_eq!(metrics(&small.path("run")).last().unwrap()["step"], 12);
    // A folder that is not there is an empty one; without a dataset there is nothing to start.
    run(["pretrain", "--resume", "--out", &small.shown("absent")]).expect_bad_input(&["no dataset"]);
}

#[test]
fn a_run_is_resumed_as_itself_or_not_at_all() {
    let small = SmallRun::new();
    small.pretrain("run", &[]).expect_success();
    let out = small.shown("run");
    let before = std::fs::read(small.path("run/run.toml")).unwrap();
    let rows = std::fs::read(small.path("run/metrics.jsonl")).unwrap();
    let resume = |arguments: &[&str]| run(["pretrain", "--resume", "--out", &out].iter().chain(arguments));

    let other_configuration = ["step_000012", "another configuration", "run.toml"];
    resume(&["--set", "train.steps=20"]).expect_bad_input(&other_configuration);
    resume(&["--set", "seed=8"]).expect_bad_input(&other_configuration);
    // Another vocabulary changes the networks' sizes too, but it is the dataset that is wrong.
    std::fs::write(small.path("text.txt"), "Quite another text, with words of its own.\n".repeat(50)).unwrap();
    small.build("tokenizer-2", "data-2", 200);
    resume(&["--data", &small.shown("data-2")]).expect_bad_input(&["step_000012", "another dataset", "--data"]);
    assert_eq!(std::fs::read(small.path("run/run.toml")).unwrap(), before, "a refused resume changes nothing");

    // What decides no number may change; the same command line with --resume at its end is the same run.
    resume(&["--set", "train.keep=1", "--set", "train.checkpoint_every=2"]).expect_success();
    let mut again = small.arguments("run", &[]);
    again.push("--resume".to_owned());
    run(again).expect_success();
    assert_eq!(std::fs::read(small.path("run/metrics.jsonl")).unwrap(), rows);
    // A dataset that was moved is the same dataset.
    std::fs::rename(small.path("data"), small.path("moved")).unwrap();
    resume(&[]).expect_bad_input(&[&small.shown("data")]);
    resume(&["--data", &small.shown("moved")]).expect_success();
}

#[test]
fn an_automatic_micro_batch_is_settled_once() {
    let small = SmallRun::new();
    let settled = |out: &str| {
        let text = std::fs::read_to_string(small.path(out).join("run.toml")).unwrap();
        text.lines().find(|line| line.starts_with("micro_batch")).expect("a line of run.toml").to_owned()
    };
    small.pretrain("run", &["train.micro_batch=auto"]).expect_success();
    assert_eq!(settled("run"), "micro_batch = 4");
    // As if less memory had been free when the run began: resuming with "auto" keeps the number.
    small.pretrain("two", &["train.micro_batch=2"]).expect_success();
    let mut again = small.arguments("two", &["train.micro_batch=auto"]);
    again.push("--resume".to_owned());
    run(again).expect_success();
    assert_eq!(settled("two"), "micro_batch = 2");
}
