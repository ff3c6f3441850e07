//! `electra tokenizer`: vocabularies, trained on a corpus or taken over from elsewhere.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::bail;
use electra_data::tokenizer::files::TOKENIZER_FILE;
use electra_data::{ImportOptions, OutFolder, Stage, StripAccents, Tokenizer, TrainOptions, Trained};

use super::input_args::{InputArgs, tell_left_out_characters, tell_read};
use crate::terminal::{HEADING_STYLE, Terminal, Unit};

/// Train a vocabulary, or import one
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
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
pub(super) struct TrainArgs {
    #[command(flatten)]
    input: InputArgs,
    /// Entries, the five special tokens included; a small corpus may give fewer
    #[arg(long, value_name = "N", default_value_t = TrainOptions::default().vocab_size)]
    vocab_size: usize,
    /// The tokenizer's folder: tokenizer.json, tokenizer_config.json, vocab.txt
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Keep capitals and accents; otherwise text is lowercased
    #[arg(long)]
    cased: bool,
    /// Take accents off letters; `auto` does it for Latin, Greek and Cyrillic unless capitals are kept, and leaves vowel
    /// signs and other marks where they are, `true` does it as BERT, for all scripts
    #[arg(long, value_name = "auto|true|false", default_value = "auto", value_parser = parse_strip_accents)]
    strip_accents: StripAccents,
    /// Do not merge pairs of pieces seen less often
    #[arg(long, value_name = "N", default_value_t = TrainOptions::default().min_frequency)]
    min_frequency: u64,
    /// Characters to keep, the most frequent ones [default: those that make up 99.99 % of the text, 1000 at least and half of
    /// the vocabulary at most]
    #[arg(long, value_name = "N", alias = "limit-alphabet")]
    alphabet_limit: Option<usize>,
    /// Keep no more than N pieces of words, and whole words for the rest: better for small vocabularies and networks, which can
    /// tell little of words in pieces [default: whatever is merged, as BERT]
    #[arg(long, value_name = "N")]
    pieces: Option<usize>,
    /// Threads; 0 takes all cores
    #[arg(long, value_name = "N", default_value_t = 0)]
    jobs: usize,
    /// Replace a tokenizer that is already there
    #[arg(long)]
    overwrite: bool,
    /// Write it even if more than half of the text's tokens are [UNK]
    #[arg(long)]
    allow_unknown: bool,
}

const IMPORT_EXAMPLES: &str = "\
Examples:
  electra tokenizer import bert/vocab.txt --out tokenizers/bert
  electra tokenizer import electra-base-discriminator/ --out tokenizers/electra-base

The vocabulary must hold [PAD], [UNK], [CLS], [SEP] and [MASK]. Truncation and padding in a tokenizer.json are dropped.";

/// Import a vocab.txt, a tokenizer.json or a folder with either
#[derive(Debug, clap::Args)]
#[command(after_help = IMPORT_EXAMPLES)]
pub(super) struct ImportArgs {
    /// A vocab.txt, a tokenizer.json or a folder with either
    path: PathBuf,
    /// The tokenizer's folder: tokenizer.json, tokenizer_config.json, vocab.txt
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The vocabulary has capitals [default: what tokenizer_config.json or the vocabulary itself says]
    #[arg(long, conflicts_with = "uncased")]
    cased: bool,
    /// Text is lowercased
    #[arg(long)]
    uncased: bool,
    /// Whether accents are taken off letters [default: what tokenizer_config.json or the vocabulary itself says]
    #[arg(long, value_name = "auto|true|false", default_value = "auto", hide_default_value = true, value_parser = parse_strip_accents)]
    strip_accents: StripAccents,
    /// Replace a tokenizer that is already there
    #[arg(long)]
    overwrite: bool,
}

pub(super) fn run(args: Args, terminal: &Terminal) -> anyhow::Result<()> {
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
        strip_accents: args.strip_accents,
        min_frequency: args.min_frequency,
        alphabet_limit: args.alphabet_limit,
        pieces: args.pieces,
        jobs: args.jobs,
    };
    let mut bar = terminal.progress("counting words", source.input_bytes(), Unit::Bytes);
    let Trained { tokenizer, unknown, left_out } = Tokenizer::train_with_report(&source, &options, &mut |progress| {
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
    if let Some(left_out) = &left_out {
        tell_left_out_characters(left_out, terminal);
    }
    if unknown.is_refused() && !args.allow_unknown {
        bail!("{}; nothing was written\n--allow-unknown writes it all the same", unknown.explained(&tokenizer));
    }
    if unknown.is_notable() {
        terminal.warn(unknown.explained(&tokenizer));
    }
    save(&tokenizer, out, terminal)
}

fn parse_strip_accents(word: &str) -> Result<StripAccents, String> {
    match word {
        "auto" => Ok(StripAccents::Auto),
        "true" => Ok(StripAccents::Always),
        "false" => Ok(StripAccents::Never),
        _ => Err("it is auto, true or false".to_owned()),
    }
}

fn import(args: ImportArgs, terminal: &Terminal) -> anyhow::Result<()> {
    let out = begin(&args.out, args.overwrite)?;
    let lowercase = match (args.cased, args.uncased) {
        (true, _) => Some(false),
        (_, true) => Some(true),
        _ => None,
    };
    let options = ImportOptions { lowercase, strip_accents: args.strip_accents };
    let imported = Tokenizer::import(&args.path, &options)?;
    for notice in &imported.notices {
        terminal.warn(notice);
    }
    save(&imported.tokenizer, out, terminal)
}

fn save(tokenizer: &Tokenizer, out: OutFolder, terminal: &Terminal) -> anyhow::Result<()> {
    let folder = out.path().to_owned();
    tokenizer.save(out.building())?;
    out.publish(&[TOKENIZER_FILE.into()], &[])?;
    terminal.result(format_args!(
        "{}: {} entries, {}, sha256 {}",
        folder.display(),
        tokenizer.vocab_size(),
        tokenizer.casing(),
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
