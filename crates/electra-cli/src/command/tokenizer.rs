//! `electra tokenizer`: vocabularies, trained on a corpus or taken over from elsewhere.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::bail;
use electra_data::tokenizer::files::TOKENIZER_FILE;
use electra_data::{OutFolder, Stage, Tokenizer, TrainOptions};

use super::input_args::{InputArgs, tell_read};
use crate::terminal::{HEADING_STYLE, Terminal, Unit};

/// Train a vocabulary, or import one
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Train(TrainArgs),
    Import(ImportArgs),
}

const TRAIN_EXAMPLES: &str = "\
Examples:
  electra tokenizer train --input books/ --vocab-size 8192 --out tokenizers/books
  electra tokenizer train --input 'wiki-*.jsonl.zst' --text-key content --vocab-size 30522 --cased --out tokenizers/wiki
  zcat corpus.gz | electra tokenizer train --input - --vocab-size 16000 --out tokenizers/corpus

The same text gives the same vocabulary. Next: electra data build --tokenizer DIR";

/// Train a WordPiece vocabulary, as BERT's, on your own text in any language
#[derive(Debug, clap::Args)]
#[command(after_help = TRAIN_EXAMPLES)]
pub struct TrainArgs {
    #[command(flatten)]
    input: InputArgs,
    /// Entries, the five special tokens included; a small corpus may give fewer
    #[arg(long, value_name = "N", default_value_t = TrainOptions::default().vocab_size)]
    vocab_size: usize,
    /// The tokenizer's folder: tokenizer.json, tokenizer_config.json, vocab.txt
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Keep capitals and accents; otherwise text is lowercased and accents stripped
    #[arg(long)]
    cased: bool,
    /// Do not merge pairs of pieces seen less often
    #[arg(long, value_name = "N", default_value_t = TrainOptions::default().min_frequency)]
    min_frequency: u64,
    /// Characters to keep, the most frequent ones; raise it for Chinese or Japanese
    #[arg(long, value_name = "N", default_value_t = TrainOptions::default().alphabet_limit)]
    alphabet_limit: usize,
    /// Threads; 0 takes all cores
    #[arg(long, value_name = "N", default_value_t = 0)]
    jobs: usize,
    /// Replace a tokenizer that is already there
    #[arg(long)]
    overwrite: bool,
}

const IMPORT_EXAMPLES: &str = "\
Examples:
  electra tokenizer import bert/vocab.txt --out tokenizers/bert
  electra tokenizer import electra-base-discriminator/ --out tokenizers/electra-base

The vocabulary must hold [PAD], [UNK], [CLS], [SEP] and [MASK]. Truncation and padding in a tokenizer.json are dropped.";

/// Import a vocab.txt, a tokenizer.json or a folder with either
#[derive(Debug, clap::Args)]
#[command(after_help = IMPORT_EXAMPLES)]
pub struct ImportArgs {
    /// A vocab.txt, a tokenizer.json or a folder with either
    path: PathBuf,
    /// The tokenizer's folder: tokenizer.json, tokenizer_config.json, vocab.txt
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The vocabulary has capitals [default: what tokenizer_config.json or the vocabulary itself says]
    #[arg(long, conflicts_with = "uncased")]
    cased: bool,
    /// Text is lowercased and accents stripped
    #[arg(long)]
    uncased: bool,
    /// Replace a tokenizer that is already there
    #[arg(long)]
    overwrite: bool,
}

pub fn run(args: Args, terminal: &Terminal) -> anyhow::Result<()> {
    match args.command {
        Command::Train(args) => train(args, terminal),
        Command::Import(args) => import(args, terminal),
    }
}

fn train(args: TrainArgs, terminal: &Terminal) -> anyhow::Result<()> {
    let out = begin(&args.out, args.overwrite)?;
    let source = args.input.source(terminal)?;
    let options = TrainOptions {
        vocab_size: args.vocab_size,
        lowercase: !args.cased,
        min_frequency: args.min_frequency,
        alphabet_limit: args.alphabet_limit,
        jobs: args.jobs,
    };
    let mut bar = terminal.progress("counting words", source.input_bytes(), Unit::Bytes);
    let tokenizer = Tokenizer::train(&source, &options, &mut |progress| {
        let doing = if progress.stage == Stage::Merging { "merging" } else { "" };
        bar.update(progress.input_bytes, doing);
        ControlFlow::Continue(())
    })?;
    bar.finish(format_args!("{HEADING_STYLE}Vocabulary{HEADING_STYLE:#} {} entries", tokenizer.vocab_size()));
    tell_read(&source, terminal);
    if tokenizer.vocab_size() < args.vocab_size {
        let found = tokenizer.vocab_size();
        terminal.warn(format_args!(
            "the text gives only {found} entries of the {} asked for; models made with it are smaller",
            args.vocab_size
        ));
    }
    save(&tokenizer, out, terminal)
}

fn import(args: ImportArgs, terminal: &Terminal) -> anyhow::Result<()> {
    let out = begin(&args.out, args.overwrite)?;
    let lowercase = match (args.cased, args.uncased) {
        (true, _) => Some(false),
        (_, true) => Some(true),
        _ => None,
    };
    let tokenizer = Tokenizer::import(&args.path, lowercase)?;
    save(&tokenizer, out, terminal)
}

fn save(tokenizer: &Tokenizer, out: OutFolder, terminal: &Terminal) -> anyhow::Result<()> {
    let folder = out.path().to_owned();
    tokenizer.save(out.building())?;
    out.publish(&[TOKENIZER_FILE.into()], &[])?;
    terminal.result(format_args!(
        "{}: {} entries, {}, sha256 {}",
        folder.display(),
        tokenizer.vocab_size(),
        if tokenizer.lowercase() { "lowercased" } else { "cased" },
        &tokenizer.sha256()[..12]
    ))?;
    Ok(())
}

/// The folder that a tokenizer is to be written into, before any text is read. One that is there already belongs to
/// datasets and models that would no longer fit.
fn begin(folder: &Path, overwrite: bool) -> anyhow::Result<OutFolder> {
    let out = OutFolder::begin(folder)?;
    if !overwrite && !out.is_vacant()? {
        bail!(
            "{}: the folder is not empty; choose another --out, or replace the tokenizer there with --overwrite",
            folder.display()
        );
    }
    Ok(out)
}
