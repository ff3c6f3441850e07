//! `electra` without a subcommand: from text to detections in about ten minutes, with nothing but Rust installed.
//!
//! Text that every machine with Rust already has (or the user's own, `--input`) becomes a vocabulary and a dataset, the
//! `first` preset trains on it for as many steps as fit into the minutes asked for, and held-out sentences show what it
//! learnt. Everything lands in one run's folder; running it again goes on where it was stopped.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anstyle::{AnsiColor, Style};
use anyhow::bail;
use electra_data::input::{InputOptions, TextSource};

use electra_data::{BuildOptions, Manifest, Tokenizer, TrainOptions, build, dataset_tokenizer, rust_docs};
use electra_kernels::device::DeviceChoice;
use electra_train::pretrain::{Outcome, RUN_CONFIG};
use electra_train::run_config::{self, MicroBatch, RunConfig};
use electra_train::training_data;
use electra_train::validate::JudgedToken;

use super::pretrain::{Start, open_device, settle_micro_batch, train};
use crate::seconds_per_step;
use crate::terminal::{FAINT_STYLE, HEADING_STYLE, Terminal, Unit};

const PRESET: &str = "first";
/// Fewer steps teach nothing; more than this is for `electra pretrain` to be told.
const STEPS: std::ops::RangeInclusive<f64> = 100.0..=50_000.0;

/// Options of the default job.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Text to learn from: files, folders or globs [default: the Rust documentation on this machine]
    #[arg(long, value_name = "PATH", num_args = 1.., help_heading = "Default job")]
    input: Vec<String>,
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

pub fn run(args: Args, terminal: &Terminal) -> anyhow::Result<()> {
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
        RunConfig::load(&saved)?
    } else {
        run_config::resolve(Some(PRESET), None, &args.sets)?
    };
    config.device = args.device.to_string();
    // First, so that the first line says what will do the work.
    let opened = open_device(&config, terminal)?;
    terminal.note(format_args!("{HEADING_STYLE}Device{HEADING_STYLE:#} {}", opened.description));

    let dataset = args.out.join("data");
    prepare(&args, &config, &dataset, terminal)?;
    config.data.dir = dataset.clone();
    let data = training_data::open(&mut config)?;
    let mut may_halve = false;
    if !begun {
        may_halve = config.train.micro_batch == MicroBatch::Auto;
        settle_micro_batch(&mut config, &opened);
        let steps = match args.steps {
            Some(steps) => steps as f64,
            None => {
                let seconds = seconds_per_step::measure(&config, &data, &opened.device)?;
                (args.minutes * 60.0 / seconds).clamp(*STEPS.start(), *STEPS.end())
            }
        };
        set_steps(&mut config, steps as u64)?;
    }
    let outcome =
        train(&config, data, &args.out, Start { resume: begun, may_halve, ..Start::default() }, &opened, terminal)?;
    if outcome.interrupted {
        terminal.note("Run the same command to go on.");
        return Ok(());
    }
    show(&outcome, &dataset_tokenizer(&dataset)?, &args.out, terminal)
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
    if dataset.exists() {
        // Opening it checks it; here only whether it is the text that was asked for.
        let manifest = Manifest::load(dataset)?;
        if !args.input.is_empty() {
            let asked = TextSource::find(&args.input, InputOptions::default())?.names();
            if asked != manifest.sources {
                bail!(
                    "{} was made of other text ({})\nname another folder with --out",
                    args.out.display(),
                    manifest.sources.join(", ")
                );
            }
        }
        return Ok(());
    }
    let source = if args.input.is_empty() {
        let corpus = rust_docs::load()?;
        terminal.note(format_args!("{HEADING_STYLE}Text{HEADING_STYLE:#}   {}", corpus.description));
        corpus.into_source()
    } else {
        let source = TextSource::find(&args.input, InputOptions::default())?;
        terminal.note(format_args!("{HEADING_STYLE}Text{HEADING_STYLE:#}   {}", source.names().join(", ")));
        source
    };
    let mut bar = terminal.progress("vocabulary", source.input_bytes(), Unit::Bytes);
    let options = TrainOptions { vocab_size: config.model.vocab_size, ..TrainOptions::default() };
    let tokenizer = Tokenizer::train(&source, &options, &mut |progress| {
        bar.update(progress.input_bytes, "");
        ControlFlow::Continue(())
    })?;
    bar.finish(format_args!("{HEADING_STYLE}Vocabulary{HEADING_STYLE:#} {} entries", tokenizer.vocab_size()));
    let mut bar = terminal.progress("tokenizing", source.input_bytes(), Unit::Bytes);
    let manifest = build(&source, &tokenizer, dataset, &BuildOptions::default(), &mut |progress| {
        bar.update(progress.input_bytes, format_args!("{} tokens", progress.tokens));
        ControlFlow::Continue(())
    })?;
    bar.finish(format_args!(
        "{HEADING_STYLE}Dataset{HEADING_STYLE:#} {:.1} MB of text, {} tokens to train on, {} held out",
        manifest.text_bytes as f64 / 1e6,
        manifest.train.tokens,
        manifest.validation.tokens
    ));
    Ok(())
}

/// Detections on held-out sentences, the numbers that matter, and what to run next.
fn show(outcome: &Outcome, tokenizer: &Tokenizer, folder: &Path, terminal: &Terminal) -> anyhow::Result<()> {
    let out = |line: String| terminal.result(line);
    out(format!(
        "\n{HEADING_STYLE}Held-out text with the generator's replacements, as the discriminator sees it{HEADING_STYLE:#}\n\
         {FAINT_STYLE}word(.93) = taken for replaced, with the probability; <original> follows what really was{FAINT_STYLE:#}"
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
    let flagged = Style::new().fg_color(Some(AnsiColor::Yellow.into())).bold().underline();
    let mut line = String::new();
    for judged in example.iter().take(TOKENS_SHOWN) {
        let token = tokenizer.token(judged.id).unwrap_or_default();
        match token.strip_prefix("##") {
            Some(rest) if !line.is_empty() => line.push_str(&styled(rest, judged, flagged)),
            _ => {
                if !line.is_empty() {
                    line.push(' ');
                }
                line.push_str(&styled(&token, judged, flagged));
            }
        }
        if judged.id != judged.original_id {
            let original = tokenizer.token(judged.original_id).unwrap_or_default();
            line.push_str(&format!("{FAINT_STYLE}<{original}>{FAINT_STYLE:#}"));
        }
    }
    line
}

fn styled(text: &str, judged: &JudgedToken, style: Style) -> String {
    if judged.probability > 0.5 {
        format!("{style}{text}{style:#}({:.2})", judged.probability)
    } else {
        text.to_owned()
    }
}
