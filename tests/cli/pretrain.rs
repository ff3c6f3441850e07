//! `electra pretrain`: its arguments, and which run a folder may be resumed as.

use crate::support::program::{electra, run};
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
    assert!(ended.stderr.contains("no checkpoint to resume from; starting afresh"), "{ended:#?}");
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

    // Key, old and new value, each by itself and all at once.
    let refused = [
        ("seed=8", "seed was 7, and is 8"),
        ("train.batch_size=8", "train.batch_size was 4, and is 8"),
        ("train.learning_rate=2e-3", "train.learning_rate was 0.001, and is 0.002"),
        ("train.warmup_steps=5", "train.warmup_steps was 4, and is 5"),
        ("model.hidden_dropout_prob=0.2", "model.hidden_dropout_prob was 0.1, and is 0.2"),
        ("objective.name=mlm", "objective.name was \"rtd\", and is \"mlm\""),
        ("data.masking_probability=0.2", "data.masking_probability was 0.15, and is 0.2"),
    ];
    for (set, part) in refused {
        resume(&["--set", set]).expect_bad_input(&["step_000012", "no longer be itself", part, "--init-from"]);
    }
    let sets: Vec<&str> = refused.iter().flat_map(|(set, _)| ["--set", set]).collect();
    resume(&sets).expect_bad_input(&refused.map(|(_, part)| part));
    resume(&["--preset", "tiny"]).expect_bad_input(&["model.hidden_size was 32, and is 128"]);
    resume(&["--set", "train.steps=8"]).expect_bad_input(&["train.steps is 8", "after step 12"]);
    // Another vocabulary changes the networks' sizes too, but it is the dataset that is wrong.
    std::fs::write(small.path("text.txt"), "Quite another text, with words of its own.\n".repeat(50)).unwrap();
    small.build("tokenizer-2", "data-2", 200);
    resume(&["--data", &small.shown("data-2")]).expect_bad_input(&["step_000012", "another tokenizer", "--data"]);
    let (text, tokenizer, data) = (small.shown("text.txt"), small.shown("tokenizer"), small.shown("data-3"));
    run(["-q", "data", "build", "--input", &text, "--tokenizer", &tokenizer, "--out", &data]).expect_success();
    resume(&["--data", &data]).expect_bad_input(&["step_000012", "another dataset", "--data"]);
    assert_eq!(std::fs::read(small.path("run/run.toml")).unwrap(), before, "a refused resume changes nothing");
    assert_eq!(std::fs::read(small.path("run/metrics.jsonl")).unwrap(), rows);

    // The same command line with --resume at its end is the same run.
    let mut again = small.arguments("run", &[]);
    again.push("--resume".to_owned());
    run(again).expect_success();
    assert_eq!(std::fs::read(small.path("run/metrics.jsonl")).unwrap(), rows);
}

#[test]
fn what_does_not_change_what_is_learnt_may_change_on_the_way() {
    let small = SmallRun::new();
    let stopped_at_8 = |out: &str| {
        small.pretrain(out, &[]).expect_success();
        std::fs::remove_dir_all(small.path(out).join("step_000012")).unwrap();
    };
    for (number, (arguments, part)) in [
        (["--micro-batch", "2"], "train.micro_batch is 2 from here on; it was 3"),
        (["--set", "train.log_every=1"], "train.log_every is 1"),
        (["--set", "train.validate_every=2"], "train.validate_every is 2"),
        (["--set", "train.validation_batches=1"], "train.validation_batches is 1"),
        (["--set", "train.checkpoint_every=2"], "train.checkpoint_every is 2"),
        (["--set", "train.keep=1"], "train.keep is 1"),
        (["--set", "train.recompute=true"], "train.recompute is true"),
        (["--set", "train.max_nonfinite_in_a_row=2"], "train.max_nonfinite_in_a_row is 2"),
        (["--device", "auto"], "device is \"auto\""),
    ]
    .into_iter()
    .enumerate()
    {
        let out = format!("run-{number}");
        stopped_at_8(&out);
        let path = small.shown(&out);
        let ended = run(["pretrain", "--resume", "--out", &path].iter().chain(&arguments)).expect_success();
        assert!(ended.stderr.contains(part), "no {part:?} in {ended:#?}");
        assert_eq!(metrics(&small.path(&out)).last().unwrap()["step"], 12);
        // It is kept for the next time, and written down in the checkpoint.
        let ended = small.resume(&out).expect_success();
        assert!(!ended.stderr.contains("from here on"), "{ended:#?}");
        let state = std::fs::read_to_string(small.path(&out).join("step_000012/state.json")).unwrap();
        assert!(state.contains("\"changes\""), "{state}");
    }
}

#[test]
fn a_finished_run_is_trained_further_and_says_what_the_learning_rate_does() {
    let small = SmallRun::new();
    small.pretrain("run", &[]).expect_success();
    let out = small.shown("run");
    let ended = run(["pretrain", "--resume", "--out", &out, "--set", "train.steps=24"]).expect_success();
    for part in ["train.steps is 24 from here on; it was 12", "falls to 0 at step 24", "from 0.000e0 to 5.000e-4"] {
        assert!(ended.stderr.contains(part), "no {part:?} in {ended:#?}");
    }
    let rows = metrics(&small.path("run"));
    assert_eq!(rows.last().unwrap()["step"], 24);
    let rate = |step: u64| {
        let row = rows.iter().find(|row| row["step"] == step && row["split"] == "train").expect("a row");
        row["learning_rate"].as_f64().unwrap()
    };
    assert_eq!(rate(12), 1e-3 * (1.0 - 11.0 / 12.0), "up to there as it was");
    assert_eq!(rate(15), 1e-3 * (1.0 - 14.0 / 24.0), "and then towards the new end");
    let card = std::fs::read_to_string(small.path("run/discriminator/README.md")).unwrap();
    assert!(card.contains("24 for 12 at 12"), "{card}");
}

#[test]
fn a_dataset_that_was_moved_or_built_again_is_the_same_dataset() {
    let small = SmallRun::new();
    small.pretrain("run", &[]).expect_success();
    let out = small.shown("run");
    std::fs::rename(small.path("data"), small.path("moved")).unwrap();
    run(["pretrain", "--resume", "--out", &out]).expect_bad_input(&["data", "no longer there", "--data"]);
    // From another working folder, by relative paths, and it is remembered.
    std::fs::create_dir(small.path("elsewhere")).unwrap();
    let mut command = electra(["-q", "pretrain", "--resume", "--out", "../run", "--data", "../moved"]);
    assert!(command.current_dir(small.path("elsewhere")).status().unwrap().success());
    run(["pretrain", "--resume", "--out", &out]).expect_success();
    let mut command = electra(["-q", "pretrain", "--resume", "--out", "run"]);
    assert!(command.current_dir(small.path("")).status().unwrap().success());
    // From the same text under another name.
    std::fs::remove_dir_all(small.path("moved")).unwrap();
    std::fs::rename(small.path("text.txt"), small.path("other.txt")).unwrap();
    let (text, tokenizer, data) = (small.shown("other.txt"), small.shown("tokenizer"), small.shown("again"));
    run(["-q", "data", "build", "--input", &text, "--tokenizer", &tokenizer, "--out", &data]).expect_success();
    run(["pretrain", "--resume", "--out", &out, "--data", &data]).expect_success();
}

#[test]
fn a_run_is_exported_without_its_dataset() {
    let small = SmallRun::new();
    small.pretrain("run", &[]).expect_success();
    let (out, exported) = (small.shown("run"), small.shown("exported"));
    for gone in ["data", "run/discriminator", "run/generator"] {
        std::fs::remove_dir_all(small.path(gone)).unwrap();
    }
    run(["export", &out, "--out", &exported]).expect_success();
    for network in ["discriminator", "generator"] {
        let folder = small.path("exported").join(network);
        assert!(folder.join("model.safetensors").is_file() && folder.join("tokenizer.json").is_file());
        let card = std::fs::read_to_string(folder.join("README.md")).unwrap();
        assert!(!card.contains("not recorded") && card.contains("WordPiece, "), "{card}");
    }
    // Without its own copy, with the one that is named, if it is the right one.
    std::fs::remove_dir_all(small.path("run/tokenizer")).unwrap();
    std::fs::remove_dir_all(small.path("exported")).unwrap();
    run(["export", &out, "--out", &exported]).expect_bad_input(&[&out, "--tokenizer"]);
    std::fs::write(small.path("text.txt"), "Quite another text, with words of its own.\n".repeat(50)).unwrap();
    small.build("tokenizer-2", "data-2", 200);
    let wrong = small.shown("tokenizer-2");
    run(["export", &out, "--out", &exported, "--tokenizer", &wrong]).expect_bad_input(&[&wrong, "not the tokenizer"]);
    run(["export", &out, "--out", &exported, "--tokenizer", &small.shown("tokenizer")]).expect_success();
}

#[test]
fn a_second_process_in_a_runs_folder_is_refused_at_once() {
    let small = SmallRun::new();
    // A checkpoint takes seconds to write here, so that the first one is at it for a while.
    let mut first = electra(small.arguments("run", &["train.checkpoint_every=1"]));
    let mut first = first.env("ELECTRA_TEST_DELAY_MS", "30").stderr(std::process::Stdio::null()).spawn().unwrap();
    while !small.path("run/run.toml").is_file() {
        assert!(first.try_wait().unwrap().is_none(), "it ended before it began");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let process = format!("process {}", first.id());
    let parts = [&*small.shown("run"), if cfg!(unix) { &process } else { "another process" }];
    small.resume("run").expect_bad_input(&parts);
    let mut again = small.arguments("run", &[]);
    again.push("--resume".to_owned());
    run(again).expect_bad_input(&parts);
    assert!(first.try_wait().unwrap().is_none(), "it was still training");
    assert!(first.wait().unwrap().success());
    small.resume("run").expect_success();
    assert!(!small.path("run/lock").exists());
}

#[test]
fn sizes_beyond_memory_are_refused_by_their_key_before_anything_is_made() {
    let small = SmallRun::new();
    for (set, key) in [
        ("model.hidden_size=2000000", "model.hidden_size"),
        ("model.num_hidden_layers=2000000000", "model.num_hidden_layers"),
        ("model.intermediate_size=2000000000", "model.intermediate_size"),
        ("model.embedding_size=2000000000", "model.embedding_size"),
        ("model.max_position_embeddings=2000000000", "model.max_position_embeddings"),
        ("model.type_vocab_size=2000000000", "model.type_vocab_size"),
        ("train.batch_size=4000000000", "train.batch_size"),
    ] {
        small.pretrain("run", &[set]).expect_bad_input(&[key, "memory"]);
    }
    assert!(!small.path("run").exists());
}

#[test]
fn a_network_of_one_segment_is_trained_on_single_segments() {
    let small = SmallRun::new();
    small.pretrain("run", &["model.type_vocab_size=1"]).expect_success();
    let config = std::fs::read_to_string(small.path("run/discriminator/config.json")).unwrap();
    assert!(config.contains("\"type_vocab_size\": 1"), "{config}");
    run(["detect", "--model", &small.shown("run"), "the old dog sees the cat"]).expect_success();
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
