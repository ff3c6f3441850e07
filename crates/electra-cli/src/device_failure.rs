//! What to do about a device that fails: go on with smaller micro-batches where they are ours to choose, else say where the
//! run stands and how it goes on.

use std::path::Path;

use electra_kernels::DeviceFailure;
use electra_kernels::device::{OpenDevice, reopen};
use electra_train::Error;
use electra_train::config::{MicroBatch, RunConfig};
use electra_train::run::folder::checkpoints;

use crate::terminal::Terminal;

/// Half of a micro-batch for which there was no memory; `None` where the run ended otherwise, or there is no half.
pub(crate) fn halved(error: &Error, config: &RunConfig) -> Option<usize> {
    let Error::Device { source: DeviceFailure::OutOfMemory(_), .. } = error else { return None };
    let MicroBatch::Size(size) = config.train.micro_batch else { return None };
    (size > 1).then(|| size.min(config.train.batch_size).div_ceil(2))
}

/// Opens the device again, whose memory is given back, for micro-batches of `size`, and says so. The run in `folder` goes on
/// from its newest checkpoint, which names the change from there on, or begins again where it has none; that is returned
/// too.
///
/// # Errors
/// The device does not open again.
pub(crate) fn with_smaller(
    config: &mut RunConfig,
    size: usize,
    folder: &Path,
    failed: &OpenDevice,
    error: &Error,
    terminal: &Terminal,
) -> anyhow::Result<(OpenDevice, bool)> {
    let saved = last_checkpoint(folder);
    let how = saved.map_or_else(|| "beginning again".to_owned(), |step| format!("going on from step {step}"));
    terminal.warn(format_args!("{error}; {how} with micro-batches of {size} examples"));
    config.train.micro_batch = MicroBatch::Size(size);
    Ok((reopen(failed)?, saved.is_some()))
}

fn last_checkpoint(folder: &Path) -> Option<u64> {
    checkpoints::list(folder).ok()?.last().map(|(step, _)| *step)
}

/// What to say of a run in `folder` that a device's failure ended: the failure, where the run stands, and what helps. `None`
/// where it ended otherwise.
pub(crate) fn explained(error: &Error, folder: &Path, config: &RunConfig) -> Option<String> {
    let Error::Device { source, .. } = error else { return None };
    let stands = match last_checkpoint(folder) {
        Some(step) => format!(
            "the last checkpoint stands at step {step}; go on from it with: electra pretrain --resume --out {}",
            folder.display()
        ),
        None => "no checkpoint was written yet: start again".to_owned(),
    };
    Some(format!("{error}\n{stands}\n{}", remedy(source, Some(config))))
}

/// What helps against a failure.
pub(crate) fn remedy(failure: &DeviceFailure, config: Option<&RunConfig>) -> String {
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
