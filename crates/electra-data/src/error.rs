//! What can go wrong between a file and a batch, each as one message: where, what, why, what to do.

use std::path::PathBuf;

/// An error of this crate. Its `Display` is the whole message a user needs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The operating system refused; `action` reads "read", "create", "write to", ...
    #[error("{path}: cannot {action}: {source}{}", io_remedy(source))]
    Io {
        /// The file or folder.
        path: String,
        /// What was tried.
        action: &'static str,
        /// What the system said.
        source: std::io::Error,
    },

    /// The text is not UTF-8.
    #[error(
        "{path}: line {line}, byte {byte}: not valid UTF-8 (byte {value:#04x}); \
         convert the file first, for example with \"iconv -f latin1 -t utf-8\", or go on without such bytes with \
         --on-error skip or replace"
    )]
    Utf8 {
        /// The file, or the member of an archive.
        path: String,
        /// From 1.
        line: u64,
        /// Offset in the unpacked text, from 0.
        byte: u64,
        /// What stands there.
        value: u8,
    },

    /// A compressed file ends early or is damaged.
    #[error(
        "{path}: the {format} archive is truncated or corrupt after {bytes} bytes of text: {reason}; fetch or compress it again"
    )]
    Archive {
        /// The file, or the member of an archive.
        path: String,
        /// Such as "gzip".
        format: &'static str,
        /// Of text that could be unpacked before.
        bytes: u64,
        /// What the decoder said.
        reason: String,
    },

    /// An input record that cannot be understood.
    #[error("{path}: {place}: {reason}; {remedy}")]
    Input {
        /// The file, or the member of an archive.
        path: String,
        /// Where in it, such as "line 3".
        place: String,
        /// What is wrong.
        reason: String,
        /// What to do.
        remedy: String,
    },

    /// A file that is no text, or whose text cannot be reached.
    #[error("{path}: this is {what}; {remedy}")]
    Unreadable {
        /// The file, or the member of an archive.
        path: String,
        /// What it is, with its article: "a PDF document".
        what: String,
        /// What to do.
        remedy: String,
    },

    /// A tokenizer file that cannot be used.
    #[error("{path}: {reason}; {remedy}")]
    Tokenizer {
        /// The file, or the format of what was given in memory.
        path: String,
        /// What is wrong.
        reason: String,
        /// What to do.
        remedy: String,
    },

    /// The dataset folder is missing, incomplete, damaged, of another version or of another tokenizer.
    #[error("{path}: {reason}; {remedy}")]
    Dataset {
        /// The folder, or a file in it.
        path: String,
        /// What is wrong.
        reason: String,
        /// What to do.
        remedy: String,
    },

    /// A folder for output that cannot be filled.
    #[error("{path}: {reason}; {remedy}")]
    Folder {
        /// The folder, or what stands in its way.
        path: String,
        /// What is wrong.
        reason: String,
        /// What to do.
        remedy: String,
    },

    /// Another process writes to the folder.
    #[error("{path}: {} is writing there; wait until it ends, or choose another folder", writer(*process))]
    Busy {
        /// The folder.
        path: String,
        /// The other's number, where its lock says so.
        process: Option<u32>,
    },

    /// A setting out of range, or settings that exclude each other.
    #[error("{name} = {value}: {reason}")]
    Setting {
        /// As the user knows it.
        name: &'static str,
        /// What was asked for.
        value: String,
        /// What it must be, or what it excludes.
        reason: String,
    },

    /// Text that a vocabulary has no pieces for.
    #[error(
        "{what}: {reason}; take a tokenizer that was made for this text (\"electra tokenizer train\"), or give \
         --allow-unknown"
    )]
    Unknown {
        /// The text: names of its files where it has any.
        what: String,
        /// How much is [UNK], which words, and why.
        reason: String,
    },

    /// Too little text for what was asked.
    #[error("{what}: {reason}; {remedy}")]
    TooSmall {
        /// The text: names of its files where it has any.
        what: String,
        /// What there is too little of.
        reason: String,
        /// What to do.
        remedy: String,
    },

    /// The progress callback asked to stop.
    #[error("stopped on request; nothing was written")]
    Stopped,
}

/// Result of this crate.
pub type Result<T> = std::result::Result<T, DataError>;

fn writer(process: Option<u32>) -> String {
    process.map_or_else(|| "another process".into(), |number| format!("process {number}"))
}

fn io_remedy(source: &std::io::Error) -> &'static str {
    use std::io::ErrorKind;
    match source.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "; free some space there or choose a folder on another disk"
        }
        ErrorKind::NotFound => "; check the path",
        ErrorKind::PermissionDenied => "; check the permissions",
        ErrorKind::ReadOnlyFilesystem => "; choose a folder that can be written to",
        ErrorKind::NotADirectory => "; a file stands where a folder is needed: choose another path",
        _ => "",
    }
}

impl DataError {
    pub(crate) fn tokenizer(path: impl ToString, reason: impl ToString, remedy: impl ToString) -> Self {
        Self::Tokenizer { path: path.to_string(), reason: reason.to_string(), remedy: remedy.to_string() }
    }

    pub(crate) fn setting(name: &'static str, value: impl ToString, reason: impl ToString) -> Self {
        Self::Setting { name, value: value.to_string(), reason: reason.to_string() }
    }
}

/// Shows a path in messages, stdin by its name.
pub(crate) fn shown(path: &std::path::Path) -> String {
    path.display().to_string()
}

/// Turns an I/O error at `path` into a [`DataError`].
pub(crate) fn io_error(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> DataError {
    let path = path.into();
    move |source| DataError::Io { path: shown(&path), action, source }
}
