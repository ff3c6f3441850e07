//! `electra bench`: what a training step, and each of its operations, costs on a device.

use std::time::Instant;

use anyhow::bail;
use burn::tensor::Device;
use electra_data::{Batch, SpecialTokens, choose_masked};
use electra_kernels::device::DeviceChoice;
use electra_kernels::{Precision, benchmark, launches, with_reference_only};
use electra_train::config;
use electra_train::estimate::ledger;
use electra_train::pretraining::learner::ObjectiveLearner;
use electra_train::step::part_clock::{PartClock, PartSeconds};
use electra_train::step::trainer::Trainer;
use electra_train::{During, Plan};
use serde_json::json;

use crate::preparation;
use crate::terminal::Terminal;
use crate::verification::open_checked;

const EXAMPLES: &str = "\
Examples:
  electra bench step --preset small --batch 8 --seq 128 --device cpu
  electra bench step --preset tiny --json | jq .tokens_per_second
  electra bench step --preset tiny --device gpu --profile
  electra bench kernels --preset small --batch 8 --device gpu

Tokens are random, since only shapes matter; dropout is the preset's. tests/bench/joint_step.py runs PyTorch's step beside
it in turns.";

const STEP_NOTES: &str = "\
Forward, backward and optimizer seconds are medians of steps of their own, behind those that are
timed whole, since the device is waited for between the parts. Forward: batch to the device,
networks, losses, the generator's sample and, with our kernels, the gradients of the MLM loss, which
are made with it. Backward: all other gradients. Optimizer: gradients of micro-batches added up, the
norm, the update. What is missing to a whole step is the reading of its numbers.";

/// Measure the training step or its operations
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Step(Step),
    Kernels(Kernels),
}

/// Time every operation beside its reference body and the device's best
#[derive(Debug, clap::Args)]
struct Kernels {
    /// Sizes of the network
    #[arg(long, default_value = "tiny")]
    preset: String,
    /// Examples [default: the preset's]
    #[arg(long)]
    batch: Option<usize>,
    /// Tokens per example [default: the preset's]
    #[arg(long)]
    seq: Option<usize>,
    /// Only operations whose name contains this
    #[arg(long, default_value = "")]
    only: String,
    /// Runs of each, of which the fastest counts
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    runs: u64,
    /// auto, cpu, gpu or gpu:N
    #[arg(long, default_value_t = DeviceChoice::Auto)]
    device: DeviceChoice,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Time whole training steps, and their parts: forward, backward, optimizer
#[derive(Debug, clap::Args)]
#[command(after_help = STEP_NOTES)]
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
    /// Show where a step's time goes, kernel by kernel
    #[arg(long)]
    profile: bool,
    /// Keep each encoder layer's input alone for the backward pass
    #[arg(long)]
    recompute: bool,
    /// What matrix products on a graphics adapter read
    #[arg(long, value_name = "f32|f16", value_parser = preparation::parse_precision)]
    precision: Option<Precision>,
    /// Leave out the step of Burn's primitives, which is timed in turns with ours
    #[arg(long)]
    no_plain: bool,
    /// Replaces one key of the preset; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args, terminal: &Terminal) -> anyhow::Result<()> {
    match args.what {
        What::Step(args) => step(args, terminal),
        What::Kernels(args) => kernels(args, terminal),
    }
}

fn kernels(args: Kernels, terminal: &Terminal) -> anyhow::Result<()> {
    let mut sets = Vec::new();
    sets.extend(args.batch.map(|batch| format!("train.batch_size={batch}")));
    sets.extend(args.seq.map(|seq| format!("train.sequence_length={seq}")));
    let config = config::resolve(Some(&args.preset), None, &sets)?;
    let opened = open_checked(args.device, terminal)?;
    let network = config.model.discriminator();
    let shapes = benchmark::Shapes {
        batch: config.train.batch_size,
        seq: config.train.sequence_length,
        hidden: network.hidden_size,
        inner: network.intermediate_size,
        heads: network.num_attention_heads,
        vocab: network.vocab_size,
        embedding: network.embedding_size,
        masked: config.masking().max_masked(config.train.sequence_length),
    };
    let runs = args.runs as usize;
    let best = benchmark::roofline(&opened.device, runs);
    if !args.json {
        terminal.result(format_args!(
            "{}: a copy moves {:.1} GB/s, a product does {:.1} GFLOP/s\n{:<36} {:>19} {:>19} {:>8} {:>8}",
            opened.description,
            best.bytes_per_second / 1e9,
            best.flops_per_second / 1e9,
            "ms, forward + backward",
            "ours",
            "primitives",
            "speedup",
            "of best"
        ))?;
    }
    let mut failure = None;
    let timings = benchmark::kernels(&opened.device, &shapes, &args.only, runs, &best, &mut |timing| {
        if args.json {
            return;
        }
        let pair = |forward: f64, backward: f64| format!("{:.2} + {:.2}", forward * 1e3, backward * 1e3);
        let printed = terminal.result(format_args!(
            "{:<36} {:>19} {:>19} {:>7.1}x {:>7.0}%",
            timing.name,
            pair(timing.forward_seconds, timing.backward_seconds),
            pair(timing.reference_forward_seconds, timing.reference_backward_seconds),
            timing.speedup,
            timing.share_of_roofline * 100.0
        ));
        failure = failure.take().or(printed.err());
    });
    if let Some(failure) = failure {
        return Err(failure.into());
    }
    if timings.is_empty() {
        bail!("--only {:?}: no operation has that in its name; leave --only out to see them all", args.only);
    }
    if args.json {
        terminal.result(json!({
            "backend": if opened.is_gpu { "wgpu" } else { "flex" },
            "adapter": opened.description,
            "preset": args.preset,
            "shapes": shapes,
            "roofline": best,
            "kernels": timings,
        }))?;
    }
    Ok(())
}

fn step(args: Step, terminal: &Terminal) -> anyhow::Result<()> {
    let mut sets = args.sets.clone();
    sets.extend(args.batch.map(|batch| format!("train.batch_size={batch}")));
    sets.extend(args.seq.map(|seq| format!("train.sequence_length={seq}")));
    sets.extend(args.recompute.then(|| "train.recompute=true".to_owned()));
    sets.extend(args.precision.map(|precision| format!("train.precision=\"{precision}\"")));
    let mut config = config::resolve(Some(&args.preset), None, &sets)?;
    let opened = open_checked(args.device, terminal)?;
    preparation::check_precision(&config, &opened)?;
    preparation::settle_micro_batch(&mut config, &opened);
    preparation::check_arrays(&config, &opened)?;
    let train = &config.train;
    let special = SpecialTokens { pad: 0, unknown: 1, cls: 2, sep: 3, mask: 4 };
    if config.model.vocab_size < 6 {
        bail!("model.vocab_size {} leaves no token beside the special ones", config.model.vocab_size);
    }
    let masking = config.masking();
    let mut batch = Batch::new(train.sequence_length, masking.max_masked(train.sequence_length));
    for row in 0..train.batch_size as u32 {
        let mut ids: Vec<i32> = (0..train.sequence_length as u32)
            .map(|i| 5 + ((row * 7919 + i * 104_729) % (config.model.vocab_size as u32 - 5)) as i32)
            .collect();
        ids[0] = special.cls as i32;
        ids[train.sequence_length - 1] = special.sep as i32;
        let key = (config.seed, 0, u64::from(row));
        let masked = choose_masked(&ids, special, config.model.vocab_size, &masking, batch.max_masked, key);
        batch.push(&ids, train.sequence_length, &masked, special, row);
    }
    let plan = Plan::new(&config, special, &opened.device)?;
    let mut custom = Timed::new(plan.trainer(), &opened.device, false);
    for _ in 0..2 {
        custom.step(&batch)?;
    }
    let peak_device_bytes = opened.device.memory_pool_usage().map(|usage| usage.bytes_reserved);
    // In turns, so that whatever else the machine does meets both alike.
    let mut plain = if args.no_plain { None } else { Some(Timed::new(plan.trainer(), &opened.device, true)) };
    if let Some(plain) = &mut plain {
        plain.step(&batch)?;
    }
    custom.seconds.clear();
    if let Some(plain) = &mut plain {
        plain.seconds.clear();
    }
    for turn in 0..args.steps {
        custom.step(&batch)?;
        // The plain step is the slower one: fewer turns are enough.
        if let Some(plain) = plain.as_mut().filter(|_| turn % 2 == 0) {
            plain.step(&batch)?;
        }
    }
    let (median, dispatches) = (custom.median(), custom.dispatches);
    let fastest = custom.seconds[0];
    let plain_median = plain.as_mut().map(Timed::median);
    let plain_dispatches = plain.as_ref().map(|plain| plain.dispatches);
    let rounds = args.steps.div_ceil(2);
    let parts = custom.parts(&batch, rounds)?;
    let plain_parts = plain.as_mut().map(|plain| plain.parts(&batch, rounds.div_ceil(2))).transpose()?;
    let profile = if args.profile {
        let (ended, times) = launches::profile(|| custom.step(&batch));
        ended?;
        times
    } else {
        Vec::new()
    };
    let tokens = (train.batch_size * train.sequence_length) as f64;
    let flops_per_step = ledger::reference_of(&config);
    if args.json {
        terminal.result(json!({
            "backend": if opened.is_gpu { "wgpu" } else { "flex" },
            "adapter": opened.description,
            "preset": args.preset,
            "batch": train.batch_size,
            "seq": train.sequence_length,
            "micro_batch": plan.micro_batch(),
            "precision": train.precision,
            "parameters": plan.layout().parameter_count(),
            "seconds_per_step": median,
            "fastest_seconds_per_step": fastest,
            "tokens_per_second": tokens / median,
            "flops_per_step": flops_per_step,
            "forward_seconds": parts.forward,
            "backward_seconds": parts.backward,
            "optimizer_seconds": parts.optimizer,
            "plain_tokens_per_second": plain_median.map(|seconds| tokens / seconds),
            "plain_forward_seconds": plain_parts.map(|parts| parts.forward),
            "plain_backward_seconds": plain_parts.map(|parts| parts.backward),
            "plain_optimizer_seconds": plain_parts.map(|parts| parts.optimizer),
            "speedup": plain_median.map(|seconds| seconds / median),
            "dispatches": dispatches,
            "plain_dispatches": plain_dispatches,
            "peak_device_bytes": peak_device_bytes,
            "profile": profile,
        }))?;
    } else {
        terminal.result(format_args!(
            "{}: {} x {} tokens, {median:.4} s a step (fastest {:.4}), {:.0} tokens/s on {}",
            args.preset,
            train.batch_size,
            train.sequence_length,
            fastest,
            tokens / median,
            opened.description
        ))?;
        let shown = |parts: &PartSeconds| {
            let PartSeconds { forward, backward, optimizer } = parts;
            format!("forward {forward:.4} s, backward {backward:.4} s, optimizer {optimizer:.4} s")
        };
        terminal.result(shown(&parts))?;
        if let (Some(plain), Some(seconds)) = (&plain_parts, plain_median) {
            terminal.result(format_args!(
                "Burn's primitives alone: {seconds:.4} s a step, {:.0} tokens/s; ours is {:.2} times as fast",
                tokens / seconds,
                seconds / median
            ))?;
            terminal.result(format_args!("primitives: {}", shown(plain)))?;
            if let Some(plain_dispatches) = plain_dispatches.filter(|_| opened.is_gpu) {
                terminal
                    .result(format_args!("launches a step: {dispatches}, {plain_dispatches} with primitives alone"))?;
            }
        }
        for time in &profile {
            let (name, milliseconds) = (short_name(time.name), time.seconds * 1e3);
            terminal.result(format_args!("{milliseconds:>10.2} ms {:>5} x {name}", time.launches))?;
        }
        if let Some(bytes) = peak_device_bytes {
            terminal.result(format_args!("device memory: {:.0} MB", bytes as f64 / 1e6))?;
        }
    }
    Ok(())
}

/// A kernel's name without the modules that lead to it.
fn short_name(name: &str) -> &str {
    if name.starts_with(launches::PREFIX) {
        return name;
    }
    let end = name.find('<').unwrap_or(name.len());
    let start = name[..end].rfind("::").map_or(0, |colons| colons + 2);
    &name[start..end]
}

/// A trainer whose steps are timed.
struct Timed {
    trainer: Trainer<ObjectiveLearner>,
    device: Device,
    reference_only: bool,
    steps: u64,
    seconds: Vec<f64>,
    /// Launches of the last step, reading its numbers back included; 0 on the CPU.
    dispatches: usize,
}

impl Timed {
    fn new(trainer: Trainer<ObjectiveLearner>, device: &Device, reference_only: bool) -> Self {
        Self { trainer, device: device.clone(), reference_only, steps: 0, seconds: Vec::new(), dispatches: 0 }
    }

    fn step(&mut self, batch: &Batch) -> anyhow::Result<()> {
        let started = Instant::now();
        // A step's numbers are read back, so that it is over when it returns.
        let step = || self.trainer.step(batch, self.steps, 1e-4);
        let (ended, launched) = launches::record(|| with_reference_only(self.reference_only, step));
        ended.during("the benchmark's step")?;
        self.seconds.push(started.elapsed().as_secs_f64());
        self.dispatches = launched.len();
        self.steps += 1;
        Ok(())
    }

    fn median(&mut self) -> f64 {
        median(&mut self.seconds)
    }

    /// What the parts of a step take, each a median over `rounds` steps.
    fn parts(&mut self, batch: &Batch, rounds: u64) -> anyhow::Result<PartSeconds> {
        self.trainer.clock = Some(PartClock::new(&self.device));
        let mut seconds = Vec::new();
        for _ in 0..rounds {
            self.step(batch)?;
            seconds.extend(self.trainer.clock.as_ref().map(PartClock::take));
        }
        self.trainer.clock = None;
        let of = |part: fn(&PartSeconds) -> f64| median(&mut seconds.iter().map(part).collect::<Vec<f64>>());
        Ok(PartSeconds {
            forward: of(|seconds| seconds.forward),
            backward: of(|seconds| seconds.backward),
            optimizer: of(|seconds| seconds.optimizer),
        })
    }
}

/// The middle one, of an even number the later.
fn median(numbers: &mut [f64]) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
