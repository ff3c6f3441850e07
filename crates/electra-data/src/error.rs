//! What can go wrong between a file and a batch, each as one message: where, what, why, what to do.

#[cfg(feature = "native")]
use std::path::PathBuf;

/// An error of this crate. Its `Display` is the whole message a user needs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The operating system refused; `action` reads "read", "create", "write to", ...
    #[error("{path}: cannot {action}: {source}{}", io_remedy(source))]
    Io { path: String, action: &'static str, source: std::io::Error },

    /// The text is not UTF-8.
    #[error(
        "{path}: line {line}, byte {byte}: not valid UTF-8 (byte {value:#04x}); \
         convert the file first, for example with \"iconv -f latin1 -t utf-8\", or go on without such bytes with \
         --on-error skip or replace"
    )]
    Utf8 { path: String, line: u64, byte: u64, value: u8 },

    /// A compressed file ends early or is damaged.
    #[error(
        "{path}: the {format} archive is truncated or corrupt after {bytes} bytes of text: {reason}; fetch or compress it again"
    )]
    Archive { path: String, format: &'static str, bytes: u64, reason: String },

    /// An input record that cannot be understood.
    #[error("{path}: {place}: {reason}; {remedy}")]
    Input { path: String, place: String, reason: String, remedy: String },

    /// A file that is no text, or whose text cannot be reached; `what` has its article.
    #[error("{path}: this is {what}; {remedy}")]
    Unreadable { path: String, what: String, remedy: String },

    /// A tokenizer file that cannot be used.
    #[error("{path}: {reason}; {remedy}")]
    Tokenizer { path: String, reason: String, remedy: String },

    /// The dataset folder is missing, incomplete, damaged, of another version or of another tokenizer.
    #[error("{path}: {reason}; {remedy}")]
    Dataset { path: String, reason: String, remedy: String },

    /// A folder for output that cannot be filled.
    #[error("{path}: {reason}; {remedy}")]
    Folder { path: String, reason: String, remedy: String },

    /// Another process writes to the folder.
    #[error("{path}: {} is writing there; wait until it ends, or choose another folder", writer(*process))]
    Busy { path: String, process: Option<u32> },

    /// A setting out of range, or settings that exclude each other.
    #[error("{name} = {value}: {reason}")]
    Setting { name: &'static str, value: String, reason: String },

    /// Text that a vocabulary has no pieces for.
    #[error(
        "{what}: {reason}; take a tokenizer that was made for this text (\"electra tokenizer train\"), or give \
         --allow-unknown"
    )]
    Unknown { what: String, reason: String },

    /// Too little text for what was asked.
    #[error("{what}: {reason}; {remedy}")]
    TooSmall { what: String, reason: String, remedy: String },

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
#[cfg(feature = "native")]
pub(crate) fn shown(path: &std::path::Path) -> String {
    path.display().to_string()
}

/// Turns an I/O error at `path` into a [`DataError`].
#[cfg(feature = "native")]
pub(crate) fn io_error(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> DataError {
    let path = path.into();
    move |source| DataError::Io { path: shown(&path), action, source }
}
