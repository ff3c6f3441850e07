//! What is looked at before a run begins: its folder, its device, and whether that can hold it.

use std::path::Path;

use anyhow::{Context, bail};
use electra_kernels::device::OpenDevice;
use electra_kernels::{Precision, side_by_side};
use electra_train::config::{MicroBatch, RunConfig};
use electra_train::estimate::{largest_activation_bytes, memory, resolve_micro_batch};
use electra_train::file::lock::LOCK;
use electra_train::objective_of;

use crate::host_memory;
use crate::terminal::Terminal;
use crate::verification;

/// A new run needs an empty folder: overwriting somebody's checkpoints is not for a default to decide.
pub(crate) fn check_folder(folder: &Path, resume: bool) -> anyhow::Result<()> {
    let occupied = match std::fs::read_dir(folder) {
        // Who else is in there is for the lock to say; a new disk is empty but for a folder of its own.
        Ok(mut entries) => entries.any(|entry| {
            entry.map_or(true, |entry| {
                let name = entry.file_name();
                name != LOCK && name != "lost+found" && !name.as_encoded_bytes().starts_with(b".")
            })
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        Err(error) => {
            return Err(error).with_context(|| format!("{}: cannot be used as a run's folder", folder.display()));
        }
    };
    if occupied && !resume {
        bail!(
            "{}: the folder is not empty\n--resume goes on with the run in it; --out names another folder",
            folder.display()
        );
    }
    Ok(())
}

pub(crate) fn open_device(config: &RunConfig, terminal: &Terminal) -> anyhow::Result<OpenDevice> {
    verification::open_checked(config.device.parse()?, terminal)
}

/// The word after `--precision`.
pub(crate) fn parse_precision(word: &str) -> Result<Precision, String> {
    [Precision::F32, Precision::F16]
        .into_iter()
        .find(|precision| precision.to_string() == word)
        .ok_or_else(|| "it is f32 or f16".to_owned())
}

/// Refuses half precision on a device that has none.
pub(crate) fn check_precision(config: &RunConfig, opened: &OpenDevice) -> anyhow::Result<()> {
    if config.train.precision == Precision::F16 && !opened.has_f16 {
        bail!(
            "train.precision is \"f16\", but {} computes in f32 alone\n\
             use --precision f32, or --device with a graphics adapter that offers f16 (`electra devices` says which do)",
            opened.description
        );
    }
    Ok(())
}

/// Refuses a run that this machine's memory cannot hold, by an estimate, before any of it is made.
pub(crate) fn check_memory(config: &RunConfig, opened: &OpenDevice, terminal: &Terminal) -> anyhow::Result<()> {
    // No processor addresses more, whatever the system says.
    const ADDRESSABLE: f64 = (1u64 << 47) as f64;
    let least = memory::check(config, !opened.is_gpu, host_memory::total().unwrap_or(ADDRESSABLE))?;
    if let Some(free) = host_memory::available().filter(|free| least.total_bytes() > *free) {
        terminal.warn(format_args!(
            "this run needs at least {} of memory, and {} are free now",
            memory::in_words(least.total_bytes()),
            memory::in_words(free)
        ));
    }
    Ok(())
}

/// Refuses what no kernel of this adapter could take: a parameter that cannot be cut, or activations of one micro-batch.
/// Word tables lie in pieces ([`electra_model::Layout::cut_for`]).
pub(crate) fn check_arrays(config: &RunConfig, opened: &OpenDevice) -> anyhow::Result<()> {
    let limit = opened.max_binding_bytes;
    let layout = objective_of(config, &config.objective)?.layout();
    let whole = layout.specs().iter().filter(|spec| !spec.can_be_cut()).max_by_key(|spec| spec.len());
    let megabytes = |bytes: u64| format!("{:.0} MB", bytes as f64 / 1e6);
    let remedy = "use --device cpu or an adapter with larger bindings (`electra devices` lists them), or";
    if let Some(largest) = whole.filter(|spec| 4 * spec.len() as u64 > limit) {
        bail!(
            "{} has {}, but a kernel on {} takes arrays of at most {}\n{remedy} a smaller network",
            largest.name,
            megabytes(4 * largest.len() as u64),
            opened.description,
            megabytes(limit)
        );
    }
    let most = (limit / largest_activation_bytes(config, 1).max(1)) as usize;
    let MicroBatch::Size(micro_batch) = config.train.micro_batch else { return Ok(()) };
    // Never more than the batch, whatever was asked for.
    let micro_batch = micro_batch.min(config.train.batch_size);
    if micro_batch > most {
        bail!(
            "the activations of {micro_batch} x {} tokens are larger than the {} that a kernel on {} takes at once\n{}",
            config.train.sequence_length,
            megabytes(limit),
            opened.description,
            if most > 0 {
                format!("use --micro-batch {most} or less: the batch stays whole, it is worked on in parts")
            } else {
                format!("{remedy} shorter sequences")
            }
        );
    }
    Ok(())
}

/// Replaces `"auto"` by what fits the device, by estimate.
pub(crate) fn settle_micro_batch(config: &mut RunConfig, opened: &OpenDevice) {
    if config.train.micro_batch != MicroBatch::Auto {
        return;
    }
    let of_adapter = || opened.usable_memory_bytes().map_or(UNKNOWN_GPU_BYTES, |bytes| bytes as f64);
    let memory = if opened.is_gpu { of_adapter() } else { cpu_bytes() };
    let mut size = resolve_micro_batch(config, memory, side_by_side::width(&opened.device), runs_kernels(opened));
    if opened.is_gpu {
        while size > 1 && largest_activation_bytes(config, size) > opened.max_binding_bytes {
            size = size.div_ceil(2);
        }
    }
    while !opened.is_gpu && size > 1 && size * config.train.sequence_length > CPU_TOKENS {
        size = size.div_ceil(2);
    }
    config.train.micro_batch = MicroBatch::Size(size);
}

/// Whether steps are made of the kernels for graphics adapters alone, whose memory is known best.
pub(crate) fn runs_kernels(opened: &OpenDevice) -> bool {
    opened.is_gpu && electra_kernels::all_enabled(&opened.device)
}

/// Tokens of a micro-batch on the CPU: few enough for several to go side by side, whatever the number of cores, and
/// for much of one to stay in a core's cache (docs/PERFORMANCE.md).
const CPU_TOKENS: usize = 1024;

/// Where a graphics interface does not say how much memory is free: what integrated and older cards have. A run that finds it
/// too much begins again with less.
const UNKNOWN_GPU_BYTES: f64 = 3e9;

/// Half of the memory that is free now.
fn cpu_bytes() -> f64 {
    // Where the system does not say: what a small laptop can spare.
    host_memory::available().unwrap_or(4e9) / 2.0
}
