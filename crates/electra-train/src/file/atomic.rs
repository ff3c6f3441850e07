//! [`electra_data::atomic`] with this crate's errors.

use std::fs;
use std::path::Path;

use electra_data::atomic;
pub(crate) use electra_data::atomic::temporary_beside;

use crate::error::{Error, Result};

/// Writes `bytes` to `path`, replacing what is there, atomically and durably.
///
/// # Errors
/// [`Error::Io`] with the path; the old content stays.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    atomic::write(path, bytes).map_err(|source| Error::io(path, "write", source))
}

/// Writes a new file and syncs it. Not atomic: for files inside a folder that is renamed as a whole.
pub(crate) fn write_synced(path: &Path, bytes: &[u8]) -> Result<()> {
    atomic::write_synced(path, bytes).map_err(|source| Error::io(path, "write", source))
}

/// Makes renames inside `folder` durable.
pub(crate) fn sync_folder(folder: &Path) -> Result<()> {
    atomic::sync_folder(folder).map_err(|source| Error::io(folder, "sync the folder", source))
}

pub(crate) fn create_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|source| Error::io(path, "create the folder", source))
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|source| Error::io(path, "read", source))
}

/// Waits as many milliseconds as the environment variable `ELECTRA_TEST_DELAY_MS` says. Called between the file operations
/// of a checkpoint, so that tests (`cargo xtask soak`) meet a run there when they kill it; nobody else sets the variable.
pub(crate) fn pause_for_tests() {
    static DELAY: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    let read = || std::env::var("ELECTRA_TEST_DELAY_MS").ok().and_then(|delay| delay.parse().ok());
    let delay = *DELAY.get_or_init(|| read().unwrap_or(0));
    if delay > 0 {
        std::thread::sleep(std::time::Duration::from_millis(delay));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_names_the_path_and_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("absent/metrics.json");
        let message = write_atomically(&path, b"{}").unwrap_err().to_string();
        assert!(message.contains("absent") && message.contains("check the path"), "{message}");
    }
}
