//! Fifty steps of the preset `nano` on a text in memory, as a page makes them: vocabulary, dataset, run, validation, a pause, a
//! checkpoint of bytes, and the rest. The same code natively on the CPU says what the numbers must be.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use electra_data::{Tokenizer, TrainOptions};
use electra_train::pretraining::Pretraining;
use electra_train::run::{Advance, Checkpoint, MemorySink, Run};
use electra_train::{MetricsRow, Plan, RunConfig, config, data};
use serde_json::Value;

/// Steps of the run.
const STEPS: u64 = 50;
/// Where it is paused: between two rows, so that half a row's sums go through the checkpoint.
const PAUSED_AFTER: u64 = 27;
/// The preset's networks and optimizer; batches that a software adapter gets through, and every kind of row.
const SETTINGS: [&str; 8] = [
    "train.steps=50",
    "train.batch_size=4",
    "train.micro_batch=4",
    "train.sequence_length=32",
    "train.log_every=10",
    "train.validate_every=25",
    "train.validation_batches=2",
    "train.checkpoint_every=1000",
];
/// How far a number may be from the native CPU's, relative to it.
pub const TOLERANCE: f64 = 1e-4;

/// What a run came to.
#[derive(Debug)]
pub struct Outcome {
    /// Of training and of held-out text.
    pub rows: Vec<MetricsRow>,
    /// Of the files that the run went through while it was paused; 0 where it was not.
    pub checkpoint_bytes: usize,
}

/// The whole run on `device`, paused and resumed on the way where `pauses`.
///
/// # Panics
/// If something goes wrong.
pub async fn nano(device: &Device, pauses: bool, clock: fn() -> f64) -> Outcome {
    let text = text();
    let mut config = configuration();
    let options = TrainOptions { vocab_size: config.model.vocab_size, ..TrainOptions::default() };
    let tokenizer = Tokenizer::train_on_text(&text, &options).expect("a vocabulary").tokenizer;
    let data = data::in_memory(&mut config, &tokenizer, "made up", &text).expect("enough text");
    let plan = Plan::new(&config, data.special, device).expect("networks that can be built");
    let begun = Run::begin(Pretraining::begin(plan.clone(), data.clone()), MemorySink::new(clock)).expect("a run");
    if !pauses {
        return Outcome { rows: until(STEPS, begun).await.rows, checkpoint_bytes: 0 };
    }
    let paused = until(PAUSED_AFTER, begun).await;
    // All that is left of the run are the files that a page would store, and its rows.
    let files = files_of(paused.checkpoint.as_ref().expect("saved when it was paused"));
    let read = |name: &'static str| Ok((PathBuf::from(name), files[name].clone()));
    let saved = Checkpoint::read(read).expect("its own files");
    let mut sink = MemorySink::new(clock);
    sink.rows = paused.rows;
    let resumed = Pretraining::resume(plan, data, saved, Path::new("memory")).expect("its own checkpoint");
    let resumed = Run::resume(resumed, sink).expect("a run");
    let checkpoint_bytes = files.values().map(Vec::len).sum();
    Outcome { rows: until(STEPS, resumed).await.rows, checkpoint_bytes }
}

fn configuration() -> RunConfig {
    config::resolve(Some("nano"), None, &SETTINGS.map(str::to_owned)).expect("good settings")
}

async fn until(steps: u64, mut run: Run<Pretraining, MemorySink>) -> MemorySink {
    while run.step() < steps && run.advance().await.expect("a step that goes well") == Advance::Stepped {}
    run.finish().await.expect("a run that can be saved").sink
}

fn files_of(checkpoint: &Checkpoint) -> BTreeMap<&'static str, Vec<u8>> {
    let mut files = BTreeMap::new();
    let write = |name, bytes: &[u8]| {
        files.insert(name, bytes.to_vec());
        Ok(())
    };
    checkpoint.write(write).expect("memory takes it");
    files
}

/// Rows as text, for who compares them elsewhere.
///
/// # Panics
/// Never: rows are plain data.
pub fn to_json(rows: &[MetricsRow]) -> String {
    serde_json::to_string(rows).expect("plain data")
}

/// The greatest relative difference of a number of `rows` from the one that `expected` (of [`to_json`]) has in its place.
///
/// # Panics
/// If a row or a number is missing, or one differs by more than [`TOLERANCE`].
pub fn compare(rows: &[MetricsRow], expected: &str) -> f64 {
    let expected: Vec<BTreeMap<String, Value>> = serde_json::from_str(expected).expect("rows");
    let found: Vec<BTreeMap<String, Value>> = serde_json::from_str(&to_json(rows)).expect("rows");
    assert_eq!(found.len(), expected.len(), "number of rows");
    let mut worst = 0.0f64;
    for (found, expected) in found.iter().zip(&expected) {
        let place = format!("step {}, {}", expected["step"], expected["split"]);
        assert!(found.keys().eq(expected.keys()), "{place}: {found:?} instead of {expected:?}");
        // What a step costs is counted as each device computes it.
        for (name, expected) in expected.iter().filter(|(name, _)| *name != "flops") {
            let (Some(found), Some(expected)) = (found[name].as_f64(), expected.as_f64()) else {
                assert_eq!(&found[name], expected, "{place}: {name}");
                continue;
            };
            let difference = (found - expected).abs() / expected.abs().max(f64::MIN_POSITIVE);
            assert!(
                difference <= TOLERANCE,
                "{place}: {name} is {found} instead of {expected}, off by {difference:.1e}"
            );
            worst = worst.max(difference);
        }
    }
    worst
}

/// Some 60 kB of made-up text: sentences of words whose frequencies fall as in a language, in paragraphs; the same each time.
fn text() -> String {
    const SYLLABLES: [&str; 16] =
        ["ba", "de", "fi", "go", "hu", "ka", "le", "mi", "no", "pu", "ra", "se", "ti", "vo", "wen", "shar"];
    let mut state = 1u64;
    let mut draw = |below: u64| {
        // Knuth's MMIX generator: its upper bits are good enough for a text.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut text = String::new();
    for line in 1..=1000 {
        for _ in 0..4 + draw(9) {
            // A bound that is drawn itself makes small numbers frequent.
            let bound = 1 + draw(3000);
            let mut word = draw(bound) + 1;
            while word > 0 {
                text.push_str(SYLLABLES[word as usize % SYLLABLES.len()]);
                word /= SYLLABLES.len() as u64;
            }
            text.push(' ');
        }
        text.push_str(if line % 8 == 0 { ".\n\n" } else { ".\n" });
    }
    text
}
