//! Why a request has no answer, and what its page should do about it.

use electra_data::DataError;
use electra_kernels::DeviceFailure;
use electra_task::TaskError;
use electra_train::RunConfigError;
use thiserror::Error;

/// What a page does about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Shows it beside what was given.
    Input,
    /// Begins again with another worker: the device is gone.
    Lost,
    /// Asks for less.
    Memory,
}

impl ErrorKind {
    /// As the protocol has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Lost => "lost",
            Self::Memory => "memory",
        }
    }
}

/// An error of a request. Its text is one message: what, where, why, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct EngineError {
    /// What to do.
    pub kind: ErrorKind,
    /// What to show.
    pub message: String,
}

impl EngineError {
    pub(crate) fn input(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Input, message: message.into() }
    }
}

impl From<electra_train::Error> for EngineError {
    fn from(error: electra_train::Error) -> Self {
        let kind = match &error {
            electra_train::Error::Device { source, .. } => kind_of(source),
            _ => ErrorKind::Input,
        };
        Self { kind, message: error.to_string() }
    }
}

impl From<DeviceFailure> for EngineError {
    fn from(failure: DeviceFailure) -> Self {
        Self { kind: kind_of(&failure), message: failure.to_string() }
    }
}

impl From<DataError> for EngineError {
    fn from(error: DataError) -> Self {
        Self::input(error.to_string())
    }
}

impl From<TaskError> for EngineError {
    fn from(error: TaskError) -> Self {
        Self::input(error.to_string())
    }
}

impl From<RunConfigError> for EngineError {
    fn from(error: RunConfigError) -> Self {
        Self::input(error.to_string())
    }
}

fn kind_of(failure: &DeviceFailure) -> ErrorKind {
    match failure {
        DeviceFailure::OutOfMemory(_) => ErrorKind::Memory,
        DeviceFailure::Lost(_) | DeviceFailure::Refused(_) => ErrorKind::Lost,
    }
}
