//! `electra export`: a run's networks as folders that Hugging Face's `transformers` loads, or a network as an ONNX file.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use burn::tensor::Device;
use electra_data::atomic;
use electra_model::head::HeadStyle;
use electra_train::config::{RUN_CONFIG, RunConfig};
use electra_train::exchange::export::{NETWORKS, NetworkFolders, Replace, export_networks};
use electra_train::exchange::hugging_face::{self, Architecture, Network};
use electra_train::exchange::model_card::ModelCard;
use electra_train::exchange::networks::networks_of;
use electra_train::exchange::onnx::{self, Precision};
use electra_train::host::wait_for;
use electra_train::pretraining::card::card_of_checkpoint;
use electra_train::run::Checkpoint;
use electra_train::run::folder::checkpoints;
use electra_train::{data, host, objective_of};

use crate::model_folder::{self, RUNS};
use crate::terminal::Terminal;

/// Name of an ONNX file that was not given one.
const ONNX: &str = "model.onnx";

const EXAMPLES: &str = "\
Examples:
  electra export runs/small --out exported         exported/discriminator and exported/generator
  electra export runs/small --step 50000 --out at-50k --license apache-2.0
  electra export runs/small --format onnx          runs/small/discriminator/model.onnx, for onnxruntime
  electra export sentiment --format onnx --int8 --out sentiment.onnx

In Python: ElectraForPreTraining.from_pretrained(\"exported/discriminator\"), which is the network to fine-tune, and
ElectraForMaskedLM.from_pretrained(\"exported/generator\").";

/// How networks are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Folders that Hugging Face's transformers loads
    Hf,
    /// One file that onnxruntime and others run: the network to keep
    Onnx,
}

/// Write a run's networks in Hugging Face's layout, or a network as an ONNX file
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The run's folder; for ONNX also that of any network, or ORG/NAME of the Hugging Face Hub [default: the newest under runs/]
    #[arg(value_name = "RUN")]
    run: Option<PathBuf>,
    /// What to write
    #[arg(long, value_enum, default_value_t = Format::Hf)]
    format: Format,
    /// Store weights in 8 bits, and multiply so (dynamic quantisation): a quarter of the size, a little less exact
    #[arg(long)]
    int8: bool,
    /// Where to write discriminator/ and generator/ [default: the run's folder]; the ONNX file [default: model.onnx in the network's]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The tokenizer's folder, if the run has lost its own
    #[arg(long, value_name = "DIR")]
    tokenizer: Option<PathBuf>,
    /// Replace networks in --out that are not of this run, or an ONNX file
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
    let run = match &args.run {
        Some(run) if args.format == Format::Onnx => model_folder::resolve(run, terminal)?,
        Some(run) => run.clone(),
        None => newest_run()?,
    };
    match args.format {
        Format::Hf if args.int8 => bail!("--int8 is for ONNX files\ngive --format onnx, too"),
        Format::Hf => export_folders(args, &run, terminal),
        Format::Onnx => export_onnx(args, &run, terminal),
    }
}

fn export_folders(args: Args, run: &Path, terminal: &Terminal) -> anyhow::Result<()> {
    let config = load_config(run)?;
    // Before anything large is read.
    let folders = NetworkFolders::begin(args.out.as_deref().unwrap_or(run))?;
    let (path, saved) = checkpoint(run, args.step, terminal)?;
    let sha256 = &saved.state.tokenizer_sha256;
    let (tokenizer, loaded) = data::tokenizer_of(&config, run, args.tokenizer.as_deref(), sha256)?;
    let card = ModelCard {
        license: args.license,
        tokenizer: Some(data::describe(&loaded)),
        ..card_of_checkpoint(run, &config, &saved.state)
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

/// The network to keep of a run, or that in a folder, as one file.
fn export_onnx(args: Args, source: &Path, terminal: &Terminal) -> anyhow::Result<()> {
    let is_run = source.join(RUN_CONFIG).is_file();
    let (network, folder) = if is_run {
        let config = load_config(source)?;
        let (path, saved) = checkpoint(source, args.step, terminal)?;
        let objective = objective_of(&config, &config.objective)?;
        let parameters = host::parameters_from_host(&objective.layout(), saved.parameters, &path, &Device::flex())?;
        let networks = wait_for(networks_of(&*objective, &parameters, args.architecture, &path))?;
        let (role, network) = networks.into_iter().next().context("an objective has a network to keep")?;
        (network, source.join(role))
    } else {
        if args.step.is_some() || args.architecture.is_some() {
            bail!("{}: --step and --as choose of a run, and this is no run's folder", source.display());
        }
        let inside = [source.to_owned(), source.join(NETWORKS[0]), source.join(NETWORKS[1])];
        let folder = inside.into_iter().find(|folder| folder.join("config.json").is_file()).with_context(|| {
            format!(
                "{}: neither a run's folder nor a network's; name one that holds a run.toml or a config.json",
                source.display()
            )
        })?;
        (network_in(&folder, terminal)?, folder)
    };
    let out = match args.out {
        Some(out) if out.is_dir() => out.join(ONNX),
        Some(out) => out,
        None => folder.join(ONNX),
    };
    if out.exists() && !args.overwrite {
        bail!("{}: there is a file already\nchoose another --out, or replace it with --overwrite", out.display());
    }
    let precision = if args.int8 { Precision::Int8 } else { Precision::F32 };
    let bytes = onnx::encode(&network, precision, &folder)?;
    if let Some(parent) = out.parent() {
        std::fs::create_dir_all(parent).with_context(|| format!("{}: cannot create the folder", parent.display()))?;
    }
    atomic::write(&out, &bytes).with_context(|| format!("{}: cannot write", out.display()))?;
    terminal.note(format_args!("{}, {:.1} MB", network.architecture.class_name(), bytes.len() as f64 / 1e6));
    Ok(terminal.result(out.display())?)
}

/// The network in `folder`: as it is, or a BERT's encoder.
fn network_in(folder: &Path, terminal: &Terminal) -> anyhow::Result<Network> {
    let imported = hugging_face::import_encoder(folder)?;
    if parse_class(&imported.class).is_ok_and(|class| class != Architecture::Encoder) {
        return Ok(hugging_face::import(folder)?);
    }
    terminal.note(imported.summary());
    Ok(imported.network)
}

fn load_config(run: &Path) -> anyhow::Result<RunConfig> {
    RunConfig::load_from(run).with_context(|| format!("{}: not the folder of a run", run.display()))
}

/// The run's checkpoint after `step`, or its newest whole one, and where it lies.
fn checkpoint(run: &Path, step: Option<u64>, terminal: &Terminal) -> anyhow::Result<(PathBuf, Checkpoint)> {
    if let Some(step) = step {
        let path = checkpoints::path_of(run, step);
        let saved = checkpoints::load(&path)?;
        return Ok((path, saved));
    }
    let latest = checkpoints::latest_whole(run)?;
    for damaged in &latest.damaged {
        terminal.warn(format_args!("checkpoint passed over: {damaged}"));
    }
    latest.found.with_context(|| format!("{}: no checkpoint in there; train it first", run.display()))
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
