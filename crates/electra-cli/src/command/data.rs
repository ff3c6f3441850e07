//! `electra data`: datasets, built from text and looked into.

use std::fmt::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use anstyle::{AnsiColor, Style};
use electra_data::{
    BuildOptions, ExampleToken, HeldOutBy, Inspection, LengthHistogram, Manifest, MaskingConfig, SplitStatistics,
    Stage, Tokenizer, build, inspect,
};

use super::input_args::{InputArgs, tell_read};
use crate::terminal::{FAINT_STYLE, HEADING_STYLE, Terminal, Unit};

/// Build a dataset from text, or look into one
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Build(BuildArgs),
    Inspect(InspectArgs),
}

const BUILD_EXAMPLES: &str = "\
Examples:
  electra data build --input books/ --tokenizer tokenizers/books --out data/books
  electra data build --input 'c4/*.json.gz' extra.parquet --tokenizer tokenizers/c4 --out data/c4 --jobs 8
  xzcat corpus.xz | electra data build --input - --tokenizer tokenizers/corpus --out data/corpus

One dataset serves every sequence length. Next: electra data inspect DIR, electra pretrain --data DIR";

/// Turn text into a dataset: token shards, a held-out split and a manifest
#[derive(Debug, clap::Args)]
#[command(after_help = BUILD_EXAMPLES)]
pub(super) struct BuildArgs {
    #[command(flatten)]
    input: InputArgs,
    /// The tokenizer's folder, from `electra tokenizer train` or `import`
    #[arg(long, value_name = "DIR")]
    tokenizer: PathBuf,
    /// The dataset's folder
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The corpus' name in model cards [default: the folder's]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Threads; 0 takes all cores. The result is the same with any number
    #[arg(long, value_name = "N", default_value_t = 0)]
    jobs: usize,
    /// Share of the text that is held out for validation, above 0 and at most 0.5
    #[arg(long, value_name = "SHARE", default_value_t = BuildOptions::default().validation_fraction)]
    validation_fraction: f64,
    /// Decides what is held out
    #[arg(long, default_value_t = BuildOptions::default().seed)]
    seed: u64,
    /// Replace a dataset that is already there; other files in its folder stay
    #[arg(long)]
    overwrite: bool,
    /// Build it even if more than half of the tokens are [UNK]
    #[arg(long)]
    allow_unknown: bool,
}

const INSPECT_EXAMPLES: &str = "\
Examples:
  electra data inspect data/books
  electra data inspect data/books --sequence-length 512 --example 7
  electra data inspect data/books --json | jq '.splits[].tokens'";

/// Check a dataset and show its counts, lengths and an example with its mask
#[derive(Debug, clap::Args)]
#[command(after_help = INSPECT_EXAMPLES)]
pub(super) struct InspectArgs {
    /// The dataset's folder
    dir: PathBuf,
    /// Tokens per example
    #[arg(long, value_name = "N", default_value_t = 128)]
    sequence_length: usize,
    /// Share of the tokens that is masked
    #[arg(long, value_name = "SHARE", default_value_t = MaskingConfig::default().probability)]
    mask_probability: f64,
    /// Which example of the first epoch to show
    #[arg(long, value_name = "I", default_value_t = 0)]
    example: u64,
    /// The run's seed, which decides examples and masks
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print one JSON object in place of the report
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args, terminal: &Terminal) -> anyhow::Result<()> {
    match args.command {
        Command::Build(args) => run_build(args, terminal),
        Command::Inspect(args) => run_inspect(args, terminal),
    }
}

fn run_build(args: BuildArgs, terminal: &Terminal) -> anyhow::Result<()> {
    let tokenizer = Tokenizer::load(&args.tokenizer)?;
    let source = args.input.source(terminal)?;
    let options = BuildOptions {
        validation_fraction: args.validation_fraction,
        seed: args.seed,
        jobs: args.jobs,
        overwrite: args.overwrite,
        name: args.name,
        allow_unknown: args.allow_unknown,
        ..BuildOptions::default()
    };
    let started = Instant::now();
    let mut bar = terminal.progress("tokenizing", source.input_bytes(), Unit::Bytes);
    let manifest = build(&source, &tokenizer, &args.out, &options, &mut |progress| {
        let seconds = started.elapsed().as_secs_f64().max(1e-9);
        let doing = if progress.stage == Stage::Writing { ", writing" } else { "" };
        bar.update(
            progress.input_bytes,
            format_args!("{} tokens, {:.2} M/s{doing}", count(progress.tokens), progress.tokens as f64 / 1e6 / seconds),
        );
        ControlFlow::Continue(())
    })?;
    let seconds = started.elapsed().as_secs_f64().max(1e-9);
    let tokens = manifest.train.tokens + manifest.validation.tokens;
    bar.finish(format_args!(
        "{HEADING_STYLE}Tokenized{HEADING_STYLE:#} {:.1} MB of text in {seconds:.1} s: {:.1} MB/s, {:.2} M tokens/s",
        manifest.text_bytes as f64 / 1e6,
        manifest.text_bytes as f64 / 1e6 / seconds,
        tokens as f64 / 1e6 / seconds,
    ));
    tell_read(&source, terminal);
    warn_of_share(&manifest, terminal);
    if let Some(unknown) = manifest.unknown.as_ref().filter(|unknown| unknown.is_notable()) {
        terminal.warn(format_args!("{}", unknown.explained(&tokenizer)));
    }
    let unit = match manifest.held_out_by {
        HeldOutBy::Documents => "whole documents",
        HeldOutBy::Lines => "blocks of lines, as there are fewer than 200 documents",
    };
    terminal.result(format_args!(
        "{}: {} tokens in {} documents to train on, {} in {} held out ({unit})",
        args.out.display(),
        count(manifest.train.tokens),
        count(manifest.train.documents),
        count(manifest.validation.tokens),
        count(manifest.validation.documents),
    ))?;
    Ok(())
}

/// Says so where text could not be cut to the share that was asked for.
fn warn_of_share(manifest: &Manifest, terminal: &Terminal) {
    let (share, asked) = (manifest.held_out_share(), manifest.validation_fraction);
    if !(asked / 2.0..=asked * 2.0).contains(&share) {
        terminal.warn(format_args!(
            "{:.2} % of the tokens are held out for validation, where {:.2} % were asked for: the text has too few lines and \
             documents to cut it so",
            100.0 * share,
            100.0 * asked
        ));
    }
}

fn run_inspect(args: InspectArgs, terminal: &Terminal) -> anyhow::Result<()> {
    let masking = MaskingConfig { probability: args.mask_probability, ..MaskingConfig::default() };
    let seen = inspect(&args.dir, args.sequence_length, masking, args.seed, args.example)?;
    if let Some(warning) = &seen.unknown_warning {
        terminal.warn(warning);
    }
    if args.json {
        terminal.result(serde_json::to_string_pretty(&seen)?)?;
    } else {
        terminal.result(report(&seen, args.sequence_length).trim_end())?;
    }
    Ok(())
}

fn report(seen: &Inspection, seq: usize) -> String {
    let mut text = String::new();
    let mut line = |line: String| writeln!(text, "{line}").expect("a string takes all");
    let manifest = &seen.manifest;
    line(format!(
        "{HEADING_STYLE}Source{HEADING_STYLE:#}      {} ({:.1} MB of text)",
        shortened(&manifest.sources),
        manifest.text_bytes as f64 / 1e6
    ));
    let hash = manifest.tokenizer_sha256.get(..12).unwrap_or(&manifest.tokenizer_sha256);
    line(format!(
        "{HEADING_STYLE}Tokenizer{HEADING_STYLE:#}   {} entries, sha256 {hash}",
        count(manifest.vocab_size as u64)
    ));
    for split in &seen.splits {
        statistics(split, seq, &mut line);
    }
    line(format!(
        "\n{HEADING_STYLE}An example{HEADING_STYLE:#} {FAINT_STYLE}([MASK] <token>: chosen and masked; <token>: chosen and left as it is; \
         all chosen tokens are predicted){FAINT_STYLE:#}"
    ));
    line(example(&seen.example));
    text
}

fn statistics(split: &SplitStatistics, seq: usize, line: &mut impl FnMut(String)) {
    line(format!(
        "\n{HEADING_STYLE}{}{HEADING_STYLE:#}: {} documents, {} lines, {} tokens in {} shard{}; {} examples of {seq} tokens; {:.2} % [UNK]",
        split.split,
        count(split.documents),
        count(split.lines),
        count(split.tokens),
        split.shards,
        if split.shards == 1 { "" } else { "s" },
        count(split.examples),
        100.0 * split.unknown_share
    ));
    histogram("tokens per line", &split.line_tokens, line);
    histogram("tokens per document", &split.document_tokens, line);
}

fn histogram(name: &str, lengths: &LengthHistogram, line: &mut impl FnMut(String)) {
    const WIDTH: u64 = 40;
    line(format!(
        "  {name}: {} to {}, {:.1} on average",
        count(lengths.shortest),
        count(lengths.longest),
        lengths.mean
    ));
    let most = lengths.counts.iter().copied().max().unwrap_or(1).max(1);
    for (power, &number) in lengths.counts.iter().enumerate().skip_while(|(_, number)| **number == 0) {
        let (from, to) = (1u64 << power, (2u64 << power) - 1);
        let range = if from == to { from.to_string() } else { format!("{from}-{to}") };
        // At least a mark for what is there at all.
        let bar = "#".repeat(number.saturating_mul(WIDTH).div_ceil(most) as usize);
        line(format!("  {FAINT_STYLE}{range:>17}{FAINT_STYLE:#} {:>12} {bar}", count(number)));
    }
}

fn example(tokens: &[ExampleToken]) -> String {
    const CHOSEN: Style = AnsiColor::Yellow.on_default();
    let mut text = String::new();
    for token in tokens {
        let name = &token.token;
        let shown = match (token.chosen, token.masked) {
            (true, true) => format!("{CHOSEN}[MASK]{CHOSEN:#} {FAINT_STYLE}<{name}>{FAINT_STYLE:#}"),
            (true, false) => format!("{CHOSEN}<{name}>{CHOSEN:#}"),
            _ => name.clone(),
        };
        // A continuing piece joins the word before it, unless either is marked.
        match shown.strip_prefix("##") {
            Some(rest) if !text.is_empty() && !text.ends_with('>') => text.push_str(rest),
            _ => {
                if !text.is_empty() {
                    text.push(' ');
                }
                text.push_str(&shown);
            }
        }
    }
    text
}

fn shortened(sources: &[String]) -> String {
    match sources {
        [first, rest @ ..] if rest.len() > 3 => format!("{first} and {} more files", rest.len()),
        all => all.join(", "),
    }
}

/// A number with commas.
fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_commas() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(number), text);
        }
    }

    #[test]
    fn an_example_shows_words_and_marks() {
        let token = |token: &str, chosen, masked| ExampleToken { token: token.into(), segment: 0, chosen, masked };
        let tokens = [
            token("[CLS]", false, false),
            token("play", false, false),
            token("##ing", false, false),
            token("the", true, true),
        ];
        let plain = anstream::adapter::strip_str(&example(&tokens)).to_string();
        assert_eq!(plain, "[CLS] playing [MASK] <the>");
    }
}
