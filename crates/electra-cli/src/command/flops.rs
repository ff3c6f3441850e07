//! `electra flops`: what a pre-training costs, counted and not measured.

use std::path::PathBuf;

use anyhow::Context;
use clap::ValueEnum;
use electra_train::config::{self, RunConfig};
use electra_train::estimate::ledger::{self, Cost, Part, Place, Row, Step};
use electra_train::objective_of;
use serde::Serialize;
use serde_json::json;

use crate::terminal::{HEADING_STYLE, Terminal};

const EXAMPLES: &str = "\
Examples:
  electra flops --preset small
  electra flops runs/small --json | jq .flops_per_step
  electra flops --preset base --set train.recompute=true --device gpu
  electra flops --preset small --rule reference    beside the paper's 1.4e18 for ELECTRA-Small
  electra flops --reference                        the reference's seven numbers

Exact: a multiply-add is two operations, every other arithmetic operation one, the backward pass as our kernels run it;
bytes are those that every operation reads and writes if it touches each value once, in 32 bits. Reference: the rules of
google-research/electra's flops_computation.py, by which the paper's numbers are made.";

/// Count the operations of a pre-training, part by part
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// A run's folder
    #[arg(value_name = "RUN", conflicts_with_all = ["preset", "config", "reference"])]
    run: Option<PathBuf>,
    /// Sizes of the networks, and steps [default: small]
    #[arg(long)]
    preset: Option<String>,
    /// A run.toml whose keys replace the preset's
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Replaces one key; may be repeated, the last one counts
    #[arg(long = "set", value_name = "KEY=VALUE", conflicts_with = "run")]
    sets: Vec<String>,
    /// How operations are counted
    #[arg(long, default_value = "exact")]
    rule: RuleName,
    /// Where the step runs: kernels of adapters keep no probabilities of attention, and compute them again
    #[arg(long, default_value = "gpu")]
    device: PlaceName,
    /// The seven numbers that the reference publishes, counted here by its rule
    #[arg(long, conflicts_with_all = ["preset", "config", "sets"])]
    reference: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum RuleName {
    Exact,
    Reference,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PlaceName {
    Cpu,
    Gpu,
}

pub(super) fn run(args: Args, terminal: &Terminal) -> anyhow::Result<()> {
    if args.reference {
        return published(args.json, terminal);
    }
    let config = match &args.run {
        Some(run) => {
            RunConfig::load_from(run).with_context(|| format!("{}: not the folder of a run", run.display()))?
        }
        None => {
            let preset = args.preset.as_deref().or(args.config.is_none().then_some("small"));
            config::resolve_with_file(preset, args.config.as_deref(), &args.sets)?
        }
    };
    let objective = objective_of(&config, &config.objective)?;
    let train = &config.train;
    let place = if args.device == PlaceName::Cpu { Place::Cpu } else { Place::Adapter };
    let step = Step::of(&config, &*objective, place);
    let tokens = (step.batch_size * step.sequence_length) as f64;
    let phases: Vec<Phase> = ledger::phases(&*objective, train.steps)
        .into_iter()
        .map(|(name, steps)| {
            let networks = objective.networks_in(name);
            let (rows, step) = match args.rule {
                RuleName::Exact => {
                    let rows = ledger::exact(&networks, &step);
                    let total = rows.iter().map(Row::total).sum();
                    (rows, total)
                }
                RuleName::Reference => {
                    let flops = ledger::reference(&networks, step.batch_size, step.sequence_length);
                    (Vec::new(), Cost { flops, bytes: 0.0 })
                }
            };
            Phase { name, steps, step, rows }
        })
        .collect();
    let over_the_run = |of: fn(&Cost) -> f64| phases.iter().map(|phase| of(&phase.step) * phase.steps as f64).sum();
    let (whole, moved): (f64, f64) = (over_the_run(|cost| cost.flops), over_the_run(|cost| cost.bytes));
    // A mean over the phases, of which most objectives have one.
    let total = Cost { flops: whole / train.steps as f64, bytes: moved / train.steps as f64 };
    let bytes = (args.rule == RuleName::Exact).then_some(total.bytes);
    if args.json {
        let parts = phases.iter().flat_map(|phase| {
            phase.rows.iter().map(|row| {
                let mut part = json!(row);
                if phases.len() > 1 {
                    part["phase"] = json!(phase.name);
                }
                part
            })
        });
        terminal.result(json!({
            "rule": args.rule,
            "parameters": step.parameters,
            "tokens_per_step": tokens,
            "steps": train.steps,
            "flops_per_step": total.flops,
            "flops_per_token": total.flops / tokens,
            "flops": whole,
            "bytes_per_step": bytes,
            "parts": parts.collect::<Vec<_>>(),
        }))?;
        return Ok(());
    }
    let line =
        |name: &str, value: String| terminal.result(format_args!("{HEADING_STYLE}{name:<12}{HEADING_STYLE:#} {value}"));
    line("parameters", format!("{:.2} M", step.parameters / 1e6))?;
    line("a step", format!("{:.4e} FLOPs over {} x {} tokens", total.flops, step.batch_size, step.sequence_length))?;
    line("a token", format!("{:.4e} FLOPs", total.flops / tokens))?;
    line("the run", format!("{whole:.4e} FLOPs in {} steps", train.steps))?;
    if let Some(bytes) = bytes {
        line(
            "memory",
            format!("{:.2} GB read and written a step, {:.1} FLOPs a byte", bytes / 1e9, total.flops / bytes),
        )?;
        for phase in &phases {
            if phases.len() > 1 {
                terminal.result(format_args!("\n{} steps of the phase \"{}\":", phase.steps, phase.name))?;
            }
            table(&phase.rows, phase.step, terminal)?;
        }
    }
    Ok(())
}

/// Steps of one kind.
struct Phase {
    name: &'static str,
    steps: u64,
    /// One of them.
    step: Cost,
    /// The same in parts, where the rule knows them.
    rows: Vec<Row>,
}

fn published(as_json: bool, terminal: &Terminal) -> anyhow::Result<()> {
    let numbers = ledger::published();
    if as_json {
        terminal.result(json!(numbers))?;
        return Ok(());
    }
    for number in numbers {
        terminal.result(format_args!("{:<14} {:.3e}   {}", number.name, number.flops, number.of))?;
    }
    Ok(())
}

fn table(rows: &[Row], total: Cost, terminal: &Terminal) -> anyhow::Result<()> {
    terminal.result(format_args!(
        "\n{HEADING_STYLE}{:<26} {:>10} {:>10} {:>10} {:>10} {:>7}{HEADING_STYLE:#}",
        "GFLOPs", "forward", "backward", "again", "GB moved", "share"
    ))?;
    for row in rows {
        let name = match row.network {
            Some(network) => format!("{network}, {}", name_of(row.part)),
            None => name_of(row.part).to_owned(),
        };
        terminal.result(format_args!(
            "{name:<26} {:>10.2} {:>10.2} {:>10.2} {:>10.3} {:>6.1}%",
            row.forward.flops / 1e9,
            row.backward.flops / 1e9,
            row.recompute.flops / 1e9,
            row.total().bytes / 1e9,
            100.0 * row.total().flops / total.flops
        ))?;
    }
    Ok(())
}

fn name_of(part: Part) -> &'static str {
    match part {
        Part::Embeddings => "embeddings",
        Part::Products => "products",
        Part::Attention => "attention",
        Part::Elementwise => "elementwise",
        Part::Head => "head",
        Part::Optimizer => "optimizer",
    }
}
