//! `electra finetune`: teaches a pre-trained network a task, and says how good it is beside what must be beaten.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use electra_data::{ImportOptions, Tokenizer, atomic};
use electra_kernels::Precision;
use electra_kernels::device::{DeviceChoice, OpenDevice};
use electra_model::ElectraConfig;
use electra_model::head::HeadStyle;
use electra_task::baseline::baselines;
use electra_task::encode::LongTexts;
use electra_task::task::custom::Decision;
use electra_task::task::{Task, TaskData, find};
use electra_task::{Files, Prediction, Scores, score};
use electra_train::exchange::hugging_face::{self, Network, TaskRecord};
use electra_train::finetuning::{
    FineTuneConfig, FineTuneOptions, FineTunePlan, FineTuned, FineTuningData, Results, SeedResult, finetune,
};
use electra_train::{HostTensor, LayerwiseExponent, ModelCard, RunFolder, TrainEvent, data};
use serde::{Deserialize, Serialize};

use crate::exit::End;
use crate::model_folder;
use crate::preparation::{check_folder, parse_precision};
use crate::signals::stop_switch;
use crate::task_files::{TaskFiles, task_named};
use crate::terminal::{HEADING_STYLE, Terminal};
use crate::training_display::TrainingDisplay;
use crate::verification::open_checked;

const EXAMPLES: &str = "\
Examples:
  electra finetune --model runs/small --task sst2 --data glue/SST-2 --out tuned/sst2
  electra finetune --model runs/small --task csv --data reviews.csv --out tuned/reviews
  electra finetune --model runs/small --task csv --data train.tsv --dev dev.tsv --text-column body --label-column stars \\
      --kind regression --out tuned/stars
  electra finetune --model runs/small --task glue --data glue --out tuned/glue      every task whose data is there
  electra finetune --model tuned/mnli --task rte --data glue/RTE --seeds 5 --out tuned/rte
  electra finetune --model runs/small --task squad1 --data SQuAD --head paper --out tuned/squad
  electra finetune --resume --out tuned/sst2                  goes on where it was stopped or killed

Rates, layer-wise decay, epochs and batch are the paper's for a network of this size unless they are given. The folder
then holds the best network by its first dev score, in Hugging Face's layout (with --head hf transformers loads it), and
results.json: scores, every seed's, and those of the majority class and a linear model of words. Ctrl-C saves and stops.
What comes next: electra eval, electra predict, electra export --format onnx.";

/// Name of the file that --resume reads.
const JOB: &str = "job.toml";
/// Name of the scores.
pub(crate) const RESULTS: &str = "results.json";

/// Fine-tune a pre-trained network on a task
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The network: a run's folder, an exported or imported one, or one that was fine-tuned on another task
    #[arg(long, visible_alias = "init-from", value_name = "DIR")]
    model: Option<PathBuf>,
    #[command(flatten)]
    files: TaskFiles,
    /// Where to write the network, results.json and the run
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Go on where an earlier call stopped; everything else is remembered
    #[arg(long)]
    resume: bool,
    /// Train so many times, with this and the next seeds; the median is what counts
    #[arg(long, value_name = "N", default_value_t = 1)]
    seeds: u64,
    /// Also train the same network from random weights, to compare
    #[arg(long)]
    from_scratch: bool,
    /// auto, cpu, gpu or gpu:N; `auto` takes a GPU if there is one, else the CPU
    #[arg(long, default_value_t = DeviceChoice::Auto)]
    device: DeviceChoice,
    /// Licence to name in the model card, such as apache-2.0
    #[arg(long)]
    license: Option<String>,
    #[command(flatten)]
    settings: Settings,
}

/// What is said otherwise than the paper does.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Training")]
struct Settings {
    /// Times that the training set is read [default: the task's in the paper: 3, RTE and STS-B 10, SQuAD 2]
    #[arg(long, value_name = "N")]
    epochs: Option<f64>,
    /// Examples of a step [default: 32]
    #[arg(long, value_name = "N")]
    batch_size: Option<usize>,
    /// Examples of a forward pass [default: what runs side by side best]
    #[arg(long, value_name = "N")]
    micro_batch: Option<usize>,
    /// Peak of the schedule [default: 3e-4 small, 1e-4 base, 5e-5 large]
    #[arg(long, value_name = "RATE")]
    learning_rate: Option<f64>,
    /// Share of the steps in which the rate rises [default: 0.1]
    #[arg(long, value_name = "SHARE")]
    warmup: Option<f64>,
    /// Each layer learns so much as fast as the one above it [default: 0.8, large 0.9]
    #[arg(long, value_name = "FACTOR")]
    layer_decay: Option<f64>,
    /// intended: the last layer gets the factor once; reference: twice, as google-research/electra computes it
    #[arg(long, value_name = "WHICH", value_parser = parse_exponent)]
    layer_decay_exponent: Option<LayerwiseExponent>,
    /// Decoupled from the gradient [default: 0]
    #[arg(long, value_name = "RATE")]
    weight_decay: Option<f64>,
    /// Of the encoder and the head [default: 0.1]
    #[arg(long, value_name = "SHARE")]
    dropout: Option<f64>,
    /// hf: transformers' heads, which it loads; paper: google-research/electra's [default: hf]
    #[arg(long, value_name = "STYLE", value_parser = parse_style)]
    head: Option<HeadStyle>,
    /// Tokens of an example, [CLS] and [SEP] included [default: 128, SQuAD 512, or what the network can take]
    #[arg(long, value_name = "N")]
    max_length: Option<usize>,
    /// Longer texts: cut, or windows that overlap by half and whose predictions are averaged [default: cut]
    #[arg(long, value_name = "HOW", value_parser = parse_long_texts)]
    long_texts: Option<LongTexts>,
    /// SQuAD: tokens between the beginnings of two windows [default: 128]
    #[arg(long, value_name = "N")]
    stride: Option<usize>,
    /// Decides the head's first values, the order of the examples, and dropout [default: 42]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Let rare labels count more, so that all count the same together
    #[arg(long)]
    class_weights: bool,
    /// Train on so many examples at most
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Evaluations of an epoch [default: 1]
    #[arg(long, value_name = "N")]
    evaluations_per_epoch: Option<u64>,
    /// Stop after so many evaluations in a row that are no better [default: never]
    #[arg(long, value_name = "N")]
    patience: Option<u64>,
    /// Keep each layer's input alone for the backward pass, on a graphics adapter: less memory, more time
    #[arg(long)]
    recompute: bool,
    /// What matrix products on a graphics adapter read
    #[arg(long, value_name = "f32|f16", value_parser = parse_precision)]
    precision: Option<Precision>,
    /// Steps between rows of metrics.jsonl [default: 20]
    #[arg(long, value_name = "N")]
    log_every: Option<u64>,
}

fn parse_exponent(word: &str) -> Result<LayerwiseExponent, String> {
    match word {
        "intended" => Ok(LayerwiseExponent::Intended),
        "reference" => Ok(LayerwiseExponent::Reference),
        _ => Err("it is intended or reference".to_owned()),
    }
}

fn parse_style(word: &str) -> Result<HeadStyle, String> {
    [HeadStyle::Hf, HeadStyle::Paper].into_iter().find(|style| style.name() == word).ok_or("it is hf or paper".into())
}

fn parse_long_texts(word: &str) -> Result<LongTexts, String> {
    match word {
        "cut" => Ok(LongTexts::Cut),
        "windows" => Ok(LongTexts::Windows),
        _ => Err("it is cut or windows".to_owned()),
    }
}

/// Everything that a call asked for, so that --resume needs no more than the folder.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Job {
    model: PathBuf,
    data: PathBuf,
    seeds: u64,
    from_scratch: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    license: Option<String>,
    config: FineTuneConfig,
    files: TaskFiles,
}

pub(super) fn run(args: Args, terminal: &Terminal) -> anyhow::Result<End> {
    if args.resume {
        let glue: Vec<PathBuf> = glue_folders(&args.out);
        return match glue.as_slice() {
            [] => resume(&args, &args.out, terminal),
            folders => {
                for folder in folders {
                    if resume(&args, folder, terminal)? == End::Stopped {
                        return Ok(End::Stopped);
                    }
                }
                glue_table(&args.out, terminal)
            }
        };
    }
    let task_name = args.files.task.clone().unwrap_or_default();
    if task_name.eq_ignore_ascii_case("glue") {
        return glue(&args, terminal);
    }
    let task = args.files.task()?;
    check_folder(&args.out, false)?;
    let job = job_of(&args, task, &args.out, terminal)?;
    work(&job, &args.out, &args, false, terminal)
}

fn resume(args: &Args, folder: &Path, terminal: &Terminal) -> anyhow::Result<End> {
    let path = folder.join(JOB);
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("{}: there is no fine-tuning to go on with", path.display()))?;
    let job: Job = toml::from_str(&text).with_context(|| format!("{}: it is damaged", path.display()))?;
    work(&job, folder, args, true, terminal)
}

/// The job that `args` describe, for `task`.
fn job_of(args: &Args, task: &'static Task, out: &Path, terminal: &Terminal) -> anyhow::Result<Job> {
    let Some(model) = &args.model else {
        bail!("no network: name its folder with --model (a run's, an exported one, or what electra import wrote)");
    };
    let Some(data) = &args.files.data else { bail!("no data: name the task's folder or file with --data") };
    let folder = model_folder::find(Some(model), "discriminator", terminal)?;
    let network = hugging_face::import_config(&folder)?;
    let is_squad = task.name.starts_with("squad");
    let mut config = FineTuneConfig { task: task.name.to_owned(), ..FineTuneConfig::default() }.for_network(&network);
    config.epochs = task.epochs;
    config.both_orders = task.both_orders;
    config.max_length = if is_squad { 512 } else { 128 }.min(network.max_position_embeddings);
    args.settings.apply(&mut config);
    if config.max_length > network.max_position_embeddings {
        bail!(
            "--max-length {}: the network takes {} tokens at most",
            config.max_length,
            network.max_position_embeddings
        );
    }
    check_settings(&config)?;
    let _ = (out, terminal);
    // As seen from anywhere.
    let whole =
        |path: &Path| path.canonicalize().with_context(|| format!("{}: no such file or folder", path.display()));
    let mut files = args.files.clone();
    files.task = Some(task.name.to_owned());
    files.data = None;
    files.dev = args.files.dev.as_deref().map(whole).transpose()?;
    Ok(Job {
        model: whole(&folder)?,
        data: whole(data)?,
        seeds: args.seeds,
        from_scratch: args.from_scratch,
        license: args.license.clone(),
        config,
        files,
    })
}

impl Settings {
    fn apply(&self, config: &mut FineTuneConfig) {
        macro_rules! set {
            ($($name:ident),*) => { $(if let Some(value) = self.$name { config.$name = value; })* };
        }
        set!(
            epochs,
            batch_size,
            micro_batch,
            learning_rate,
            warmup,
            layer_decay,
            layer_decay_exponent,
            weight_decay,
            dropout,
            head,
            max_length,
            long_texts,
            stride,
            seed,
            limit,
            evaluations_per_epoch,
            patience,
            precision,
            log_every
        );
        config.class_weights |= self.class_weights;
        config.recompute |= self.recompute;
    }
}

fn check_settings(config: &FineTuneConfig) -> anyhow::Result<()> {
    let range = |name: &str, value: f64, low: f64, high: f64| {
        if value.is_finite() && (low..=high).contains(&value) {
            return Ok(());
        }
        bail!("--{name} {value}: it must be between {low} and {high}")
    };
    range("epochs", config.epochs, 1e-6, 10_000.0)?;
    range("batch-size", config.batch_size as f64, 1.0, 65_536.0)?;
    range("learning-rate", config.learning_rate, 0.0, 1.0)?;
    range("warmup", config.warmup, 0.0, 1.0)?;
    range("layer-decay", config.layer_decay, 0.0, 1.0)?;
    range("weight-decay", config.weight_decay, 0.0, 1.0)?;
    range("dropout", config.dropout, 0.0, 0.99)?;
    range("max-length", config.max_length as f64, 4.0, 65_536.0)?;
    range("evaluations-per-epoch", config.evaluations_per_epoch as f64, 1.0, 1e6)?;
    range("log-every", config.log_every as f64, 0.0, 1e9)
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

fn work(job: &Job, out: &Path, args: &Args, resume: bool, terminal: &Terminal) -> anyhow::Result<End> {
    let task = task_named(&job.config.task)?;
    let device = open_checked(args.device, terminal)?;
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
        let score = tuned.judged.first().and_then(|(_, scores)| scores.primary()).map_or(0.0, |(_, value)| value);
        if best.as_ref().is_none_or(|(known, _)| score > *known) {
            best = Some((score, tuned));
        }
    }
    if job.from_scratch {
        let config = FineTuneConfig { from_scratch: true, ..job.config.clone() };
        let place = out.join("from_scratch");
        let Some(tuned) = prepared.train(&config, &place, resume, terminal)? else { return Ok(stopped(out, terminal)) };
        if let Some((_, scores)) = tuned.judged.into_iter().next() {
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

fn stopped(out: &Path, terminal: &Terminal) -> End {
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
        let kind = &self.task_data.kind;
        let mut results = Results {
            task: self.job.config.task.clone(),
            set: self.data.dev.first().map(|dev| dev.name.clone()).unwrap_or_default(),
            examples: [
                self.data.examples.len() as u64,
                self.data.dev.first().map_or(0, |dev| dev.examples.len() as u64),
            ],
            ..Results::default()
        };
        let Some(dev) = self.data.dev.first() else { return results };
        for baseline in baselines(kind, &self.data.examples, self.job.config.seed) {
            let predictions: Vec<Prediction> =
                dev.examples.iter().map(|example| baseline.predict(&example.input)).collect();
            if let Ok(scores) = score(kind, &self.data.metrics, &dev.examples, &predictions) {
                results.baselines.insert(baseline.name().to_owned(), scores);
            }
        }
        results
    }

    fn seed_result(&self, config: &FineTuneConfig, tuned: &FineTuned) -> SeedResult {
        let mut sets =
            self.data.dev.iter().zip(&tuned.judged).map(|(dev, (_, scores))| (dev.name.clone(), scores.clone()));
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
        let threshold = tuned.judged.first().and_then(|(_, scores)| scores.get("best_f1_thresh"));
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
    let names: Vec<&str> = results.metric.iter().map(|(name, _)| name).collect();
    let line = |what: &str, scores: &Scores| {
        let cells = names.iter().map(|name| match scores.get(name).filter(|value| value.is_finite()) {
            Some(value) => format!("{value:>12.4}"),
            None => format!("{:>12}", "-"),
        });
        format!("{what:<20}{}", cells.collect::<String>())
    };
    let heading: String = names.iter().map(|name| format!("{name:>12}")).collect();
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

/// Folders of GLUE's tasks in the folder of a whole GLUE.
fn glue_folders(out: &Path) -> Vec<PathBuf> {
    let tasks = electra_task::task::TASKS.iter().filter(|task| task.in_glue_average || task.name == "wnli");
    tasks.map(|task| out.join(task.name)).filter(|folder| folder.join(JOB).is_file()).collect()
}

/// Every task of GLUE whose data is there, and the table.
fn glue(args: &Args, terminal: &Terminal) -> anyhow::Result<End> {
    let Some(data) = &args.files.data else { bail!("no data: name GLUE's folder with --data") };
    check_folder(&args.out, false)?;
    let tasks = find(&Files::at(data)?);
    if tasks.is_empty() {
        bail!(
            "{}: there are no files of GLUE's tasks in there (CoLA, SST-2, MRPC, STS-B, QQP, MNLI, ...)",
            data.display()
        );
    }
    for task in tasks {
        let out = args.out.join(task.name);
        terminal.note(format_args!("{HEADING_STYLE}{}{HEADING_STYLE:#}: {}", task.title, task.about));
        let job = job_of(args, task, &out, terminal)?;
        if work(&job, &out, args, false, terminal)? == End::Stopped {
            return Ok(stopped(&args.out, terminal));
        }
    }
    glue_table(&args.out, terminal)
}

/// GLUE's average as the ELECTRA paper has it: each task's first score, WNLI left out. A task that is missing voids it.
fn glue_table(out: &Path, terminal: &Terminal) -> anyhow::Result<End> {
    let (mut sum, mut missing) = (0.0, Vec::new());
    let mut scores = BTreeMap::new();
    terminal.result(format_args!("{HEADING_STYLE}{:<10}{:>12}{:>10}{HEADING_STYLE:#}", "GLUE", "score", "dev"))?;
    for task in electra_task::task::TASKS.iter().filter(|task| task.in_glue_average || task.name == "wnli") {
        let text = std::fs::read_to_string(out.join(task.name).join(RESULTS));
        let results: Option<Results> = text.ok().and_then(|text| serde_json::from_str(&text).ok());
        let score = results.and_then(|results| results.metric.primary().map(|(name, value)| (name.to_owned(), value)));
        match score {
            Some((name, value)) => {
                terminal.result(format_args!("{:<10}{name:>12}{:>10.2}", task.title, 100.0 * value))?;
                scores.insert(task.name, value);
                if task.in_glue_average {
                    sum += value;
                }
            }
            None if task.in_glue_average => missing.push(task.title),
            None => {}
        }
    }
    let count = electra_task::task::TASKS.iter().filter(|task| task.in_glue_average).count();
    let average = missing.is_empty().then(|| 100.0 * sum / count as f64);
    match average {
        Some(average) => terminal.result(format_args!("{:<10}{:>12}{average:>10.2}", "average", ""))?,
        None => terminal.note(format_args!("no average: {} missing", missing.join(", "))),
    }
    let summary = serde_json::json!({ "task": "glue", "scores": scores, "average": average });
    atomic::write(&out.join(RESULTS), format!("{summary:#}\n").as_bytes())?;
    Ok(End::Done)
}
