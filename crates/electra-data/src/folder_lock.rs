//! One process at a time in a folder: a lock on a file in it, which says who holds it.
//!
//! The system lets go of the lock when the process ends, however it ends, so that a lock file left by a killed process
//! keeps nobody out.

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::error::{DataError, Result, io_error, shown};

/// A lock that is held until this is dropped; its file is removed then.
#[derive(Debug)]
pub struct FolderLock {
    path: PathBuf,
    // Held for its lock alone.
    _file: File,
}

impl FolderLock {
    /// Locks the file `name` in `folder`, which must exist.
    ///
    /// # Errors
    /// [`DataError::Busy`], which names the process, where another one holds it; a folder that cannot be written to.
    pub fn acquire(folder: &Path, name: &str) -> Result<Self> {
        let path = folder.join(name);
        loop {
            let mut file = open(&path).map_err(io_error("write to", folder))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let mut text = String::new();
                    // Windows does not let others read a locked file.
                    let _ = file.read_to_string(&mut text);
                    return Err(DataError::Busy { path: shown(folder), process: text.trim().parse().ok() });
                }
                // Better to work without a lock than not at all on a file system that has none.
                Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {}
                Err(TryLockError::Error(error)) => return Err(io_error("lock", &path)(error)),
            }
            // Whoever held it before may have removed the file between our opening and our locking it.
            if is_at(&file, &path) {
                let _ = file.set_len(0);
                let _ = file.rewind();
                let _ = write!(file, "{}", std::process::id());
                return Ok(Self { path, _file: file });
            }
        }
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Before the lock goes, so that nobody's file is removed but our own.
        let _ = fs::remove_file(&self.path);
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    File::options().read(true).write(true).create(true).truncate(false).open(path)
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |data: &fs::Metadata| (data.dev(), data.ino());
    matches!((file.metadata(), fs::metadata(path)), (Ok(ours), Ok(there)) if identity(&ours) == identity(&there))
}

/// Elsewhere an open file keeps its name.
#[cfg(not(unix))]
fn is_at(_file: &File, _path: &Path) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_told_who_has_it_and_a_left_file_keeps_nobody_out() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join("lock"), "1").expect("what a killed process left");
        let held = FolderLock::acquire(folder.path(), "lock").expect("free");
        let message = FolderLock::acquire(folder.path(), "lock").expect_err("held").to_string();
        if cfg!(unix) {
            assert!(message.contains(&format!("process {} ", std::process::id())), "{message}");
        }
        drop(held);
        assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 0);
        drop(FolderLock::acquire(folder.path(), "lock").expect("free again"));
        assert!(FolderLock::acquire(&folder.path().join("absent"), "lock").is_err());
    }

    #[test]
    fn many_threads_hold_it_one_at_a_time() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let inside = std::sync::atomic::AtomicU32::new(0);
        let order = std::sync::atomic::Ordering::SeqCst;
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let Ok(held) = FolderLock::acquire(folder.path(), "lock") else { continue };
                        assert_eq!(inside.fetch_add(1, order), 0, "two hold it");
                        inside.fetch_sub(1, order);
                        drop(held);
                    }
                });
            }
        });
    }
}
