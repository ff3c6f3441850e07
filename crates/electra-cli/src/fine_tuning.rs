//! A fine-tuning as the commands do it: from its description to a folder with a network and its scores.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use electra_data::{ImportOptions, Tokenizer, atomic};
use electra_kernels::device::{DeviceChoice, OpenDevice};
use electra_model::ElectraConfig;
use electra_task::Scores;
use electra_task::task::TaskData;
use electra_task::task::custom::Decision;
use electra_train::exchange::hugging_face::paper_head::in_a_known_class;
use electra_train::exchange::hugging_face::{self, Network, TaskRecord};
use electra_train::finetuning::{
    FineTuneConfig, FineTuneOptions, FineTunePlan, FineTuned, FineTuningData, Results, SeedResult, finetune,
};
use electra_train::{HostTensor, ModelCard, RunFolder, TrainEvent, data};
use serde::{Deserialize, Serialize};

use crate::exit::End;
use crate::signals::stop_switch;
use crate::task_files::{TaskFiles, task_named};
use crate::terminal::{HEADING_STYLE, Terminal};
use crate::training_display::TrainingDisplay;
use crate::verification::open_checked;

/// Name of the file that --resume reads.
pub(crate) const JOB: &str = "job.toml";
/// Name of the scores.
pub(crate) const RESULTS: &str = "results.json";

/// Everything that a call asked for, so that --resume needs no more than the folder.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Job {
    pub model: PathBuf,
    pub data: PathBuf,
    pub seeds: u64,
    pub from_scratch: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    pub config: FineTuneConfig,
    pub files: TaskFiles,
}

/// A network's encoder with its tokenizer.
struct Base {
    config: ElectraConfig,
    tensors: Vec<HostTensor>,
    tokenizer: Tokenizer,
}

fn load_base(folder: &Path, terminal: &Terminal) -> anyhow::Result<Base> {
    let encoder = hugging_face::import_encoder(folder)?;
    encoder.notices.iter().for_each(|notice| terminal.warn(notice));
    terminal.detail(encoder.summary());
    let Network { config, tensors, .. } = encoder.network;
    let imported = Tokenizer::import(folder, &ImportOptions::default())?;
    imported.notices.iter().for_each(|notice| terminal.warn(notice));
    hugging_face::check_tokenizer_fits(&imported.tokenizer, &config, folder)?;
    Ok(Base { config, tensors, tokenizer: imported.tokenizer })
}

/// What a job needs and every one of its runs shares.
struct Prepared<'a> {
    job: &'a Job,
    base: Base,
    task_data: TaskData,
    data: FineTuningData,
    device: OpenDevice,
}

/// Does a job in `out`; `resume`: goes on with what is there.
pub(crate) fn work(
    job: &Job,
    out: &Path,
    device: DeviceChoice,
    resume: bool,
    terminal: &Terminal,
) -> anyhow::Result<End> {
    let task = task_named(&job.config.task)?;
    let device = open_checked(device, terminal)?;
    let base = load_base(&job.model, terminal)?;
    let task_data = job.files.load_from(&job.data, task, job.config.seed, terminal)?;
    let Some(train) = &task_data.train else {
        bail!("{}: there is nothing to train on, only what can be judged or predicted", job.data.display());
    };
    if train.examples.is_empty() {
        bail!("{}: {} holds no example", job.data.display(), train.name);
    }
    let data = FineTuningData::prepare(&task_data, &job.config, &base.tokenizer)?;
    data.notes.iter().for_each(|note| terminal.note(note));
    if data.train.features.is_empty() {
        bail!("{}: no example has a label", job.data.display());
    }
    if data.dev.is_empty() {
        terminal.warn("there is nothing to compare checkpoints on: the last weights are kept, and no score is known");
    }
    let folder = RunFolder::open(out)?;
    let text = toml::to_string_pretty(job).expect("plain data");
    atomic::write(&out.join(JOB), text.as_bytes())?;

    let prepared = Prepared { job, base, task_data, data, device };
    let mut results = prepared.results();
    let mut best: Option<(f64, FineTuned)> = None;
    for number in 0..job.seeds {
        let config = FineTuneConfig { seed: job.config.seed + number, ..job.config.clone() };
        let place = if job.seeds == 1 { out.to_owned() } else { out.join(format!("seed_{}", config.seed)) };
        let Some(tuned) = prepared.train(&config, &place, resume, terminal)? else { return Ok(stopped(out, terminal)) };
        results.add(prepared.seed_result(&config, &tuned));
        let score = tuned.judged.first().and_then(Scores::primary).map_or(0.0, |(_, value)| value);
        if best.as_ref().is_none_or(|(known, _)| score > *known) {
            best = Some((score, tuned));
        }
    }
    if job.from_scratch {
        let config = FineTuneConfig { from_scratch: true, ..job.config.clone() };
        let place = out.join("from_scratch");
        let Some(tuned) = prepared.train(&config, &place, resume, terminal)? else { return Ok(stopped(out, terminal)) };
        if let Some(scores) = tuned.judged.into_iter().next() {
            results.baselines.insert("from_scratch".to_owned(), scores);
        }
    }
    let (_, tuned) = best.context("--seeds 0: at least one is needed")?;
    prepared.export(out, &tuned, &results)?;
    let text = serde_json::to_string_pretty(&results).expect("plain data");
    atomic::write(&out.join(RESULTS), format!("{text}\n").as_bytes())?;
    drop(folder);
    show(&results, terminal)?;
    terminal.note(format_args!("wrote {} and {}", out.display(), out.join(RESULTS).display()));
    terminal.note(format_args!("try it: electra predict --model {} \"...\"", out.display()));
    Ok(End::Done)
}

/// What is said of a job that was stopped.
pub(crate) fn stopped(out: &Path, terminal: &Terminal) -> End {
    terminal.note(format_args!("go on with: electra finetune --resume --out {}", out.display()));
    End::Stopped
}

impl Prepared<'_> {
    /// One run; `None` where it was stopped.
    fn train(
        &self,
        config: &FineTuneConfig,
        place: &Path,
        resume: bool,
        terminal: &Terminal,
    ) -> anyhow::Result<Option<FineTuned>> {
        std::fs::create_dir_all(place).with_context(|| format!("{}: cannot be created", place.display()))?;
        let plan = FineTunePlan::new(
            config,
            &self.base.config,
            &self.task_data.kind,
            self.base.tokenizer.special(),
            &self.device.device,
            &self.device.description,
        );
        let options = FineTuneOptions { folder: place, resume, stop: stop_switch() };
        let mut display = TrainingDisplay::new(terminal);
        let mut watch = |event: &TrainEvent<_>| display.show(event);
        let tuned = finetune(plan, self.data.clone(), &self.base.tensors, &options, &mut watch)?;
        Ok((!tuned.interrupted).then_some(tuned))
    }

    /// Baselines, and no run yet.
    fn results(&self) -> Results {
        let dev = self.data.dev.first();
        Results {
            task: self.job.config.task.clone(),
            set: dev.map(|dev| dev.name.clone()).unwrap_or_default(),
            examples: [self.data.examples.len() as u64, dev.map_or(0, |dev| dev.examples.len() as u64)],
            baselines: self.data.baselines(self.job.config.seed),
            ..Results::default()
        }
    }

    fn seed_result(&self, config: &FineTuneConfig, tuned: &FineTuned) -> SeedResult {
        let mut sets = self.data.dev.iter().zip(&tuned.judged).map(|(dev, scores)| (dev.name.clone(), scores.clone()));
        let metric = sets.next().map(|(_, scores)| scores).unwrap_or_default();
        SeedResult {
            seed: config.seed,
            metric,
            other_sets: sets.collect::<BTreeMap<String, Scores>>(),
            steps: tuned.state.step,
            best_step: tuned.state.best_step.unwrap_or(tuned.state.step),
        }
    }

    fn export(&self, out: &Path, tuned: &FineTuned, results: &Results) -> anyhow::Result<()> {
        let config = &self.job.config;
        let threshold = tuned.judged.first().and_then(|scores| scores.get("best_f1_thresh"));
        let record = TaskRecord {
            task: config.task.clone(),
            kind: self.task_data.kind.clone(),
            head: config.head,
            max_length: config.max_length,
            long_texts: config.long_texts,
            stride: config.stride,
            columns: self.task_data.decision.clone().map(|decision| Decision { sentences: Vec::new(), ..decision }),
            no_answer_threshold: threshold.filter(|value| value.is_finite()),
        };
        let network = Network {
            architecture: record.architecture(),
            config: self.base.config.clone(),
            classifier_dropout: Some(config.dropout),
            task: Some(record),
            tensors: tuned.tensors.clone(),
        };
        let card = self.card(out, results);
        let network = in_a_known_class(network);
        hugging_face::export(out, &network, Some(&self.job.model), &card)?;
        Ok(())
    }

    fn card(&self, out: &Path, results: &Results) -> ModelCard {
        let config = &self.job.config;
        let files: Vec<&str> =
            self.task_data.train.iter().flat_map(|train| &train.files).map(|name| base_name(name)).collect();
        let text = |name: &str, value: &dyn std::fmt::Display| (name.to_owned(), value.to_string());
        let mut training = vec![
            text("task", &config.task),
            text("head", &config.head.name()),
            text("epochs", &config.epochs),
            text("batch size", &config.batch_size),
            text("peak learning rate", &config.learning_rate),
            text("layer-wise decay", &config.layer_decay),
            text("longest text", &format_args!("{} tokens", config.max_length)),
        ];
        for (name, spread) in &results.spread {
            let runs = results.seeds.len();
            let said = format!("{:.4} to {:.4} over {runs} seeds", spread.least, spread.greatest);
            training.push((format!("spread of {name}"), said));
        }
        let of = |scores: &Scores, prefix: &str| {
            let named = scores.iter().map(|(name, value)| (format!("{prefix}{name}"), value));
            named.collect::<Vec<_>>()
        };
        let mut metrics = of(&results.metric, "");
        for (name, scores) in &results.baselines {
            metrics.extend(of(scores, &format!("{name}: ")));
        }
        ModelCard {
            name: out.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            license: self.job.license.clone(),
            corpus: Some(format!("fine-tuned on {} examples of {}", results.examples[0], files.join(", "))),
            tokenizer: Some(data::describe(&self.base.tokenizer)),
            training,
            metrics,
            ..ModelCard::default()
        }
    }
}

fn base_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// Scores beside those that must be beaten.
fn show(results: &Results, terminal: &Terminal) -> anyhow::Result<()> {
    let columns: Vec<(&str, usize)> = results.metric.iter().map(|(name, _)| (name, (name.len() + 2).max(12))).collect();
    let line = |what: &str, scores: &Scores| {
        let cells = columns.iter().map(|(name, width)| match scores.get(name).filter(|value| value.is_finite()) {
            Some(value) => format!("{value:>width$.4}"),
            None => format!("{:>width$}", "-"),
        });
        format!("{what:<20}{}", cells.collect::<String>())
    };
    let heading: String = columns.iter().map(|(name, width)| format!("{name:>width$}")).collect();
    terminal.result(format_args!("{HEADING_STYLE}{:<20}{heading}{HEADING_STYLE:#}", results.set))?;
    for seed in results.seeds.iter().filter(|_| results.seeds.len() > 1) {
        terminal.result(line(&format!("seed {}", seed.seed), &seed.metric))?;
    }
    let what = if results.seeds.len() > 1 { "median" } else { "fine-tuned" };
    terminal.result(line(what, &results.metric))?;
    for (name, scores) in &results.baselines {
        terminal.result(line(&name.replace('_', " "), scores))?;
    }
    Ok(())
}
