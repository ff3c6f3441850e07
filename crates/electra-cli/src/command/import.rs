//! `electra import`: checks networks from elsewhere and makes a folder that `pretrain --init-from` takes.

use std::path::PathBuf;

use electra_train::export::{NETWORKS, NetworkFolders, Replace};
use electra_train::hugging_face::{Architecture, import_as};
use electra_train::model_card::ModelCard;

use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  electra import --discriminator electra-small-discriminator --generator electra-small-generator --out start
  electra pretrain --preset small --data data --init-from start --out runs/continued

The folders are those of Hugging Face's transformers: config.json, model.safetensors and the tokenizer's files. Weights
in half precision become f32.";

/// Check networks in Hugging Face's layout and copy them to where training can start from
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Folder of an ElectraForPreTraining
    #[arg(long, value_name = "DIR")]
    discriminator: PathBuf,
    /// Folder of an ElectraForMaskedLM
    #[arg(long, value_name = "DIR")]
    generator: PathBuf,
    /// Where to write discriminator/ and generator/
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Replace networks that are already there
    #[arg(long)]
    overwrite: bool,
}

pub fn run(args: Args, terminal: &Terminal) -> anyhow::Result<()> {
    let mut folders = NetworkFolders::begin(&args.out)?;
    folders.check(if args.overwrite { Replace::Any } else { Replace::Nothing })?;
    // Both are read before anything is written.
    let mut read = Vec::new();
    for (name, folder, architecture) in [
        (NETWORKS[0], &args.discriminator, Architecture::PreTraining),
        (NETWORKS[1], &args.generator, Architecture::MaskedLm),
    ] {
        read.push((name, folder, import_as(folder, architecture.class_name())?));
    }
    for (name, folder, network) in read {
        let tokenizer = folder.join("tokenizer.json").is_file().then_some(folder.as_path());
        if tokenizer.is_none() {
            terminal.warn(format_args!("{}: no tokenizer.json; the copy has none either", folder.display()));
        }
        // The folder's own name and not its path: a card is made to be published.
        let source = folder.canonicalize()?;
        let source = source.file_name().unwrap_or_default().to_string_lossy();
        let card = ModelCard { name: format!("Imported from {source}"), ..ModelCard::default() };
        folders.add(name, &network, tokenizer, &card)?;
    }
    for folder in folders.publish()? {
        terminal.result(folder.display())?;
    }
    Ok(())
}
