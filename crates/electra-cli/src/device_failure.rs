//! What to do about a device that fails: begin again with smaller micro-batches where nothing is lost by it, else say where the
//! run stands and how it goes on.

use std::fmt;
use std::path::Path;

use electra_kernels::DeviceFailure;
use electra_kernels::device::{OpenDevice, reopen};
use electra_train::run_config::{MicroBatch, RunConfig};
use electra_train::{Error, checkpoint};

use crate::terminal::Terminal;

/// A device that failed while it worked on good input; the process ends with exit code 4.
#[derive(Debug)]
pub struct DeviceFailed(pub String);

impl fmt::Display for DeviceFailed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for DeviceFailed {}

/// Half of a micro-batch that was too large, where a run may begin again with it: it ran out of memory before anything was
/// saved. `None`: it may not.
pub fn halved(error: &Error, config: &RunConfig, folder: &Path) -> Option<usize> {
    let Error::Device { source: DeviceFailure::OutOfMemory(_), .. } = error else { return None };
    let MicroBatch::Size(size) = config.train.micro_batch else { return None };
    let is_unsaved = checkpoint::list(folder).is_ok_and(|checkpoints| checkpoints.is_empty());
    (size > 1 && is_unsaved).then(|| size.min(config.train.batch_size).div_ceil(2))
}

/// Opens the device again, whose memory is given back, for micro-batches of `size`, and says so.
///
/// # Errors
/// The device does not open again.
pub fn begin_again(
    config: &mut RunConfig,
    size: usize,
    failed: &OpenDevice,
    error: &Error,
    terminal: &Terminal,
) -> anyhow::Result<OpenDevice> {
    terminal.warn(format_args!("{error}; beginning again with micro-batches of {size} examples"));
    config.train.micro_batch = MicroBatch::Size(size);
    Ok(reopen(failed)?)
}

/// The error of a run in `folder` whose device failed: the failure, where the run stands, and what helps.
pub fn of_run(error: Error, folder: &Path, config: &RunConfig) -> anyhow::Error {
    let Error::Device { source, .. } = &error else { return error.into() };
    let saved = checkpoint::list(folder).ok().and_then(|checkpoints| checkpoints.last().map(|(step, _)| *step));
    let stands = match saved {
        Some(step) => format!(
            "the last checkpoint stands at step {step}; go on from it with: electra pretrain --resume --out {}",
            folder.display()
        ),
        None => "no checkpoint was written yet: start again".to_owned(),
    };
    let text = format!("{error}\n{stands}\n{}", remedy(source, Some(config)));
    anyhow::Error::new(error).context(DeviceFailed(text))
}

/// What helps against a failure.
pub fn remedy(failure: &DeviceFailure, config: Option<&RunConfig>) -> String {
    let smaller = config.and_then(|config| match config.train.micro_batch {
        MicroBatch::Size(size) if size > 1 => Some(format!("--micro-batch {}", size.div_ceil(2))),
        _ => None,
    });
    let smaller = smaller.unwrap_or_else(|| "a smaller --micro-batch or model".to_owned());
    match failure {
        DeviceFailure::OutOfMemory(_) => {
            format!("less memory is needed with {smaller} or --recompute; --device names another one, or cpu")
        }
        DeviceFailure::Lost(_) => {
            "a card that is lost again and again is overheated, overloaded or has a driver with a fault; --device names another \
             one, or cpu"
                .to_owned()
        }
        DeviceFailure::Refused(_) => {
            "`electra devices --verify` finds kernels that a driver does not take, and later runs do without them; --device \
             names another one, or cpu"
                .to_owned()
        }
    }
}
