//! `electra fill`: the generator's likeliest tokens for each [MASK].

use std::path::PathBuf;

use anyhow::Context;
use electra_kernels::device::DeviceChoice;
use electra_train::inference::Filler;
use serde_json::json;

use super::texts;
use crate::model_folder;
use crate::terminal::{FAINT_STYLE, HEADING_STYLE, Terminal};
use crate::verification::open_checked;

const EXAMPLES: &str = "\
Examples:
  electra fill \"the [MASK] cooked the meal\"
  electra fill --top-k 20 --json \"the [MASK] cooked the [MASK]\"
  electra fill < sentences.txt             one text a line";

/// Show the generator's likeliest tokens for each [MASK] in a text
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Texts, each with at least one [MASK]; without any, each line of standard input is one
    #[arg(value_name = "TEXT")]
    texts: Vec<String>,
    /// How many tokens to show for each [MASK]
    #[arg(long, short = 'k', default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    top_k: u32,
    /// A run's folder or an exported generator, or ORG/NAME of the Hugging Face Hub [default: the newest
    /// run under runs/, else the model that Electra brings]
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// auto, cpu, gpu or gpu:N; a sentence is scored fastest on the CPU
    #[arg(long, default_value_t = DeviceChoice::Cpu)]
    device: DeviceChoice,
    /// Print one JSON object per text
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args, terminal: &Terminal) -> anyhow::Result<()> {
    let found = model_folder::find_or_brought(args.model.as_deref(), "generator", terminal)?;
    let device = open_checked(args.device, terminal)?;
    terminal.detail(format_args!("{} on {}", found.folder().place().display(), device.description));
    let filler = Filler::load(found.folder(), &device.device)?;
    filler.notices.iter().for_each(|notice| terminal.warn(notice));
    let is_single = args.texts.len() == 1;
    texts::for_each(&args.texts, |text| {
        let masks = filler.fill(text, args.top_k as usize).with_context(|| quoted(text))?;
        if args.json {
            let masks: Vec<_> = masks.iter().map(|candidates| json!({ "candidates": candidates })).collect();
            return Ok(terminal.result(json!({ "text": text, "masks": masks }))?);
        }
        if !is_single {
            terminal.result(text)?;
        }
        for (number, guesses) in masks.iter().enumerate() {
            terminal.result(format_args!("{HEADING_STYLE}[MASK] {}{HEADING_STYLE:#}", number + 1))?;
            for guess in guesses {
                let (token, probability) = (&guess.token, guess.probability);
                terminal.result(format_args!("  {token:<20} {FAINT_STYLE}{probability:.4}{FAINT_STYLE:#}"))?;
            }
        }
        Ok(())
    })
}

/// The text's beginning, for a message.
fn quoted(text: &str) -> String {
    const SHOWN: usize = 60;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("\"{}...\"", &text[..end]),
        None => format!("\"{text}\""),
    }
}
