//! What can go wrong at the edge to files and to devices, each with the place and the remedy.

use std::path::{Path, PathBuf};

use electra_kernels::DeviceFailure;

/// An error of this crate. Its text is one message: what, where, why, and what to do.
#[derive(Debug, thiserror::Error)]
// The text of each says what it and its fields are.
#[expect(missing_docs)]
pub enum Error {
    /// The operating system refused.
    #[error("{}: cannot {action}: {source}{}", path.display(), remedy(source))]
    Io { path: PathBuf, action: &'static str, source: std::io::Error },
    /// The file is there, but it is not what it should be: corrupt, truncated, of another version or shape.
    #[error("{}: {problem}; {remedy}", path.display())]
    Invalid { path: PathBuf, problem: String, remedy: String },
    /// A checkpoint whose content is not what was written: an older one may do.
    #[error("{}: {problem}; {remedy}", path.display())]
    Damaged { path: PathBuf, problem: String, remedy: String },
    /// A checkpoint that is whole, and that this release cannot read.
    #[error("{}: {problem}; {remedy}", path.display())]
    OtherVersion { path: PathBuf, problem: String, remedy: String },
    /// A run that started well cannot go on: its numbers are no longer finite.
    #[error("{}: {problem}; {remedy}", path.display())]
    Diverged { path: PathBuf, problem: String, remedy: String },
    /// A text that a network cannot take.
    #[error("{0}")]
    Text(String),
    /// The device failed on the way. Nothing is wrong with what it was given, unless it was too much.
    #[error("{doing}: {source}")]
    Device { doing: String, source: DeviceFailure },
    #[error(transparent)]
    Config(#[from] crate::config::RunConfigError),
    #[error(transparent)]
    Data(#[from] electra_data::DataError),
    #[error(transparent)]
    Task(#[from] electra_task::TaskError),
}

impl Error {
    pub(crate) fn io(path: &Path, action: &'static str, source: std::io::Error) -> Self {
        Self::Io { path: path.to_owned(), action, source }
    }

    pub(crate) fn invalid(path: &Path, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Invalid { path: path.to_owned(), problem: problem.into(), remedy: remedy.into() }
    }
}

/// Says what a device was doing when it failed.
pub trait During<T> {
    /// # Errors
    /// [`Error::Device`] for a failure.
    fn during(self, doing: impl Into<String>) -> Result<T>;
}

impl<T> During<T> for Result<T, DeviceFailure> {
    fn during(self, doing: impl Into<String>) -> Result<T> {
        self.map_err(|source| Error::Device { doing: doing.into(), source })
    }
}

fn remedy(source: &std::io::Error) -> &'static str {
    use std::io::ErrorKind;
    match source.kind() {
        ErrorKind::NotFound => "; check the path",
        ErrorKind::PermissionDenied => "; check the permissions of the file and of its folder",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "; free some space or choose another folder",
        ErrorKind::IsADirectory | ErrorKind::NotADirectory => "; a file was expected, or a folder in its path",
        _ => "",
    }
}

/// `anyhow`-free shorthand of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
