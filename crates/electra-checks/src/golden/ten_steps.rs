//! Ten training steps with the original's optimizer, by the very loop that pre-trains: a run that computes the recorded batches
//! and samples again, from the recorded networks.

use std::path::Path;

use burn::tensor::Device;
use electra_data::Tokenizer;
use electra_model::ElectraConfig;
use electra_train::config::TrainConfig;
use electra_train::pretraining::Pretraining;
use electra_train::run::{Checkpoint, MemorySink, Run};
use electra_train::{MicroBatch, Plan, RecordedStep, Recording, RunConfig, data};
use serde_json::Value;

use super::compare::{LOSS_TOLERANCE, PARAMETER_TOLERANCE, assert_close, assert_gradient_close, slack};
use super::folder::{Folder, Pair, batch_of, fixture_name};
use super::tensors::Tensors;

/// # Panics
/// If a number is another one than PyTorch's.
pub async fn ten_steps(folder: &Folder, device: &Device) {
    let tensors = folder.tensors("train10.safetensors");
    let record = folder.json("train10.json");
    let expected = record["steps"].as_array().expect("steps");
    let recorded = |step| {
        let (batch, sampled_ids) = batch_of(&tensors, Some(step));
        RecordedStep { batch, sampled_ids }
    };
    let steps: Vec<RecordedStep> = (0..expected.len()).map(recorded).collect();
    let networks = Pair::of(folder, &Device::flex()).networks;
    let tokenizer = tokenizer(&networks.discriminator);
    let mut config = RunConfig { train: train_config(&record["optimizer"], &steps[0]), ..RunConfig::default() };
    let data = data::in_memory(&mut config, &tokenizer, "golden", "w7 w8\nw9 w10").expect("two lines");
    let recording = Recording { networks, steps };
    let plan =
        || Plan::of_recording(&config, recording.clone(), data.special, device).expect("networks that can be built");
    let memory = || MemorySink::new(|| 0.0);

    // A run that is paused before its first step, and resumed with the stored networks in place of fresh ones.
    let fresh = Run::begin(Pretraining::begin(plan(), data.clone()), memory()).expect("a run");
    let mut start = fresh.finish().await.expect("a device that works").sink.checkpoint.expect("saved at its end");
    for parameter in &mut start.parameters {
        parameter.values = folder.stored(&parameter.name).values.clone();
    }
    let place = Path::new("golden");
    let resumed = Pretraining::resume(plan(), data.clone(), start, place).expect("its own checkpoint");
    let mut run = Run::resume(resumed, memory()).expect("a run");
    for (i, expected) in expected.iter().enumerate() {
        run.advance().await.expect("a step that goes well");
        let row = run.sink().rows.last().expect("a row each step");
        let near = |name: &str, found: Option<f64>, tolerance: f64| {
            let (found, expected) = (found.expect(name), expected[name].as_f64().expect(name));
            let is_near = (found - expected).abs() <= tolerance * slack();
            assert!(is_near, "{} step {i} {name}: {found} instead of {expected}", folder.name);
        };
        assert_eq!(row.step, i as u64 + 1);
        near("lr", row.learning_rate, 1e-12);
        near("mlm_loss", row.generator_loss, LOSS_TOLERANCE);
        near("disc_loss", row.discriminator_loss, LOSS_TOLERANCE);
        near("total_loss", row.loss, LOSS_TOLERANCE);
        near("grad_norm", row.gradient_norm, 1e-4 * expected["grad_norm"].as_f64().expect("a norm"));
        if i == 1 {
            compare_parameters(&tensors, "after2.", run.sink().checkpoint.as_ref().expect("saved every other step"));
        }
    }
    let last = run.sink().checkpoint.as_ref().expect("saved every other step");
    compare_parameters(&tensors, "final.", last);
    // Moments are sums of gradients: held to the gradients' tolerance.
    for moment in &last.optimizer {
        let (kind, name) = moment.name.split_once('.').expect("m. or v.");
        let name = format!("adam_{kind}.{}", fixture_name(name));
        assert_gradient_close(&name, &moment.values, &tensors.floats_at(&name, None));
    }
}

fn compare_parameters(tensors: &Tensors, prefix: &str, found: &Checkpoint) {
    for parameter in &found.parameters {
        let name = format!("{prefix}{}", fixture_name(&parameter.name));
        assert_close(&name, &parameter.values, &tensors.floats_at(&name, None), PARAMETER_TOLERANCE, 0.0);
    }
}

fn train_config(optimizer: &Value, first: &RecordedStep) -> TrainConfig {
    let number = |name: &str, default: f64| optimizer.get(name).and_then(Value::as_f64).unwrap_or(default);
    let count = |name: &str| optimizer[name].as_u64().expect("a number of steps");
    TrainConfig {
        steps: count("num_train_steps"),
        warmup_steps: count("warmup_steps"),
        learning_rate: optimizer["peak_lr"].as_f64().expect("a rate"),
        beta1: number("beta1", 0.9),
        beta2: number("beta2", 0.999),
        epsilon: number("eps", 1e-6),
        weight_decay: number("weight_decay", 0.01),
        clip_norm: number("clip_global_norm", 1.0),
        batch_size: first.batch.batch,
        micro_batch: MicroBatch::Size(first.batch.batch),
        sequence_length: first.batch.seq,
        log_every: 1,
        checkpoint_every: 2,
        validate_every: 0,
        ..TrainConfig::default()
    }
}

/// A tokenizer of as many entries as the networks have words: token number n is written `wn`.
fn tokenizer(config: &ElectraConfig) -> Tokenizer {
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(str::to_owned);
    let words = (special.len()..config.vocab_size).map(|number| format!("w{number}"));
    let tokens: Vec<String> = special.iter().cloned().chain(words).collect();
    Tokenizer::from_vocab_bytes(tokens.join("\n").as_bytes(), true).expect("a whole vocabulary")
}
