//! Files that are either whole or absent: written under a temporary name beside the target, synced, renamed.
//!
//! A rename within a folder is atomic on every system we run on, so that a run killed at any moment leaves
//! no half-written file under a name that anyone reads.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Writes `bytes` to `path`, replacing what is there, atomically and durably.
///
/// # Errors
/// [`Error::Io`] with the path; the temporary file is removed and the old content stays.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = temporary_beside(path);
    let written = write_synced(&temporary, bytes)
        .and_then(|()| fs::rename(&temporary, path).map_err(|source| Error::io(path, "replace the file", source)));
    if written.is_err() {
        // The first error is the one to report; a leftover has a name that nothing reads.
        let _ = fs::remove_file(&temporary);
    }
    written?;
    sync_folder(path.parent().unwrap_or(Path::new(".")))
}

/// Writes a new file and syncs it. Not atomic: for files inside a folder that is renamed as a whole.
pub(crate) fn write_synced(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = File::create(path).map_err(|source| Error::io(path, "create the file", source))?;
    file.write_all(bytes).map_err(|source| Error::io(path, "write", source))?;
    file.sync_all().map_err(|source| Error::io(path, "sync", source))
}

/// Makes renames inside `folder` durable.
pub(crate) fn sync_folder(folder: &Path) -> Result<()> {
    // Windows cannot open a folder as a file; its renames are journalled.
    if cfg!(unix) {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let opened = File::open(folder).map_err(|source| Error::io(folder, "open the folder", source))?;
        opened.sync_all().map_err(|source| Error::io(folder, "sync the folder", source))?;
    }
    Ok(())
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

/// A hidden name in the same folder, apart from those of other processes.
pub(crate) fn temporary_beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.tmp-{}", std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_names_the_path_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("absent/metrics.json");
        let message = write_atomically(&path, b"{}").unwrap_err().to_string();
        assert!(message.contains("absent") && message.contains("check the path"), "{message}");

        let path = folder.path().join("taken");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("x"), "x").unwrap();
        assert!(write_atomically(&path, b"{}").is_err(), "a folder cannot be replaced by a file");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file stays");
    }

    #[test]
    fn a_write_replaces_the_whole_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        write_atomically(&path, b"a long first version").unwrap();
        write_atomically(&path, b"short").unwrap();
        assert_eq!(read(&path).unwrap(), b"short");
    }
}
