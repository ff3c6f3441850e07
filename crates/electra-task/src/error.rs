//! What can go wrong between a file and a score, each as one message: where, what, why, what to do.

use electra_data::DataError;

/// An error of this crate. Its `Display` is the whole message a user needs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// A file could not be read.
    #[error(transparent)]
    Data(#[from] DataError),

    /// A file that can be read, but not understood.
    #[error("{path}: {place}: {reason}; {remedy}")]
    Record {
        /// The file, or what stands for one.
        path: String,
        /// Where in it, such as "line 3".
        place: String,
        /// What is wrong.
        reason: String,
        /// What to do.
        remedy: String,
    },

    /// A file or folder that does not suit the task as a whole.
    #[error("{path}: {reason}; {remedy}")]
    Unsuitable {
        /// The file or folder.
        path: String,
        /// What is wrong.
        reason: String,
        /// What to do.
        remedy: String,
    },
}

/// Result of this crate.
pub type Result<T> = std::result::Result<T, TaskError>;

impl TaskError {
    /// A record of `path` at `place` that cannot be understood.
    pub fn record(path: impl ToString, place: impl ToString, reason: impl ToString, remedy: impl ToString) -> Self {
        Self::Record {
            path: path.to_string(),
            place: place.to_string(),
            reason: reason.to_string(),
            remedy: remedy.to_string(),
        }
    }

    /// A file or folder `path` that does not suit the task.
    pub fn unsuitable(path: impl ToString, reason: impl ToString, remedy: impl ToString) -> Self {
        Self::Unsuitable { path: path.to_string(), reason: reason.to_string(), remedy: remedy.to_string() }
    }
}
