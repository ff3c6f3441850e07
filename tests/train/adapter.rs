//! Runs on a graphics adapter: equal to one another in every bit, and to the CPU's but for rounding.

use std::path::Path;

use burn::tensor::Device;
use electra_data::{Batch, MaskingConfig, SpecialTokens, choose_masked};
use electra_kernels::DeviceFailure;
use electra_kernels::Precision;
use electra_kernels::device::{DeviceChoice, OpenDevice, reopen};
use electra_train::config::MicroBatch;
use electra_train::step::trainer::TrainStep;
use electra_train::{Error, Plan, RunConfig, StepMetrics, TrainEvent, config};

use crate::support::adapter::{gpu, gpu_with_f16, limit_memory, lose, open_alone};
use crate::support::program;
use crate::support::small_run::{SmallRun, metrics, run_in_this_process, try_in_this_process};

fn run(config: &RunConfig, folder: &Path, device: Device, resume: bool) -> Vec<TrainEvent> {
    let mut events = Vec::new();
    run_in_this_process(config, folder, device, resume, &mut |event, _| events.push(event.clone()));
    events
}

/// Fifty steps with dropout, two unequal micro-batches and everything else that a run has.
#[test]
fn two_runs_are_equal_in_every_bit() {
    let Some(OpenDevice { device, .. }) = gpu() else { return };
    let small = SmallRun::new();
    let config = small.config(&["train.steps=50", "train.validate_every=20", "train.checkpoint_every=25"]);
    for name in ["first", "second"] {
        run(&config, &small.path(name), device.clone(), false);
    }
    for name in ["metrics.jsonl", "step_000050/parameters.safetensors", "step_000050/optimizer.safetensors"] {
        let read = |run: &str| std::fs::read(small.path(run).join(name)).unwrap();
        assert!(read("first") == read("second"), "{name} differs");
    }
    // Resumed from the middle it is the same run, too: nothing lives on the device alone.
    std::fs::remove_dir_all(small.path("second/step_000050")).unwrap();
    run(&config, &small.path("second"), device, true);
    assert_eq!(small.metrics_text("first"), small.metrics_text("second"), "the resumed run differs");
}

#[test]
fn a_run_is_the_cpus_but_for_rounding() {
    let Some(OpenDevice { device, .. }) = gpu() else { return };
    let small = SmallRun::new();
    let config = small.config(&["train.steps=6", "train.log_every=1", "train.validate_every=6"]);
    run(&config, &small.path("adapter"), device, false);
    run(&config, &small.path("cpu"), Device::flex(), false);
    let (found, expected) = (metrics(&small.path("adapter")), metrics(&small.path("cpu")));
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        // A sample whose two best ids are nearly equal may fall the other way; in six steps of a few hundred none does.
        for name in ["loss", "generator_loss", "discriminator_loss", "gradient_norm"] {
            let (Some(found), Some(expected)) = (found[name].as_f64(), expected[name].as_f64()) else { continue };
            assert!((found - expected).abs() <= 1e-4 * expected.abs(), "{name}: {found}, on the CPU {expected}");
        }
    }
}

/// Forty steps of f16: as good as f32's, the same twice, and the same when resumed.
#[test]
fn half_precision_learns_as_full_precision_does() {
    let Some(OpenDevice { device, .. }) = gpu_with_f16() else { return };
    let small = SmallRun::new();
    let sets = ["train.steps=40", "train.log_every=10", "train.validate_every=40", "train.checkpoint_every=20"];
    let (full, mut half) = (small.config(&sets), small.config(&sets));
    half.train.precision = Precision::F16;
    run(&full, &small.path("full"), device.clone(), false);
    run(&half, &small.path("half"), device.clone(), false);
    run(&half, &small.path("again"), device.clone(), false);
    std::fs::remove_dir_all(small.path("again/step_000040")).unwrap();
    run(&half, &small.path("again"), device, true);
    assert_eq!(small.metrics_text("half"), small.metrics_text("again"), "a resumed run differs");
    assert_ne!(small.metrics_text("half"), small.metrics_text("full"), "nothing was rounded");
    let (found, expected) = (metrics(&small.path("half")), metrics(&small.path("full")));
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        for name in ["loss", "generator_loss", "discriminator_loss"] {
            let (found, expected) = (found[name].as_f64().unwrap(), expected[name].as_f64().unwrap());
            // Samples fall otherwise where two ids are nearly equal, which moves a loss more than roundings do.
            assert!((found - expected).abs() <= 0.02 * expected.abs(), "{name}: {found}, in full precision {expected}");
        }
    }
    let state = std::fs::read(small.path("half/step_000040/state.json")).unwrap();
    let state: serde_json::Value = serde_json::from_slice(&state).unwrap();
    assert_eq!(state["loss_scale"], serde_json::json!([65_536.0, 40.0]));
}

/// A loss of such a weight that its scaled gradients are beyond f16: the factor falls until they fit.
#[test]
fn gradients_beyond_half_precision_never_reach_the_weights() {
    let Some(OpenDevice { device, .. }) = gpu_with_f16() else { return };
    let small = SmallRun::new();
    let sets = ["train.steps=30", "train.log_every=30", "objective.discriminator_loss_weight=2e5"];
    let mut config = small.config(&sets);
    config.train.precision = Precision::F16;
    let events = run(&config, &small.path("run"), device, false);
    let factors: Vec<f64> = events
        .iter()
        .filter_map(|event| match event {
            TrainEvent::Overflow { loss_factor, .. } => Some(*loss_factor),
            _ => None,
        })
        .collect();
    assert!((1..25).contains(&factors.len()), "{factors:?}");
    assert!(
        factors.iter().zip(1..).all(|(&factor, halvings)| factor == 65_536.0 / f64::from(1 << halvings)),
        "{factors:?}"
    );
    assert!(!events.iter().any(|event| matches!(event, TrainEvent::NonFinite { .. })));
    // A checkpoint with a value that is not finite would not have been written.
    let state = std::fs::read(small.path("run/step_000030/state.json")).unwrap();
    let state: serde_json::Value = serde_json::from_slice(&state).unwrap();
    assert_eq!(state["updates"], 30 - factors.len());
    assert_eq!(state["nonfinite_steps"], 0);
}

/// Two steps of `preset` on random tokens.
fn two_steps(preset: &str, sets: &[&str], device: &Device) -> [TrainStep<StepMetrics>; 2] {
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    let mut config = config::resolve(Some(preset), None, &sets).unwrap();
    config.train.micro_batch = MicroBatch::Size(config.train.batch_size);
    let (batch_size, seq) = (config.train.batch_size, config.train.sequence_length);
    let special = SpecialTokens { pad: 0, unknown: 1, cls: 2, sep: 3, mask: 4 };
    let masking = MaskingConfig::default();
    let mut batch = Batch::new(seq, masking.max_masked(seq));
    for row in 0..batch_size as u32 {
        let id = |i: u32| 5 + (row * 7919 + i * 104_729) % (config.model.vocab_size as u32 - 5);
        let mut ids: Vec<i32> = (0..seq as u32).map(|i| id(i) as i32).collect();
        (ids[0], ids[seq - 1]) = (2, 3);
        let masked =
            choose_masked(&ids, special, config.model.vocab_size, &masking, batch.max_masked, (1, 0, u64::from(row)));
        batch.push(&ids, seq, &masked, special, row);
    }
    let mut trainer = Plan::new(&config, special, device).unwrap().trainer();
    [0, 1].map(|step| trainer.step(&batch, step, 1e-4).unwrap())
}

fn assert_alike(found: &TrainStep<StepMetrics>, expected: &TrainStep<StepMetrics>) {
    let close = |what: &str, found: f64, expected: f64| {
        assert!((found - expected).abs() <= 1e-4 * expected.abs(), "{what}: {found}, on the CPU {expected}");
    };
    assert!(found.applied && expected.applied);
    close("loss", found.metrics.loss, expected.metrics.loss);
    close("generator's loss", found.metrics.generator_loss.unwrap(), expected.metrics.generator_loss.unwrap());
    close("gradient norm", found.gradient_norm, expected.gradient_norm);
    assert_eq!(found.metrics.sampled_correct, expected.metrics.sampled_correct);
}

/// Tables and arenas of a size that matters: 94 MB of embeddings, 110 M parameters.
#[test]
fn a_step_of_base_is_the_cpus() {
    let Some(OpenDevice { device, .. }) = gpu() else { return };
    let sets = ["train.batch_size=1", "train.sequence_length=512"];
    let [found, _] = two_steps("base", &sets, &device);
    let [expected, _] = two_steps("base", &sets, &Device::flex());
    assert_alike(&found, &expected);
}

/// A word table of 205 MB, where an adapter may bind no more than 134 MB at a time; the second step sees its update.
#[test]
fn a_table_beyond_the_largest_binding_is_trained_as_on_the_cpu() {
    let Some(OpenDevice { device, .. }) = gpu() else { return };
    let sets =
        ["model.num_hidden_layers=1", "model.vocab_size=50000", "train.batch_size=2", "train.sequence_length=64"];
    let found = two_steps("large", &sets, &device);
    let expected = two_steps("large", &sets, &Device::flex());
    for (found, expected) in found.iter().zip(&expected) {
        assert_alike(found, expected);
    }
}

/// The device goes away after the seventh step: an error that says so, and a run that goes on from its checkpoint on the device
/// opened anew, to the numbers of one that was never disturbed.
#[test]
fn a_lost_device_is_an_error_and_the_run_goes_on_from_its_checkpoint() {
    if gpu().is_none() {
        return;
    }
    let small = SmallRun::new();
    let config = small.config(&["train.steps=12", "train.log_every=1"]);
    run(&config, &small.path("whole"), gpu().unwrap().device, false);
    let alone = open_alone(DeviceChoice::Gpu).unwrap();
    let ended = try_in_this_process(&config, &small.path("lost"), alone.device.clone(), false, &mut |event, _| {
        if matches!(event, TrainEvent::Progress { step: 7, .. }) {
            lose(&alone.device);
        }
    });
    let error = ended.expect_err("the device is gone");
    assert!(matches!(error, Error::Device { source: DeviceFailure::Lost(_), .. }), "{error:?}");
    assert!(error.to_string().contains("step 8: the device was lost"), "{error}");
    let again = reopen(&alone).unwrap();
    run(&config, &small.path("lost"), again.device, true);
    assert_eq!(small.metrics_text("lost"), small.metrics_text("whole"));
}

#[test]
fn a_device_without_memory_is_an_error_of_its_own() {
    if gpu().is_none() {
        return;
    }
    let small = SmallRun::new();
    let config = small.config(&["train.steps=4"]);
    let alone = open_alone(DeviceChoice::Gpu).unwrap();
    limit_memory(&alone.device, 100);
    let ended = try_in_this_process(&config, &small.path("run"), alone.device, false, &mut |_, _| {});
    let error = ended.expect_err("there is no memory");
    assert!(matches!(error, Error::Device { source: DeviceFailure::OutOfMemory(_), .. }), "{error:?}");
}

/// `--device gpu --profile`, as a user starts it; a software adapter is checked, taken and warned of.
#[test]
fn a_run_says_where_its_time_goes() {
    if gpu().is_none() {
        return;
    }
    let small = SmallRun::new();
    let mut arguments = small.arguments_on("gpu", "profiled", &["train.steps=4"]);
    arguments.push("--profile".to_owned());
    let stderr = program::run(arguments).expect_success().stderr;
    let told = stderr.lines().find(|line| line.contains("profile.json")).expect("where the profile lies");
    assert!(!told.contains("warning"), "{told}");
    let profile = std::fs::read(small.path("profiled/profile.json")).unwrap();
    let profile: serde_json::Value = serde_json::from_slice(&profile).unwrap();
    let kernels = profile["kernels"].as_array().unwrap();
    let launches = |stem: &str| {
        let kernel = kernels.iter().find(|kernel| kernel["kernel"] == format!("electra::{stem}"));
        kernel.unwrap_or_else(|| panic!("{stem} is missing"))["launches"].as_u64().unwrap()
    };
    // Two networks of one layer, two micro-batches.
    assert_eq!(launches("attention_fwd"), 4);
    assert_eq!(launches("adam_update"), 1);
    assert!(profile["launches"].as_u64().unwrap() > 50 && profile["seconds"].as_f64().unwrap() > 0.0);
}
