//! A dataset of generated text and runs on it that take a second.
//!
//! The text has few words and a fixed grammar, so that even these networks learn something of it.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use electra_train::pretraining::{Outcome, RunOptions, pretrain};
use electra_train::{RunConfig, RunFolder, TrainEvent, data};
use tempfile::TempDir;

use super::program::{Run, run};
use super::soak::SMALL_NETWORK;

/// A temporary folder with `text.txt`, `tokenizer/` and `data/`.
pub(crate) struct SmallRun {
    folder: TempDir,
}

/// Settings of every run here, beside the small network's; later `--set`s count. Dropout is on.
const SETTINGS: &[&str] = &[
    "model.hidden_dropout_prob=0.1",
    "model.attention_probs_dropout_prob=0.1",
    "train.steps=12",
    "train.log_every=3",
    "train.validate_every=5",
    "train.validation_batches=2",
    "train.checkpoint_every=4",
];

impl SmallRun {
    /// Text, tokenizer and dataset, made by the program.
    pub(crate) fn new() -> Self {
        let small = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        std::fs::write(small.path("text.txt"), text(60)).expect("the text is written");
        small.build("tokenizer", "data", 300);
        small
    }

    /// Makes one more tokenizer and dataset of `text.txt`.
    pub(crate) fn build(&self, tokenizer: &str, data: &str, vocab_size: usize) {
        let (text, tokenizer, data) = (self.shown("text.txt"), self.shown(tokenizer), self.shown(data));
        let size = vocab_size.to_string();
        run(["-q", "tokenizer", "train", "--input", &text, "--vocab-size", &size, "--out", &tokenizer])
            .expect_success();
        run(["-q", "data", "build", "--input", &text, "--tokenizer", &tokenizer, "--out", &data]).expect_success();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// As text, for a command line.
    pub(crate) fn shown(&self, name: &str) -> String {
        self.path(name).to_str().expect("temporary folders have plain names").to_owned()
    }

    /// The command line that trains into `out`, with `sets` laid over the settings of all runs here.
    pub(crate) fn arguments(&self, out: &str, sets: &[&str]) -> Vec<String> {
        self.arguments_on("cpu", out, sets)
    }

    /// As [`SmallRun::arguments`], on another device.
    pub(crate) fn arguments_on(&self, device: &str, out: &str, sets: &[&str]) -> Vec<String> {
        let mut arguments = vec!["pretrain", "--preset", "nano", "--device", device, "--data"];
        let (data, out) = (self.shown("data"), self.shown(out));
        arguments.extend([&*data, "--out", &*out]);
        arguments.extend(SMALL_NETWORK.iter().chain(SETTINGS).chain(sets).flat_map(|set| ["--set", set]));
        arguments.into_iter().map(str::to_owned).collect()
    }

    /// metrics.jsonl of the run in `out`: equal for equal runs.
    pub(crate) fn metrics_text(&self, out: &str) -> String {
        std::fs::read_to_string(self.path(out).join("metrics.jsonl")).expect("metrics.jsonl is there")
    }

    /// Trains into `out`.
    pub(crate) fn pretrain(&self, out: &str, sets: &[&str]) -> Run {
        run(self.arguments(out, sets))
    }

    /// Goes on with the run in `out`, as a user does who has forgotten its settings.
    pub(crate) fn resume(&self, out: &str) -> Run {
        run(["pretrain", "--resume", "--out", &self.shown(out)])
    }

    /// The configuration that [`SmallRun::pretrain`] resolves, for runs within the test's process.
    pub(crate) fn config(&self, sets: &[&str]) -> electra_train::RunConfig {
        let sets: Vec<String> = SMALL_NETWORK.iter().chain(SETTINGS).chain(sets).map(|set| (*set).to_owned()).collect();
        let mut config = electra_train::config::resolve(Some("nano"), None, &sets).expect("good settings");
        config.device = "cpu".to_owned();
        config.data.dir = self.path("data");
        config
    }
}

/// `documents` documents of eight sentences, separated by blank lines; the same each time.
pub(crate) fn text(documents: usize) -> String {
    const ADJECTIVES: [&str; 8] = ["small", "big", "old", "young", "red", "green", "quiet", "happy"];
    const NOUNS: [&str; 10] =
        ["dog", "cat", "bird", "fish", "horse", "child", "teacher", "farmer", "sailor", "painter"];
    const VERBS: [&str; 7] = ["sees", "finds", "likes", "draws", "follows", "meets", "hears"];
    let mut state = 1u64;
    let mut draw = |words: &[&'static str]| {
        // Knuth's MMIX generator: its upper bits are good enough for a word list.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        words[(state >> 33) as usize % words.len()]
    };
    let mut text = String::new();
    for _ in 0..documents {
        for _ in 0..8 {
            let (first, noun, verb) = (draw(&ADJECTIVES), draw(&NOUNS), draw(&VERBS));
            let (second, object, place) = (draw(&ADJECTIVES), draw(&NOUNS), draw(&NOUNS));
            text.push_str(&format!("The {first} {noun} {verb} the {second} {object} near the {place}.\n"));
        }
        text.push('\n');
    }
    text
}

/// The rows of a run's metrics.jsonl.
pub(crate) fn metrics(run: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(run.join("metrics.jsonl")).expect("metrics.jsonl is there");
    text.lines().map(|line| serde_json::from_str(line).expect("a row is JSON")).collect()
}

/// Names, types, shapes and bytes of a safetensors file, by name.
pub(crate) fn tensors(path: &Path) -> Vec<(String, safetensors::Dtype, Vec<usize>, Vec<u8>)> {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file = safetensors::SafeTensors::deserialize(&bytes).expect("a whole safetensors file");
    let mut tensors: Vec<_> = file
        .iter()
        .map(|(name, view)| (name.to_owned(), view.dtype(), view.shape().to_vec(), view.data().to_vec()))
        .collect();
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    tensors
}

/// Runs `config` in `folder` without a process of its own; `watch` gets every event, and the switch that stops the run.
pub(crate) fn run_in_this_process(
    config: &RunConfig,
    folder: &Path,
    device: Device,
    resume: bool,
    watch: &mut dyn FnMut(&TrainEvent, &AtomicBool),
) -> Outcome {
    try_in_this_process(config, folder, device, resume, watch).unwrap()
}

/// As [`run_in_this_process`], of a run that may fail.
pub(crate) fn try_in_this_process(
    config: &RunConfig,
    folder: &Path,
    device: Device,
    resume: bool,
    watch: &mut dyn FnMut(&TrainEvent, &AtomicBool),
) -> electra_train::Result<Outcome> {
    let mut config = config.clone();
    let data = data::open(&mut config).unwrap();
    let stop = AtomicBool::new(false);
    let options = RunOptions {
        folder: RunFolder::open(folder).unwrap(),
        resume,
        init_from: None,
        device,
        device_description: "a test's".to_owned(),
        stop: &stop,
        license: None,
        profile: false,
    };
    pretrain(&config, data, &options, &mut |event| watch(event, &stop))
}
