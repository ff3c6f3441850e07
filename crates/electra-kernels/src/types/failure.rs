//! Why a device gave no results: what a run that was going well ends with, and no fault of its input.
//!
//! Graphics interfaces report most of it late and elsewhere: an array that could not be had, or a shader that was refused,
//! shows where results are read. So every read asks here ([`crate::read`]).

use burn_std::ExecutionError;
use thiserror::Error;

/// What became of a device, or of the work on it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DeviceFailure {
    /// The driver reset it, it was unplugged, the machine slept: nothing that lay on it is left, and nothing more can be
    /// done there without opening it again.
    #[error("the device was lost ({0})")]
    Lost(String),
    /// An array could not be had. What else lies there is of no use either: open the device again.
    #[error("the device is out of memory ({0})")]
    OutOfMemory(String),
    /// The driver or the graphics interface refused a shader, or what was asked of it. Later work may succeed.
    #[error("the device refused its work ({0})")]
    Refused(String),
}

impl DeviceFailure {
    /// Whether the device can do nothing more until it is opened again.
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::Refused(_))
    }

    /// The failure of a read that the graphics interface has said nothing else about.
    pub(crate) fn of(error: &ExecutionError) -> Self {
        let reason = one_line(error.reason());
        if error.is_device_poisoned() {
            return Self::lost(reason);
        }
        // How Burn's runtime meets a device that went away while results were on their way.
        if reason.contains("could not be mapped") || reason.contains("map never completed") {
            return Self::Lost(reason);
        }
        Self::Refused(reason)
    }

    /// A lost device, whose driver may have given it up for want of memory.
    pub(crate) fn lost(reason: String) -> Self {
        let lower = reason.to_lowercase();
        let wants_memory = ["out of memory", "not enough memory"].iter().any(|words| lower.contains(words));
        if wants_memory { Self::OutOfMemory(reason) } else { Self::Lost(reason) }
    }
}

/// The words of a runtime's message, without the lines of its backtrace.
pub(crate) fn one_line(message: &str) -> String {
    let lines = message.lines().map(str::trim).take_while(|line| !line.starts_with("Backtrace"));
    let said = lines.filter(|line| !line.is_empty() && *line != "Caused by:" && *line != "Validation Error");
    said.collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_told_apart_and_messages_are_one_line() {
        let refused = ExecutionError::with_context(
            "A launch error happened\nCaused by:\n  the device refused the pipeline\nBacktrace:\n   0: main\n   1: start",
        );
        let said = "A launch error happened: the device refused the pipeline";
        assert_eq!(DeviceFailure::of(&refused), DeviceFailure::Refused(said.to_owned()));
        let lost = DeviceFailure::of(&ExecutionError::device_poisoned("Destroyed: by the driver"));
        assert!(matches!(lost, DeviceFailure::Lost(_)) && lost.is_final(), "{lost}");
        let given_up = DeviceFailure::of(&ExecutionError::device_poisoned("Unknown: Out of memory"));
        assert!(matches!(given_up, DeviceFailure::OutOfMemory(_)) && given_up.is_final(), "{given_up}");
        let mapped = DeviceFailure::of(&ExecutionError::with_context("the staging buffer could not be mapped: lost"));
        assert!(matches!(mapped, DeviceFailure::Lost(_)), "{mapped}");
        assert!(!DeviceFailure::of(&refused).is_final());
    }
}
