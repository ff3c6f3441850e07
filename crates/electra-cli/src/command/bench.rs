//! `electra bench step`: what a training step costs on a device.

use std::time::Instant;

use anyhow::bail;
use electra_data::{Batch, MaskingConfig, SpecialTokens, choose_masked};
use electra_kernels::device::{DeviceChoice, open};
use electra_train::pretrain::{layout_of, objective_of};
use electra_train::run_config::{self, MicroBatch};
use electra_train::{AdamConfig, trainer::Trainer};
use serde_json::json;

use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  electra bench step --preset small --batch 8 --seq 128 --device cpu
  electra bench step --preset tiny --json | jq .tokens_per_second

Tokens are random, since only shapes matter; dropout is the preset's. tests/bench/joint_step.py runs PyTorch's step beside
it in turns.";

/// Measure the training step
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Step(Step),
}

/// Time whole training steps: forward, backward, optimizer
#[derive(Debug, clap::Args)]
struct Step {
    /// Sizes of the networks
    #[arg(long, default_value = "small")]
    preset: String,
    /// Examples per step [default: the preset's]
    #[arg(long)]
    batch: Option<usize>,
    /// Tokens per example [default: the preset's]
    #[arg(long)]
    seq: Option<usize>,
    /// Steps to time, after two that are not
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    steps: u64,
    /// auto, cpu, gpu or gpu:N
    #[arg(long, default_value_t = DeviceChoice::Auto)]
    device: DeviceChoice,
    /// Replaces one key of the preset; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args, terminal: &Terminal) -> anyhow::Result<()> {
    let What::Step(args) = args.what;
    let mut sets = args.sets.clone();
    sets.extend(args.batch.map(|batch| format!("train.batch_size={batch}")));
    sets.extend(args.seq.map(|seq| format!("train.sequence_length={seq}")));
    let mut config = run_config::resolve(Some(&args.preset), None, &sets)?;
    let opened = open(args.device)?;
    if let Some(warning) = &opened.warning {
        terminal.warn(warning);
    }
    super::pretrain::settle_micro_batch(&mut config, &opened);
    let MicroBatch::Size(micro_batch) = config.train.micro_batch else { unreachable!("just settled") };
    let train = &config.train;
    let special = SpecialTokens { pad: 0, unknown: 1, cls: 2, sep: 3, mask: 4 };
    if config.model.vocab_size < 6 {
        bail!("model.vocab_size {} leaves no token beside the special ones", config.model.vocab_size);
    }
    let masking = MaskingConfig { probability: config.data.masking_probability, ..MaskingConfig::default() };
    let mut batch = Batch::new(train.sequence_length, masking.max_masked(train.sequence_length));
    for row in 0..train.batch_size as u32 {
        let mut ids: Vec<i32> = (0..train.sequence_length as u32)
            .map(|i| 5 + ((row * 7919 + i * 104_729) % (config.model.vocab_size as u32 - 5)) as i32)
            .collect();
        ids[0] = special.cls as i32;
        ids[train.sequence_length - 1] = special.sep as i32;
        let masked = choose_masked(&ids, special, &masking, batch.max_masked, (config.seed, 0, u64::from(row)));
        batch.push(&ids, train.sequence_length, &masked, special, row);
    }
    let objective = objective_of(&config, &config.objective)?;
    let layout = layout_of(&config, objective.as_ref());
    let mut trainer = Trainer::initialize(
        objective,
        &layout,
        AdamConfig::from(train),
        special,
        config.seed,
        micro_batch,
        &opened.device,
    );
    for step in 0..2 {
        trainer.step(&batch, step, 1e-4);
    }
    let mut seconds = Vec::new();
    for step in 0..args.steps {
        let started = Instant::now();
        // A step reads its loss back, so that it is over when it returns.
        trainer.step(&batch, 2 + step, 1e-4);
        seconds.push(started.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    let median = seconds[seconds.len() / 2];
    let tokens = (train.batch_size * train.sequence_length) as f64;
    if args.json {
        terminal.result(json!({
            "backend": if opened.is_gpu { "wgpu" } else { "flex" },
            "adapter": opened.description,
            "preset": args.preset,
            "batch": train.batch_size,
            "seq": train.sequence_length,
            "micro_batch": micro_batch,
            "parameters": layout.parameter_count(),
            "seconds_per_step": median,
            "fastest_seconds_per_step": seconds[0],
            "tokens_per_second": tokens / median,
        }))?;
    } else {
        terminal.result(format_args!(
            "{}: {} x {} tokens, {median:.4} s a step (fastest {:.4}), {:.0} tokens/s on {}",
            args.preset,
            train.batch_size,
            train.sequence_length,
            seconds[0],
            tokens / median,
            opened.description
        ))?;
    }
    Ok(())
}
