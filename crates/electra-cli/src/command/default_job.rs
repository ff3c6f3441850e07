//! `electra` without a subcommand: from text to detections in about ten minutes, with nothing but Rust installed.
//!
//! Text that every machine with Rust already has (or the user's own, `--input`) becomes a vocabulary and a dataset, the
//! `first` preset trains on it for as many steps as fit into the minutes asked for, and held-out sentences show what it
//! learnt. Everything lands in one run's folder; running it again goes on where it was stopped. Text that can be read only
//! once, such as standard input, is kept there until vocabulary and dataset are made of it.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::bail;
use electra_data::{
    BuildOptions, MANIFEST_FILE, Manifest, OutFolder, Tokenizer, TrainOptions, Trained, build, dataset_tokenizer,
    finish_interrupted, rust_docs,
};
use electra_kernels::device::DeviceChoice;
use electra_train::config::{self, MicroBatch, RUN_CONFIG, RunConfig};
use electra_train::data;
use electra_train::estimate::seconds_per_step;
use electra_train::pretraining::{JudgedToken, Outcome};
use electra_train::{Plan, RunFolder};

use super::detect::{LEGEND, marked_token};
use super::input_args::{ReadingArgs, tell_found, tell_left_out_characters, tell_read};
use super::pretrain::{Start, train};
use crate::exit::End;
use crate::preparation::{check_memory, open_device, settle_micro_batch};
use crate::terminal::{FAINT_STYLE, HEADING_STYLE, Terminal, Unit};

const PRESET: &str = "first";
/// Fewer steps teach nothing; more than this is for `electra pretrain` to be told.
const STEPS: std::ops::RangeInclusive<f64> = 100.0..=50_000.0;

/// Options of the default job.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Text to learn from: files, folders or globs; - is standard input [default: the Rust documentation on this machine]
    #[arg(long, value_name = "PATH", num_args = 1.., help_heading = "Default job")]
    input: Vec<PathBuf>,
    #[command(flatten)]
    reading: ReadingArgs,
    /// Train even if more than half of the text's tokens are [UNK]
    #[arg(long, help_heading = "Default job")]
    allow_unknown: bool,
    /// The run's folder
    #[arg(long, value_name = "DIR", default_value = "runs/first", help_heading = "Default job")]
    out: PathBuf,
    /// auto, cpu, gpu or gpu:N
    #[arg(long, default_value_t = DeviceChoice::Auto, help_heading = "Default job")]
    device: DeviceChoice,
    /// Minutes to train; the number of steps is chosen to fit
    #[arg(long, default_value_t = 8.5, conflicts_with = "steps", help_heading = "Default job")]
    minutes: f64,
    /// Replaces one key of the `first` preset, as in `electra pretrain`; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", help_heading = "Default job")]
    sets: Vec<String>,
    /// Steps to train, however long they take
    #[arg(long, help_heading = "Default job")]
    steps: Option<u64>,
}

pub(super) fn run(args: Args, terminal: &Terminal) -> anyhow::Result<End> {
    if !(args.minutes > 0.0 && args.minutes.is_finite()) {
        bail!("--minutes {}: a number above 0 is needed", args.minutes);
    }
    let saved = args.out.join(RUN_CONFIG);
    let begun = saved.is_file();
    if begun && (args.steps.is_some() || !args.sets.is_empty()) {
        bail!(
            "{} is a run that has begun: --steps and --set cannot change it\nname another folder with --out",
            args.out.display()
        );
    }
    let mut config = if begun {
        terminal.note(format_args!("{} is there: going on with it (--out names another folder)", args.out.display()));
        RunConfig::load_from(&args.out)?
    } else {
        config::resolve(Some(PRESET), None, &args.sets)?
    };
    config.device = args.device.to_string();
    // First, so that the first line says what will do the work.
    let opened = open_device(&config, terminal)?;
    terminal.note(format_args!("{HEADING_STYLE}Device{HEADING_STYLE:#} {}", opened.description));

    let dataset = args.out.join("data");
    prepare(&args, &config, &dataset, terminal)?;
    let folder = RunFolder::open(&args.out)?;
    config.data.dir = dataset.clone();
    let data = data::open(&mut config)?;
    check_memory(&config, &opened, terminal)?;
    let mut may_halve = false;
    if !begun {
        may_halve = config.train.micro_batch == MicroBatch::Auto;
        settle_micro_batch(&mut config, &opened);
        let steps = match args.steps {
            Some(steps) => steps as f64,
            None => {
                let plan = Plan::new(&config, data.special, &opened.device)?;
                let seconds = seconds_per_step::measure(&plan, &data)?;
                (args.minutes * 60.0 / seconds).clamp(*STEPS.start(), *STEPS.end())
            }
        };
        set_steps(&mut config, steps as u64)?;
    }
    let start = Start { resume: begun, may_halve, ..Start::default() };
    let outcome = train(&config, data, folder, start, &opened, terminal)?;
    if outcome.interrupted {
        terminal.note("Run the same command to go on.");
        return Ok(End::Stopped);
    }
    show(&outcome, &dataset_tokenizer(&dataset)?, &args.out, terminal)?;
    Ok(End::Done)
}

/// The schedule for `steps` steps.
fn set_steps(config: &mut RunConfig, steps: u64) -> anyhow::Result<()> {
    config.train.steps = steps;
    config.train.warmup_steps = config.train.warmup_steps.min((steps / 10).max(1));
    config.train.validate_every = steps.div_ceil(4).max(1);
    config.train.checkpoint_every = steps.div_ceil(8).max(1);
    Ok(config.validate()?)
}

/// Vocabulary and dataset, unless they are there already.
fn prepare(args: &Args, config: &RunConfig, dataset: &Path, terminal: &Terminal) -> anyhow::Result<()> {
    finish_interrupted(dataset)?;
    if dataset.join(MANIFEST_FILE).exists() {
        return check_input(args, dataset, terminal);
    }
    // Before any text is read: the folder can be written to, and nobody else is at work in it.
    let scratch = OutFolder::begin(&args.out)?;
    let target = OutFolder::begin(dataset)?;
    if !target.is_vacant()? {
        bail!("{}: the folder is not empty and holds no dataset\nname another folder with --out", dataset.display());
    }
    drop(target);
    let mut source = if args.input.is_empty() {
        let corpus = rust_docs::load()?;
        terminal.note(format_args!("{HEADING_STYLE}Text{HEADING_STYLE:#}   {}", corpus.description));
        corpus.into_source()
    } else {
        let source = args.reading.source(&args.input)?;
        tell_found(&source, terminal);
        terminal.note(format_args!("{HEADING_STYLE}Text{HEADING_STYLE:#}   {}", source.names().join(", ")));
        source
    };
    if source.input_bytes().is_none() {
        let mut bar = terminal.progress("reading", None, Unit::Bytes);
        source = source.spool(&scratch.building().join("text"), &mut |progress| {
            bar.update(progress.input_bytes, "");
            ControlFlow::Continue(())
        })?;
    }
    let mut bar = terminal.progress("vocabulary", source.input_bytes(), Unit::Bytes);
    let options = TrainOptions { vocab_size: config.model.vocab_size, ..TrainOptions::default() };
    let Trained { tokenizer, left_out, .. } = Tokenizer::train_with_report(&source, &options, &mut |progress| {
        bar.update(progress.input_bytes, "");
        ControlFlow::Continue(())
    })?;
    bar.finish(format_args!("{HEADING_STYLE}Vocabulary{HEADING_STYLE:#} {} entries", tokenizer.vocab_size()));
    if let Some(left_out) = &left_out {
        tell_left_out_characters(left_out, terminal);
    }
    let mut bar = terminal.progress("tokenizing", source.input_bytes(), Unit::Bytes);
    let options =
        BuildOptions { name: Some(corpus_name(args)), allow_unknown: args.allow_unknown, ..BuildOptions::default() };
    let manifest = build(&source, &tokenizer, dataset, &options, &mut |progress| {
        bar.update(progress.input_bytes, format_args!("{} tokens", progress.tokens));
        ControlFlow::Continue(())
    })?;
    bar.finish(format_args!(
        "{HEADING_STYLE}Dataset{HEADING_STYLE:#} {:.1} MB of text, {} tokens to train on, {} held out",
        manifest.text_bytes as f64 / 1e6,
        manifest.train.tokens,
        manifest.validation.tokens
    ));
    tell_read(&source, terminal);
    Ok(())
}

/// Whether a dataset that is there is of the text that was asked for. Opening it checks the rest.
fn check_input(args: &Args, dataset: &Path, terminal: &Terminal) -> anyhow::Result<()> {
    let manifest = Manifest::load(dataset)?;
    if args.input.is_empty() {
        return Ok(());
    }
    let asked = args.reading.source(&args.input)?;
    if asked.names() != manifest.sources {
        bail!(
            "{} was made of other text ({})\nname another folder with --out",
            args.out.display(),
            manifest.sources.join(", ")
        );
    }
    if asked.input_bytes().is_none() {
        terminal.note(format_args!("{} has its text already: standard input is not read", args.out.display()));
    }
    Ok(())
}

/// What model cards call the text: the dataset's own folder is called "data" in every run.
fn corpus_name(args: &Args) -> String {
    if args.input.is_empty() {
        return "Rust documentation".to_owned();
    }
    let folder = args.out.canonicalize().unwrap_or_else(|_| args.out.clone());
    folder.file_name().map_or_else(|| "unnamed".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// Detections on held-out sentences, the numbers that matter, and what to run next.
fn show(outcome: &Outcome, tokenizer: &Tokenizer, folder: &Path, terminal: &Terminal) -> anyhow::Result<()> {
    let out = |line: String| terminal.result(line);
    out(format!(
        "\n{HEADING_STYLE}Held-out text with the generator's replacements, as the discriminator sees it{HEADING_STYLE:#}\n\
         {FAINT_STYLE}{LEGEND}; <original> follows what really was{FAINT_STYLE:#}"
    ))?;
    for example in &outcome.examples {
        out(format!("  {}", line_of(example, tokenizer)))?;
    }
    if let Some(row) = &outcome.validation {
        let number = |value: Option<f64>| value.map_or("undefined".to_owned(), |value| format!("{value:.3}"));
        let extra = |name: &str| number(row.extra.get(name).copied().flatten());
        out(format!(
            "\n{HEADING_STYLE}Held-out numbers{HEADING_STYLE:#} after {} steps\n  \
             discriminator AUC    {}\n  unigram detector AUC {}\n  bigram detector AUC  {}\n  generator accuracy   {}",
            outcome.step,
            number(row.discriminator_auc),
            extra("unigram_auc"),
            extra("bigram_auc"),
            number(row.generator_accuracy)
        ))?;
    }
    let model = folder.display();
    out(format!(
        "\n{HEADING_STYLE}Next{HEADING_STYLE:#}\n  \
         cargo run --release -- detect --model {model} \"the compiler eats the source code\"\n  \
         cargo run --release -- fill --model {model} \"a [MASK] is a value that owns its data\"\n  \
         cargo run --release -- --input YOUR.txt --out runs/yours\n  \
         cargo run --release -- pretrain --help"
    ))?;
    Ok(())
}

/// Tokens shown of one example.
const TOKENS_SHOWN: usize = 40;

fn line_of(example: &[JudgedToken], tokenizer: &Tokenizer) -> String {
    let mut line = String::new();
    for judged in example.iter().take(TOKENS_SHOWN) {
        let token = tokenizer.token(judged.id).unwrap_or_default();
        let text: &str = match token.strip_prefix("##") {
            Some(rest) if !line.is_empty() => rest,
            _ => {
                if !line.is_empty() {
                    line.push(' ');
                }
                &token
            }
        };
        line.push_str(&marked_token(text, judged.probability));
        if judged.id != judged.original_id {
            let original = tokenizer.token(judged.original_id).unwrap_or_default();
            line.push_str(&format!("{FAINT_STYLE}<{original}>{FAINT_STYLE:#}"));
        }
    }
    line
}
