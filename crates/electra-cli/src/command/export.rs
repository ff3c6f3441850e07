//! `electra export`: a run's networks as folders that Hugging Face's `transformers` loads.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use burn::tensor::Device;
use electra_model::head::HeadStyle;
use electra_train::Architecture;
use electra_train::config::{RUN_CONFIG, RunConfig};
use electra_train::exchange::export::{NetworkFolders, Replace, export_networks};
use electra_train::exchange::model_card::ModelCard;
use electra_train::pretraining::card::card_of_checkpoint;
use electra_train::run::folder::checkpoints;
use electra_train::{data, host, objective_of};

use crate::model_folder::RUNS;
use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  electra export runs/small --out exported         exported/discriminator and exported/generator
  electra export runs/small --step 50000 --out at-50k --license apache-2.0

In Python: ElectraForPreTraining.from_pretrained(\"exported/discriminator\"), which is the network to fine-tune, and
ElectraForMaskedLM.from_pretrained(\"exported/generator\").";

/// Write a run's networks in Hugging Face's layout
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The run's folder [default: the newest under runs/]
    #[arg(value_name = "RUN")]
    run: Option<PathBuf>,
    /// Where to write discriminator/ and generator/ [default: the run's folder]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The tokenizer's folder, if the run has lost its own
    #[arg(long, value_name = "DIR")]
    tokenizer: Option<PathBuf>,
    /// Replace networks in --out that are not of this run
    #[arg(long)]
    overwrite: bool,
    /// The checkpoint after so many steps [default: the newest whole one]
    #[arg(long)]
    step: Option<u64>,
    /// Class of the network to keep, where it can be of more than one: all_tokens_mlm trains an ElectraForPreTraining that is an
    /// ElectraForMaskedLM, too
    #[arg(long = "as", value_name = "CLASS", value_parser = parse_class)]
    architecture: Option<Architecture>,
    /// Licence to name in the model cards, such as apache-2.0
    #[arg(long)]
    license: Option<String>,
}

pub(super) fn run(args: Args, terminal: &Terminal) -> anyhow::Result<()> {
    let run = match args.run {
        Some(run) => run,
        None => newest_run()?,
    };
    let config = RunConfig::load_from(&run).with_context(|| format!("{}: not the folder of a run", run.display()))?;
    // Before anything large is read.
    let folders = NetworkFolders::begin(args.out.as_deref().unwrap_or(&run))?;
    let (path, saved) = match args.step {
        Some(step) => {
            let path = checkpoints::path_of(&run, step);
            let saved = checkpoints::load(&path)?;
            (path, saved)
        }
        None => {
            let latest = checkpoints::latest_whole(&run)?;
            for damaged in &latest.damaged {
                terminal.warn(format_args!("checkpoint passed over: {damaged}"));
            }
            match latest.found {
                Some(found) => found,
                None => bail!("{}: no checkpoint in there; train it first", run.display()),
            }
        }
    };
    let sha256 = &saved.state.tokenizer_sha256;
    let (tokenizer, loaded) = data::tokenizer_of(&config, &run, args.tokenizer.as_deref(), sha256)?;
    let card = ModelCard {
        license: args.license,
        tokenizer: Some(data::describe(&loaded)),
        ..card_of_checkpoint(&run, &config, &saved.state)
    };
    folders.check(match &card.run {
        // The run's own folder, or the user's word.
        _ if args.out.is_none() || args.overwrite => Replace::Any,
        Some(run) => Replace::OfRun(run),
        None => Replace::Nothing,
    })?;
    let objective = objective_of(&config, &config.objective)?;
    let parameters = host::parameters_from_host(&objective.layout(), saved.parameters, &path, &Device::flex())?;
    for folder in export_networks(folders, &*objective, &parameters, &tokenizer, &card, args.architecture)? {
        terminal.result(folder.display())?;
    }
    Ok(())
}

fn parse_class(name: &str) -> Result<Architecture, String> {
    Architecture::from_class_name(name, 2, HeadStyle::Hf, false)
        .ok_or_else(|| "a class such as ElectraForMaskedLM is expected".to_owned())
}

fn newest_run() -> anyhow::Result<PathBuf> {
    let modified = |path: &Path| path.join(RUN_CONFIG).metadata().and_then(|file| file.modified()).ok();
    std::fs::read_dir(RUNS)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter_map(|path| Some((modified(&path)?, path)))
        .max()
        .map(|(_, path)| path)
        .with_context(|| format!("no run under {RUNS}/; name the run's folder"))
}
