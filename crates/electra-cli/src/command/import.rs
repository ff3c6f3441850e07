//! `electra import`: checks networks from elsewhere and makes a folder that training can start from.

use std::path::{Path, PathBuf};

use anyhow::bail;
use electra_data::{ImportOptions, Tokenizer};
use electra_train::exchange::export::{NETWORKS, NetworkFolders, Replace};
use electra_train::exchange::hugging_face::{self, Architecture, Network, import_as, import_encoder};
use electra_train::exchange::model_card::ModelCard;

use crate::model_folder;
use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  electra import all-MiniLM-L6-v2 --out start                       the encoder of a BERT, as a start for anything
  electra import google/electra-small-discriminator --out start     fetched from the Hugging Face Hub
  electra import --discriminator electra-small-discriminator --generator electra-small-generator --out start
  electra pretrain --preset small --data data --init-from start --out runs/continued

The folders are those of Hugging Face's transformers: config.json, model.safetensors or pytorch_model.bin (or their parts and
an index) and the tokenizer's files. Weights in half precision become f32. Nothing in a pytorch_model.bin is executed.";

/// Check networks in Hugging Face's layout and copy them to where training can start from
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// An ELECTRA of any class or a BERT, of which the encoder is taken; or ORG/NAME of the Hugging Face Hub
    #[arg(value_name = "FOLDER", required_unless_present_all = ["discriminator", "generator"], conflicts_with_all = ["discriminator", "generator"])]
    folder: Option<PathBuf>,
    /// Folder of an ElectraForPreTraining, to go on with its pre-training
    #[arg(long, value_name = "DIR", requires = "generator")]
    discriminator: Option<PathBuf>,
    /// Folder of the ElectraForMaskedLM that was trained with it
    #[arg(long, value_name = "DIR", requires = "discriminator")]
    generator: Option<PathBuf>,
    /// Where to write discriminator/ (the network to keep) and generator/
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Replace networks that are already there
    #[arg(long)]
    overwrite: bool,
}

pub(super) fn run(args: Args, terminal: &Terminal) -> anyhow::Result<()> {
    let mut folders = NetworkFolders::begin(&args.out)?;
    folders.check(if args.overwrite { Replace::Any } else { Replace::Nothing })?;
    // All is read before anything is written.
    let (networks, source) = match (args.folder, args.discriminator, args.generator) {
        (None, Some(discriminator), Some(generator)) => {
            let resolve = |folder: PathBuf| model_folder::resolve(&folder, terminal);
            pair(resolve(discriminator)?, resolve(generator)?, terminal)?
        }
        (folder, ..) => alone(&model_folder::resolve(&folder.unwrap_or_default(), terminal)?, terminal)?,
    };
    for (name, folder, network) in networks {
        // The folder's own name and not its path: a card is made to be published.
        let from = folder.canonicalize()?;
        let from = from.file_name().unwrap_or_default().to_string_lossy();
        let card = ModelCard { name: format!("Imported from {from}"), ..ModelCard::default() };
        folders.add(name, &network, source.as_deref(), &card)?;
    }
    for folder in folders.publish()? {
        terminal.result(folder.display())?;
    }
    Ok(())
}

/// Networks with their places and where they come from, and the folder of their tokenizer.
type Imported = (Vec<(&'static str, PathBuf, Network)>, Option<PathBuf>);

/// A network to keep: a discriminator with its head, else an encoder alone.
fn alone(folder: &Path, terminal: &Terminal) -> anyhow::Result<Imported> {
    let imported = import_encoder(folder)?;
    imported.notices.iter().for_each(|notice| terminal.warn(notice));
    let network = if imported.class == Architecture::PreTraining.class_name() {
        let whole = hugging_face::import(folder)?;
        terminal.note(format_args!("{}: all {} tensors used", imported.class, whole.tensors.len()));
        whole
    } else {
        terminal.note(imported.summary());
        imported.network
    };
    let source = tokenizer(folder, terminal)?.map(|_| folder.to_owned());
    if source.is_none() {
        terminal.warn("the folder has neither a tokenizer.json nor a vocab.txt; the copy has none either");
    }
    Ok((vec![(NETWORKS[0], folder.to_owned(), network)], source))
}

/// A discriminator and the generator that was trained with it.
fn pair(discriminator: PathBuf, generator: PathBuf, terminal: &Terminal) -> anyhow::Result<Imported> {
    let kept = import_as(&discriminator, Architecture::PreTraining.class_name())?;
    let other = import_as(&generator, Architecture::MaskedLm.class_name())?;
    let remedy = "give the generator and the discriminator of one pre-training";
    let [shown, shown_other] = [discriminator.display(), generator.display()];
    let (rows, other_rows) = (kept.config.vocab_size, other.config.vocab_size);
    if rows != other_rows {
        bail!("{shown} has {rows} words and {shown_other} has {other_rows}: they do not belong together\n{remedy}");
    }
    let tokenizers = [tokenizer(&discriminator, terminal)?, tokenizer(&generator, terminal)?];
    if let [Some(one), Some(other)] = &tokenizers
        && one.sha256() != other.sha256()
    {
        bail!(
            "{shown} and {shown_other} have different tokenizers ({} entries, {}; {} entries, {}): they do not belong \
             together\n{remedy}",
            one.vocab_size(),
            one.casing(),
            other.vocab_size(),
            other.casing()
        );
    }
    // Where one has none, it is the other's.
    let source = match tokenizers.each_ref().map(Option::is_some) {
        [true, _] => Some(discriminator.clone()),
        [false, true] => Some(generator.clone()),
        [false, false] => {
            terminal.warn("neither folder has a tokenizer.json or a vocab.txt; the copies have none either");
            None
        }
    };
    Ok((vec![(NETWORKS[0], discriminator, kept), (NETWORKS[1], generator, other)], source))
}

/// The tokenizer in `folder`, if there is one; what is unusual about it is said.
fn tokenizer(folder: &Path, terminal: &Terminal) -> anyhow::Result<Option<Tokenizer>> {
    if !["tokenizer.json", "vocab.txt"].iter().any(|name| folder.join(name).is_file()) {
        return Ok(None);
    }
    let imported = Tokenizer::import(folder, &ImportOptions::default())?;
    for notice in &imported.notices {
        terminal.warn(notice);
    }
    Ok(Some(imported.tokenizer))
}
