//! `electra finetune`: teaches a pre-trained network a task, and says how good it is beside what must be beaten.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use electra_data::atomic;
use electra_kernels::Precision;
use electra_kernels::device::DeviceChoice;
use electra_model::head::HeadStyle;
use electra_task::Files;
use electra_task::encode::LongTexts;
use electra_task::task::{Task, find};
use electra_train::LayerwiseExponent;
use electra_train::exchange::hugging_face;
use electra_train::finetuning::{FineTuneConfig, OutOfRange, Results};

use crate::exit::End;
use crate::fine_tuning::{JOB, Job, RESULTS, stopped, work};
use crate::model_folder;
use crate::preparation::{check_folder, parse_precision};
use crate::task_files::TaskFiles;
use crate::terminal::{HEADING_STYLE, Terminal};

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
    /// Peak of the schedule [default: by width: 3e-4 up to 256, 1e-4 up to 900, 5e-5 above]
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
    /// Of the encoder and the head [default: that of the network's config.json, 0.1 for most]
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
    let job = job_of(&args, task, terminal)?;
    work(&job, &args.out, args.device, false, terminal)
}

fn resume(args: &Args, folder: &Path, terminal: &Terminal) -> anyhow::Result<End> {
    let path = folder.join(JOB);
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("{}: there is no fine-tuning to go on with", path.display()))?;
    let job: Job = toml::from_str(&text).with_context(|| format!("{}: it is damaged", path.display()))?;
    work(&job, folder, args.device, true, terminal)
}

/// The job that `args` describe, for `task`.
fn job_of(args: &Args, task: &'static Task, terminal: &Terminal) -> anyhow::Result<Job> {
    let Some(model) = &args.model else {
        bail!("no network: name its folder with --model (a run's, an exported one, or what electra import wrote)");
    };
    let Some(data) = &args.files.data else { bail!("no data: name the task's folder or file with --data") };
    let folder = model_folder::find(Some(model), "discriminator", terminal)?;
    let network = hugging_face::import_config(&folder)?;
    let mut config = FineTuneConfig { task: task.name.to_owned(), ..FineTuneConfig::default() }.for_network(&network);
    config.epochs = task.epochs;
    config.both_orders = task.both_orders;
    config.max_length = task.max_length.min(network.max_position_embeddings);
    args.settings.apply(&mut config);
    if config.max_length > network.max_position_embeddings {
        bail!(
            "--max-length {}: the network takes {} tokens at most",
            config.max_length,
            network.max_position_embeddings
        );
    }
    if let Some(OutOfRange { key, value, least, most }) = config.out_of_range() {
        bail!("--{} {value}: it must be between {least} and {most}", key.replace('_', "-"));
    }
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

/// Folders of GLUE's tasks in the folder of a whole GLUE.
fn glue_folders(out: &Path) -> Vec<PathBuf> {
    Task::of_glue().map(|task| out.join(task.name)).filter(|folder| folder.join(JOB).is_file()).collect()
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
        let job = job_of(args, task, terminal)?;
        if work(&job, &out, args.device, false, terminal)? == End::Stopped {
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
    for task in Task::of_glue() {
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
    let count = Task::of_glue().filter(|task| task.in_glue_average).count();
    let average = missing.is_empty().then(|| 100.0 * sum / count as f64);
    match average {
        Some(average) => terminal.result(format_args!("{:<10}{:>12}{average:>10.2}", "average", ""))?,
        None => terminal.note(format_args!("no average: {} missing", missing.join(", "))),
    }
    let summary = serde_json::json!({ "task": "glue", "scores": scores, "average": average });
    atomic::write(&out.join(RESULTS), format!("{summary:#}\n").as_bytes())?;
    Ok(End::Done)
}
