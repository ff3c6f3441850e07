//! `electra plot`: the curves of runs in one picture.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::ValueEnum;
use electra_plot::{Options, Panel, Run, X, distinct_names, html, panels, svg};

use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  electra plot runs/mine                              curves.html, for a browser
  electra plot runs/a runs/b --out both.svg           one picture, for a report
  electra plot runs/* --x flops --smooth 0.9          by what they cost, training's rows averaged
  electra plot runs/a runs/b --metric swap_auc --metric discriminator_auc --x hours

Shown unasked are losses, accuracies, AUC, recall, the replaced rate, learning rate, gradient norm, speed and the scores of fine-tuning,
where a run has them; any other column of numbers of metrics.jsonl or timings.jsonl by --metric. Rows of training are drawn apart from held-out ones, values
that are null leave a gap, axes of losses and norms are logarithmic where they span much. The page needs no network and no scripts.
Runs are told apart by colour and dashes, and may be at work.";

/// Draw the curves of one run or several as a page or an SVG
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Folders of runs
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,
    /// The picture, .html or .svg; replaced if it is there
    #[arg(long, value_name = "FILE", default_value = "curves.html")]
    out: PathBuf,
    /// What stands on the horizontal axis
    #[arg(long, value_name = "AXIS", default_value = "steps")]
    x: Axis,
    /// A logarithmic horizontal axis
    #[arg(long)]
    log_x: bool,
    /// Average training's rows: the weight of what was before, as TensorBoard's, 0 to below 1
    #[arg(long, value_name = "WEIGHT", default_value_t = 0.0)]
    smooth: f64,
    /// Show this column; may be repeated [default: the usual ones]
    #[arg(long = "metric", value_name = "NAME")]
    metrics: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Axis {
    Steps,
    /// Padding included
    Tokens,
    /// Floating-point operations
    Flops,
    /// Of training, pauses left out
    Hours,
}

impl From<Axis> for X {
    fn from(axis: Axis) -> Self {
        match axis {
            Axis::Steps => Self::Steps,
            Axis::Tokens => Self::Tokens,
            Axis::Flops => Self::Flops,
            Axis::Hours => Self::Hours,
        }
    }
}

/// Names of runs in a title; more are counted.
const NAMED: usize = 3;

pub(super) fn run(args: Args, terminal: &Terminal) -> anyhow::Result<()> {
    let draw: fn(&str, &[Panel]) -> String = match args.out.extension().and_then(|extension| extension.to_str()) {
        Some("svg") => svg,
        Some("html" | "htm") => html,
        _ => bail!("{}: --out must end with .html or .svg", args.out.display()),
    };
    if !(0.0..1.0).contains(&args.smooth) {
        bail!("--smooth {}: it must be at least 0 and below 1", args.smooth);
    }
    let names = distinct_names(&args.runs);
    let runs =
        args.runs.iter().zip(&names).map(|(folder, name)| read(folder, name)).collect::<anyhow::Result<Vec<_>>>()?;
    let options = Options { x: args.x.into(), log_x: args.log_x, smoothing: args.smooth, metrics: args.metrics };
    let drawn = panels(&runs, &options)?;
    let title = match names.as_slice() {
        few if few.len() <= NAMED => few.join(", "),
        many => format!("{} runs", many.len()),
    };
    electra_data::atomic::write(&args.out, draw(&title, &drawn).as_bytes())
        .with_context(|| format!("{}: cannot write the picture", args.out.display()))?;
    let shown: BTreeSet<&str> = drawn.iter().map(|panel| panel.title.as_str()).collect();
    terminal.note(format_args!("{} curves of {} runs by {}", shown.len(), runs.len(), drawn[0].x_label));
    terminal.result(args.out.display())?;
    Ok(())
}

fn read(folder: &Path, name: &str) -> anyhow::Result<Run> {
    let metrics = folder.join("metrics.jsonl");
    if !metrics.is_file() {
        bail!("{}: no metrics.jsonl in there; name the folders of runs", folder.display());
    }
    let text = |path: &Path| std::fs::read_to_string(path).with_context(|| format!("{}: cannot read", path.display()));
    let timings = folder.join("timings.jsonl");
    let timings = if timings.is_file() { text(&timings)? } else { String::new() };
    Ok(Run::parse(name, &text(&metrics)?, &timings)?)
}
