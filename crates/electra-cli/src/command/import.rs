//! `electra import`: checks networks from elsewhere and makes a folder that `pretrain --init-from` takes.

use std::path::{Path, PathBuf};

use anyhow::bail;
use electra_data::{ImportOptions, Tokenizer};
use electra_train::exchange::export::{NETWORKS, NetworkFolders, Replace};
use electra_train::exchange::hugging_face::{Architecture, import_as};
use electra_train::exchange::model_card::ModelCard;

use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  electra import --discriminator electra-small-discriminator --generator electra-small-generator --out start
  electra pretrain --preset small --data data --init-from start --out runs/continued

The folders are those of Hugging Face's transformers: config.json, model.safetensors (or its parts and their index) and the
tokenizer's files. Weights in half precision become f32.";

/// Check networks in Hugging Face's layout and copy them to where training can start from
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
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

pub(super) fn run(args: Args, terminal: &Terminal) -> anyhow::Result<()> {
    let mut folders = NetworkFolders::begin(&args.out)?;
    folders.check(if args.overwrite { Replace::Any } else { Replace::Nothing })?;
    // Both are read before anything is written.
    let discriminator = import_as(&args.discriminator, Architecture::PreTraining.class_name())?;
    let generator = import_as(&args.generator, Architecture::MaskedLm.class_name())?;
    let (rows, other) = (discriminator.config.vocab_size, generator.config.vocab_size);
    if rows != other {
        bail!(
            "{} has {rows} words and {} has {other}: they do not belong together\n\
             give the generator and the discriminator of one pre-training",
            args.discriminator.display(),
            args.generator.display()
        );
    }
    let tokenizers = [tokenizer(&args.discriminator, terminal)?, tokenizer(&args.generator, terminal)?];
    if let [Some(one), Some(other)] = &tokenizers
        && one.sha256() != other.sha256()
    {
        bail!(
            "{} and {} have different tokenizers ({} entries, {}; {} entries, {}): they do not belong together\n\
             give the generator and the discriminator of one pre-training",
            args.discriminator.display(),
            args.generator.display(),
            one.vocab_size(),
            one.casing(),
            other.vocab_size(),
            other.casing()
        );
    }
    // Where one has none, it is the other's.
    let [own, others] = tokenizers.each_ref().map(Option::is_some);
    let source = match (own, others) {
        (true, _) => Some(args.discriminator.as_path()),
        (false, true) => Some(args.generator.as_path()),
        (false, false) => {
            terminal.warn("neither folder has a tokenizer.json or a vocab.txt; the copies have none either");
            None
        }
    };
    for (name, folder, network) in
        [(NETWORKS[0], &args.discriminator, discriminator), (NETWORKS[1], &args.generator, generator)]
    {
        // The folder's own name and not its path: a card is made to be published.
        let from = folder.canonicalize()?;
        let from = from.file_name().unwrap_or_default().to_string_lossy();
        let card = ModelCard { name: format!("Imported from {from}"), ..ModelCard::default() };
        folders.add(name, &network, source, &card)?;
    }
    for folder in folders.publish()? {
        terminal.result(folder.display())?;
    }
    Ok(())
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
