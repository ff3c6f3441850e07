//! `electra pretrain`: trains generator and discriminator on a dataset that `electra data build` wrote.

use std::path::{Path, PathBuf};

use anyhow::bail;
use electra_kernels::device::{DeviceChoice, OpenDevice};
use electra_kernels::{Precision, side_by_side};
use electra_model::pretraining::{DISCRIMINATOR, GENERATOR};
use electra_train::config::{self, MicroBatch, RUN_CONFIG, RunConfig};
use electra_train::data::{self, TrainingData};
use electra_train::estimate::budget::{self, Budget};
use electra_train::estimate::{ledger, memory_estimate, seconds_per_step};
use electra_train::pretraining::{Outcome, RunOptions, pretrain};
use electra_train::run::folder::checkpoints;
use electra_train::{Plan, RunFolder, TrainEvent};

use crate::RunFailed;
use crate::device_failure;
use crate::exit::End;
use crate::model_folder::{self, RUNS};
use crate::preparation::{
    check_arrays, check_folder, check_memory, check_precision, open_device, parse_precision, runs_kernels,
    settle_micro_batch,
};
use crate::signals::stop_switch;
use crate::terminal::{HEADING_STYLE, Terminal};
use crate::training_display::TrainingDisplay;

const EXAMPLES: &str = "\
Examples:
  electra tokenizer train --input books/ --vocab-size 8192 --out tokenizer
  electra data build --input books/ --tokenizer tokenizer --out data
  electra pretrain --preset tiny --data data --out runs/books
  electra pretrain --preset small --data data --out runs/small --set train.steps=100000 --set seed=1
  electra pretrain --resume --out runs/small          goes on where it was stopped or killed
  electra pretrain --resume --out runs/small --set train.steps=200000     trains a run further
  electra pretrain --preset base --data data --dry-run

Ctrl-C, SIGTERM, SIGHUP and SIGUSR1 save a checkpoint and stop; a second Ctrl-C stops at once. Exit codes: 0 the run
came to its last step; 1 it had to stop; 2 wrong arguments or bad input; 3 a signal stopped it, with everything saved
(docs/SLURM.md has a job that requeues itself); 4 the device was lost or ran out of memory.

Keys for --set are those of run.toml in a run's folder, for example device, seed, train.batch_size, train.learning_rate,
train.budget (2e16 FLOPs or 10m in place of train.steps) and objective.name: rtd, electra_15, replace_mlm, all_tokens_mlm,
mlm, bert, roberta, two_stage, adversarial, electric, causal or permutation (docs/OBJECTIVES.md). With --resume those that do
not change what is learnt may be other ones: device, train.steps, train.micro_batch, train.log_every, ...";

/// Pre-train a generator and a discriminator on a dataset
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Sizes and hyperparameters to start from: first, nano, tiny, mini, small, small++, base or large [default: tiny]
    #[arg(long)]
    preset: Option<String>,
    /// A run.toml whose keys replace the preset's
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Replaces one key; may be repeated, the last one counts
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// The dataset's folder, as "electra data build" wrote it
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The run's folder [default: runs/PRESET]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// auto, cpu, gpu or gpu:N; `auto` takes a GPU if there is one, else the CPU
    #[arg(long)]
    device: Option<DeviceChoice>,
    /// Examples per forward pass: a number, or `auto` for what fits by estimate [default: the preset's, `auto`]
    #[arg(long, value_name = "N|auto")]
    micro_batch: Option<String>,
    /// Keep each encoder layer's input alone for the backward pass, on a graphics adapter: less memory, more time
    #[arg(long)]
    recompute: bool,
    /// What matrix products on a graphics adapter read: f16 rounds it to half precision, which cards with matrix units
    /// multiply many times faster; weights, sums and all else stay in f32
    #[arg(long, value_name = "f32|f16", value_parser = parse_precision)]
    precision: Option<Precision>,
    /// Go on from the newest whole checkpoint in the run's folder
    #[arg(long)]
    resume: bool,
    /// Start from the networks in DIR/discriminator and DIR/generator; or from the encoder in DIR, or ORG/NAME of the Hugging Face
    /// Hub, with a head and a generator that begin afresh
    #[arg(long, value_name = "DIR", conflicts_with = "resume")]
    init_from: Option<PathBuf>,
    /// Train even if more than half of the dataset's tokens are [UNK]
    #[arg(long)]
    allow_unknown: bool,
    /// Licence to name in the exported models' cards, such as apache-2.0
    #[arg(long)]
    license: Option<String>,
    /// Write where one step's time goes on a graphics adapter, kernel by kernel, to profile.json in the run's folder
    #[arg(long)]
    profile: bool,
    /// Print parameters, FLOPs, memory and the time that a measured step predicts, and stop
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(mut args: Args, terminal: &Terminal) -> anyhow::Result<End> {
    let (mut config, may_halve) = resolve(&args)?;
    let folder = args.out.clone().unwrap_or_else(|| Path::new(RUNS).join(&config.preset));
    if config.data.dir.as_os_str().is_empty() {
        bail!(
            "no dataset: name its folder with --data\n\"electra data build\" makes one from text; \
             \"cargo run --release\" alone does all of it with text that is already here"
        );
    }
    // At once, where another process trains there; a folder that is yet to be made is made when the run begins.
    let mut locked = None;
    if !args.dry_run {
        check_folder(&folder, args.resume)?;
        locked = folder.is_dir().then(|| RunFolder::open(&folder)).transpose()?;
    }
    if args.resume && !config.data.dir.exists() {
        bail!(
            "{}: the run's dataset is no longer there\nif it was moved, name its folder with --data, which is remembered",
            config.data.dir.display()
        );
    }
    let rows = asked_rows(&args, &config, &folder);
    let data = data::open(&mut config)?;
    args.init_from = args.init_from.map(|source| model_folder::resolve(&source, terminal)).transpose()?;
    data::pad_word_table(&mut config, rows, args.init_from.as_deref())?;
    if data.is_mostly_unknown && !args.allow_unknown {
        bail!(
            "{}: {}\nbuild the dataset with a tokenizer that was made for this text, or give --allow-unknown",
            config.data.dir.display(),
            data.unknown_warning.as_deref().unwrap_or_default()
        );
    }
    let opened = open_device(&config, terminal)?;
    check_precision(&config, &opened)?;
    check_memory(&config, &opened, terminal)?;
    settle_micro_batch(&mut config, &opened);
    check_arrays(&config, &opened)?;
    if !args.resume {
        settle_budget(&mut config, &data, &opened, terminal)?;
    } else if args.sets.iter().any(|set| set.trim_start().starts_with("train.budget")) {
        bail!("train.budget is for a run that begins: give --set train.steps to train this one further");
    }
    if args.dry_run {
        return dry_run(&config, &opened, &data, terminal).map(|()| End::Done);
    }
    let run_folder = locked.map_or_else(|| RunFolder::open(&folder), Ok)?;
    let Args { resume, init_from, license, profile, .. } = args;
    let start = Start { resume, may_halve, init_from, license, profile };
    let outcome = train(&config, data, run_folder, start, &opened, terminal)?;
    for path in &outcome.exported {
        terminal.note(format_args!("exported {}", path.display()));
    }
    if outcome.interrupted {
        terminal.note(format_args!("go on with: electra pretrain --resume --out {}", folder.display()));
        return Ok(End::Stopped);
    }
    terminal.note(format_args!("try it: electra detect --model {} \"the chef ate the meal\"", folder.display()));
    Ok(End::Done)
}

/// Rows of the word table that somebody asked for: with --set, or when the run in `folder` began. What a preset says is the
/// vocabulary to build.
fn asked_rows(args: &Args, config: &RunConfig, folder: &Path) -> Option<usize> {
    if args.sets.iter().any(|set| set.trim_start().starts_with("model.vocab_size")) {
        return Some(config.model.vocab_size);
    }
    let saved = args.resume.then(|| RunConfig::load_from(folder).ok()).flatten()?;
    Some(saved.model.vocab_size)
}

/// The configuration, and whether micro-batches are ours to choose.
fn resolve(args: &Args) -> anyhow::Result<(RunConfig, bool)> {
    let mut sets = args.sets.clone();
    sets.extend(args.micro_batch.as_ref().map(|size| format!("train.micro_batch={size}")));
    sets.extend(args.recompute.then(|| "train.recompute=true".to_owned()));
    sets.extend(args.precision.map(|precision| format!("train.precision=\"{precision}\"")));
    let saved = if args.resume { saved_run(args)? } else { None };
    let mut config = match &saved {
        // The run's own configuration, and what is said otherwise: its preset's name says nothing that is not in there.
        Some((run, saved))
            if args.config.is_none() && args.preset.as_ref().is_none_or(|name| *name == saved.preset) =>
        {
            config::resolve_with_file(None, Some(&run.join(RUN_CONFIG)), &sets)?
        }
        _ => config::resolve_with_file(args.preset.as_deref(), args.config.as_deref(), &sets)?,
    };
    let is_auto = config.train.micro_batch == MicroBatch::Auto;
    if let Some((run, saved)) = saved {
        if is_auto {
            // Found once, for the whole run: what is free now may be less.
            config.train.micro_batch = saved.train.micro_batch;
        }
        // Only what was said here is meant as seen from this working folder.
        let said_here = |key: &str| args.config.is_some() || sets.iter().any(|set| set.trim_start().starts_with(key));
        if !said_here("data.dir") || config.data.dir.as_os_str().is_empty() {
            config.data.dir = saved.data.dir;
        }
        if !said_here("probe.data") {
            config.probe.data = saved.probe.data;
        }
        if config.data.dir.as_os_str().is_empty() && args.data.is_none() {
            bail!(
                "{}: data.dir is missing, so that this is not the whole file of a run\nname the dataset with --data",
                run.join(RUN_CONFIG).display()
            );
        }
    }
    if let Some(data) = &args.data {
        config.data.dir.clone_from(data);
    }
    if let Some(device) = args.device {
        config.device = device.to_string();
    }
    Ok((config, is_auto))
}

/// Folder and configuration of the run to resume; `None` for a run that never came to write one.
fn saved_run(args: &Args) -> anyhow::Result<Option<(PathBuf, RunConfig)>> {
    let folder = match &args.out {
        Some(out) => out.clone(),
        None => Path::new(RUNS).join(args.preset.as_deref().unwrap_or(config::DEFAULT_PRESET)),
    };
    let saved = folder.join(RUN_CONFIG);
    if saved.exists() {
        let config = RunConfig::load_from(&folder)?;
        return Ok(Some((folder, config)));
    }
    let described = args.preset.is_some() || args.config.is_some();
    if folder.is_dir() && !described && !checkpoints::list(&folder)?.is_empty() {
        bail!(
            "{}: it is gone, but there are checkpoints beside it\n\
             give --preset, --config and --set as when the run was started, and --data",
            saved.display()
        );
    }
    Ok(None)
}

/// Replaces the number of steps by what the run's budget pays for.
fn settle_budget(
    config: &mut RunConfig,
    data: &TrainingData,
    opened: &OpenDevice,
    terminal: &Terminal,
) -> anyhow::Result<()> {
    if config.train.budget.is_empty() {
        return Ok(());
    }
    let budget: Budget = config.train.budget.parse()?;
    let place = ledger::Place::of(&opened.device);
    let measured = || {
        let mut config = config.clone();
        config.settle_phases();
        seconds_per_step::measure(&Plan::new(&config, data.special, &opened.device)?, data)
    };
    let steps = budget::steps_within(budget, config, place, measured)?;
    config.train.steps = steps;
    config.train.warmup_steps = config.train.warmup_steps.min((steps / 10).max(1));
    config.settle_phases();
    config.validate()?;
    terminal.note(format_args!("{budget} pay for {steps} steps"));
    Ok(())
}

/// What a user may ask of a run beside its configuration; the fields are [`RunOptions`]'.
#[derive(Default)]
pub(super) struct Start {
    pub resume: bool,
    /// The micro-batch was ours to choose: where it is too large for the device, half of it is taken.
    pub may_halve: bool,
    pub init_from: Option<PathBuf>,
    pub license: Option<String>,
    pub profile: bool,
}

/// Runs the training so that signals save and stop it, with its events on the terminal.
pub(super) fn train(
    config: &RunConfig,
    data: TrainingData,
    folder: RunFolder,
    start: Start,
    opened: &OpenDevice,
    terminal: &Terminal,
) -> anyhow::Result<Outcome> {
    let (mut config, mut opened) = (config.clone(), opened.clone());
    let mut options = RunOptions {
        folder,
        resume: start.resume,
        init_from: start.init_from,
        device: opened.device.clone(),
        device_description: opened.description.clone(),
        stop: stop_switch(),
        license: start.license,
        profile: start.profile,
    };
    loop {
        let mut display = TrainingDisplay::new(terminal);
        let mut has_begun = false;
        let mut watch = |event: &TrainEvent| {
            has_begun |= matches!(event, TrainEvent::Started { .. });
            display.show(event);
        };
        let ended = pretrain(&config, data.clone(), &options, &mut watch);
        let error = match ended {
            Ok(outcome) => return Ok(outcome),
            Err(error) => error,
        };
        drop(display);
        let folder = options.folder.path();
        if let Some(size) = device_failure::halved(&error, &config).filter(|_| start.may_halve) {
            (opened, options.resume) =
                device_failure::with_smaller(&mut config, size, folder, &opened, &error, terminal)?;
            options.device = opened.device.clone();
            continue;
        }
        // Nothing was wrong with the input of a run that had begun: a script should look at it.
        let text = device_failure::explained(&error, folder, &config).or_else(|| has_begun.then(|| error.to_string()));
        let error = anyhow::Error::new(error);
        return Err(match text {
            Some(text) => error.context(RunFailed(text)),
            None => error,
        });
    }
}

fn dry_run(config: &RunConfig, opened: &OpenDevice, data: &TrainingData, terminal: &Terminal) -> anyhow::Result<()> {
    let plan = Plan::new(config, data.special, &opened.device)?;
    let (layout, micro_batch) = (plan.layout(), plan.micro_batch());
    let train = &config.train;
    let flops_per_step = ledger::reference_of(config);
    let memory = memory_estimate(config, micro_batch, runs_kernels(opened));
    let at_a_time = train.batch_size.div_ceil(micro_batch).min(side_by_side::width(&opened.device));
    let activations_bytes = at_a_time as f64 * memory.activations_bytes;
    let seconds_per_step = seconds_per_step::measure(&plan, data)?;
    let hours = seconds_per_step * train.steps as f64 / 3600.0;

    let line =
        |name: &str, value: String| terminal.result(format_args!("{HEADING_STYLE}{name:<12}{HEADING_STYLE:#} {value}"));
    let parameters = |prefix: &str| layout.parameter_count_of(prefix) as f64 / 1e6;
    line("device", opened.description.clone())?;
    line(
        "parameters",
        format!(
            "{:.2} M (discriminator with shared tables {:.2} M, generator's own {:.2} M)",
            layout.parameter_count() as f64 / 1e6,
            parameters(DISCRIMINATOR),
            parameters(GENERATOR)
        ),
    )?;
    line(
        "FLOPs",
        format!("{flops_per_step:.3e} a step, {:.3e} in {} steps", flops_per_step * train.steps as f64, train.steps),
    )?;
    line(
        "memory",
        format!(
            "{:.2} GB: {:.2} for weights and optimizer, {:.2} for activations ({at_a_time} x {micro_batch} examples at a \
             time)",
            (memory.parameters_bytes + activations_bytes) / 1e9,
            memory.parameters_bytes / 1e9,
            activations_bytes / 1e9
        ),
    )?;
    line(
        "time",
        format!(
            "{hours:.1} h at {seconds_per_step:.3} s a step ({:.0} tokens/s), measured here",
            (train.batch_size * train.sequence_length) as f64 / seconds_per_step
        ),
    )?;
    Ok(())
}
