//! A run's folder, while one process trains in it.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use electra_data::FolderLock;

use crate::error::{Error, Result};
use crate::file;

/// Name of the lock in a run's folder.
pub const LOCK: &str = "lock";

/// A run's folder, which belongs to this process until the value is dropped: two that wrote into it would each remove the
/// other's checkpoints, and rows would stand twice in metrics.jsonl.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    // Held for its lock alone.
    _lock: FolderLock,
}

/// Whether a process trains in the folder `path` now. Nothing is changed, and nobody kept out.
pub(crate) fn is_held(path: &Path) -> bool {
    let Ok(file) = File::open(path.join(LOCK)) else { return false };
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

impl RunFolder {
    /// Makes the folder if need be, and locks it.
    ///
    /// # Errors
    /// Another process, which is named, trains in it; or the folder cannot be made or written to.
    pub fn open(path: &Path) -> Result<Self> {
        if path.is_file() {
            return Err(Error::invalid(path, "a file of this name is in the way", "choose another folder"));
        }
        file::create_folder(path)?;
        Ok(Self { path: path.to_owned(), _lock: FolderLock::acquire(path, LOCK)? })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_sees_whether_a_folder_is_trained_in() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_held(folder.path()));
        let held = RunFolder::open(folder.path()).unwrap();
        assert!(is_held(folder.path()));
        drop(held);
        assert!(!is_held(folder.path()));
    }
}
