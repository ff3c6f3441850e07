//! The seams of a run: one plan behind every step, one loop whatever keeps its rows and checkpoints.

use std::path::Path;
use std::time::SystemTime;

use burn::tensor::Device;
use electra_kernels::launches;
use electra_train::pretraining::Pretraining;
use electra_train::run::folder::checkpoints::{self, Checkpoints};
use electra_train::run::folder::wait_for;
use electra_train::run::{Advance, Checkpoint, MemorySink, Run};
use electra_train::{Plan, RunConfig, data, host, lr_at};

use crate::support::adapter::gpu;
use crate::support::small_run::{SmallRun, run_in_this_process};

fn memory() -> MemorySink {
    MemorySink::new(|| SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs_f64())
}

/// The run of `config` in `sink`, from its start or from the checkpoint that is in there.
fn in_memory(config: &RunConfig, sink: MemorySink) -> Run<Pretraining, MemorySink> {
    let mut config = config.clone();
    let data = data::open(&mut config).unwrap();
    let plan = Plan::new(&config, data.special, &Device::flex()).unwrap();
    match sink.checkpoint.clone() {
        Some(saved) => {
            let resumed = Pretraining::resume(plan, data, saved, Path::new("memory")).unwrap();
            Run::resume(resumed, sink).unwrap()
        }
        None => Run::begin(Pretraining::begin(plan, data), sink).unwrap(),
    }
}

/// Advances `run` until `steps` are done, and ends it.
fn until(steps: u64, mut run: Run<Pretraining, MemorySink>) -> MemorySink {
    while run.step() < steps {
        wait_for(run.advance()).unwrap();
    }
    wait_for(run.finish()).unwrap().sink
}

fn lines(sink: &MemorySink) -> String {
    sink.rows.iter().map(|row| serde_json::to_string(row).unwrap() + "\n").collect()
}

/// Writes the checkpoint in `sink` beside that of the run in `folder`, and compares the files byte for byte.
#[track_caller]
fn assert_same_checkpoint(sink: &MemorySink, folder: &Path, steps: u64) {
    let copy = tempfile::tempdir().unwrap();
    let saved = Checkpoints::new(copy.path(), 1).save(sink.checkpoint.as_ref().unwrap()).unwrap();
    let expected = checkpoints::path_of(folder, steps);
    let mut names = 0;
    for entry in std::fs::read_dir(&expected).unwrap() {
        let name = entry.unwrap().file_name();
        let read = |folder: &Path| std::fs::read(folder.join(&name)).unwrap();
        assert!(read(&saved.path) == read(&expected), "{name:?} differs");
        names += 1;
    }
    assert_eq!(names, 5, "four files and their checksums");
}

#[test]
fn a_run_in_memory_has_the_rows_and_checkpoints_of_one_in_a_folder() {
    let small = SmallRun::new();
    let config = small.config(&[]);
    let folder = small.path("folder");
    run_in_this_process(&config, &folder, Device::flex(), false, &mut |_, _| {});
    let whole = until(12, in_memory(&config, memory()));
    assert_eq!(lines(&whole), small.metrics_text("folder"));
    assert_same_checkpoint(&whole, &folder, 12);

    // Stopped on a checkpoint, on a row, on none of them, and gone on from memory; what came after the checkpoint is done again.
    for stop in [4, 6, 7] {
        let mut sink = until(stop, in_memory(&config, memory()));
        let stopped = sink.checkpoint.clone();
        sink = until(11, in_memory(&config, sink));
        sink.checkpoint = stopped;
        let sink = until(12, in_memory(&config, sink));
        assert_eq!(lines(&sink), lines(&whole), "stopped after {stop} steps");
        assert_same_checkpoint(&sink, &folder, 12);
    }
}

#[test]
fn runs_that_take_turns_in_one_process_do_not_meet() {
    let small = SmallRun::new();
    let configs = [small.config(&[]), small.config(&["seed=1", "objective.name=mlm"])];
    let alone = configs.each_ref().map(|config| until(12, in_memory(config, memory())));
    let [mut one, mut other] = configs.each_ref().map(|config| in_memory(config, memory()));
    while wait_for(one.advance()).unwrap() == Advance::Stepped {
        wait_for(other.advance()).unwrap();
    }
    let in_turns = [until(12, one), until(12, other)];
    for (found, expected) in in_turns.iter().zip(&alone) {
        assert_eq!(lines(found), lines(expected));
        assert!(found.checkpoint == expected.checkpoint, "weights or moments differ");
    }
    assert_ne!(lines(&alone[0]), lines(&alone[1]));
}

/// What is counted and learnt of the words before the first step is the same for a run that goes on.
#[test]
fn a_run_that_begins_as_a_context_detector_goes_on_as_itself() {
    let small = SmallRun::new();
    let sets = [
        "model.embedding_size=64",
        "model.hidden_size=64",
        "model.intermediate_size=256",
        "model.num_attention_heads=8",
        "model.position_initializer=neighbours",
    ];
    let rows = |more: &[&str], stop: Option<u64>| {
        let config = small.config(&[&sets[..], more].concat());
        let begun = stop.map_or_else(memory, |stop| until(stop, in_memory(&config, memory())));
        lines(&until(12, in_memory(&config, begun)))
    };
    let informed = ["model.word_initializer=context_detector", "objective.rtd.similar_words=0.5"];
    let whole = rows(&informed, None);
    assert_eq!(rows(&informed, Some(7)), whole);
    assert_eq!(rows(&informed, Some(8)), whole);
    for one in informed {
        assert!(rows(&[one], None) != whole, "{one} alone gives the same numbers as both");
    }
}

/// A plan is the only way to a trainer outside electra-train, so that what it makes is what `--dry-run` and `bench` time.
#[test]
fn the_step_of_a_plans_trainer_is_the_runs() {
    let small = SmallRun::new();
    let config = small.config(&[
        "seed=7",
        "train.steps=1",
        "train.warmup_steps=0",
        "train.beta1=0.8",
        "train.epsilon=1e-3",
        "train.clip_norm=0.5",
        "train.weight_decay=0.2",
        "train.bias_correction=true",
        "train.micro_batch=1",
        "model.position_initializer=sinusoidal",
    ]);
    let folder = small.path("run");
    run_in_this_process(&config, &folder, Device::flex(), false, &mut |_, _| {});
    let saved: Checkpoint = checkpoints::load(&checkpoints::path_of(&folder, 1)).unwrap();
    let step = |config: &RunConfig| {
        let mut config = config.clone();
        let data = data::open(&mut config).unwrap();
        let mut trainer = Plan::new(&config, data.special, &Device::flex()).unwrap().trainer();
        let train = &config.train;
        let rate = lr_at(0, train.learning_rate, train.warmup_steps, train.steps);
        assert!(trainer.step(&data.train.batch(0), 0, rate).unwrap().applied);
        let mut tensors = wait_for(host::parameters_to_host(&trainer.parameters)).unwrap();
        tensors.extend(wait_for(trainer.adam.to_host(trainer.parameters.layout())).unwrap());
        tensors.sort_by(|a, b| a.name.cmp(&b.name));
        tensors
    };
    let mut expected = [saved.parameters, saved.optimizer].concat();
    expected.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(step(&config) == expected, "the run makes another step than its plan");
    // What the comparison would not see, it could not vouch for.
    for change in [
        |config: &mut RunConfig| config.seed = 8,
        |config: &mut RunConfig| config.train.beta1 = 0.9,
        |config: &mut RunConfig| config.train.weight_decay = 0.0,
    ] {
        let mut other = config.clone();
        change(&mut other);
        assert!(step(&other) != expected);
    }
}

/// On a graphics adapter: launch for launch, recomputation included. Nothing else is due after the first step.
#[test]
fn the_step_of_a_plans_trainer_launches_what_the_runs_does() {
    let Some(opened) = gpu() else { return };
    let small = SmallRun::new();
    let mut recorded = Vec::new();
    for recompute in ["train.recompute=true", "train.recompute=false"] {
        let mut config = small.config(&[recompute]);
        let data = data::open(&mut config).unwrap();
        let plan = Plan::new(&config, data.special, &opened.device).unwrap();
        let mut trainer = plan.trainer();
        let (submitted, expected) = launches::record(|| trainer.submit(&data.train.batch(0), 0, 1e-4));
        submitted.unwrap();
        let mut run = Run::begin(Pretraining::begin(plan, data), memory()).unwrap();
        let (advanced, found) = launches::record(|| wait_for(run.advance()));
        assert_eq!(advanced.unwrap(), Advance::Stepped);
        assert!(!expected.is_empty(), "nothing was launched");
        assert_eq!(found, expected, "{recompute}");
        recorded.push(found);
    }
    assert_ne!(recorded[0], recorded[1], "recomputation shows");
}
