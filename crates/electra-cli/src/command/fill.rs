//! `electra fill`: the generator's likeliest tokens for each [MASK].

use std::path::PathBuf;

use electra_kernels::device::DeviceChoice;
use electra_train::detect::Filler;
use serde_json::json;

use crate::model_folder;
use crate::terminal::{FAINT_STYLE, HEADING_STYLE, Terminal};
use crate::verification::open_checked;

const EXAMPLES: &str = "\
Examples:
  electra fill \"the [MASK] cooked the meal\"
  electra fill --top-k 20 --json \"the [MASK] cooked the [MASK]\"";

/// Show the generator's likeliest tokens for each [MASK] in a text
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The text, with at least one [MASK]
    text: String,
    /// How many tokens to show for each [MASK]
    #[arg(long, short = 'k', default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    top_k: u32,
    /// A run's folder or an exported generator [default: the newest run under runs/]
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// auto, cpu, gpu or gpu:N; a sentence is scored fastest on the CPU
    #[arg(long, default_value_t = DeviceChoice::Cpu)]
    device: DeviceChoice,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args, terminal: &Terminal) -> anyhow::Result<()> {
    let folder = model_folder::find(args.model.as_deref(), "generator")?;
    let device = open_checked(args.device, terminal)?;
    terminal.detail(format_args!("{} on {}", folder.display(), device.description));
    let filler = Filler::load(&folder, &device.device)?;
    let masks = filler.fill(&args.text, args.top_k as usize)?;
    if args.json {
        let masks: Vec<_> = masks.iter().map(|candidates| json!({ "candidates": candidates })).collect();
        terminal.result(json!({ "text": args.text, "masks": masks }))?;
        return Ok(());
    }
    for (number, guesses) in masks.iter().enumerate() {
        terminal.result(format_args!("{HEADING_STYLE}[MASK] {}{HEADING_STYLE:#}", number + 1))?;
        for guess in guesses {
            terminal
                .result(format_args!("  {:<20} {FAINT_STYLE}{:.4}{FAINT_STYLE:#}", guess.token, guess.probability))?;
        }
    }
    Ok(())
}
