//! Files that are whole or absent: written under a temporary name beside the target, synced, renamed.
//!
//! A rename within a folder is atomic on every system we run on, so that a program killed at any moment leaves no
//! half-written file under a name that anyone reads. Everything in this project that replaces a file does it here.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Writes `bytes` to `path` so that a crash leaves the old file or the new one, never a part, and syncs it.
///
/// # Errors
/// What the system says; the temporary file is removed and the old content stays.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace(path, |file| file.write_all(bytes))
}

/// As [`write`], with the content of the file `from`, whatever its size.
pub(crate) fn copy(from: &Path, path: &Path) -> io::Result<()> {
    let mut source = File::open(from)?;
    replace(path, |file| io::copy(&mut source, file).map(|_| ()))
}

fn replace(path: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let temporary = temporary_beside(path);
    let written = create_synced(&temporary, fill).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // The first error is the one to report; a leftover has a name that nothing reads.
        let _ = fs::remove_file(&temporary);
    }
    written?;
    sync_folder(parent(path))
}

/// Writes a new file and syncs it. Not atomic: for files in a folder that is renamed as a whole.
///
/// # Errors
/// What the system says.
pub fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    create_synced(path, |file| file.write_all(bytes))
}

fn create_synced(path: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let mut file = File::create(path)?;
    fill(&mut file)?;
    file.sync_all()
}

/// Makes renames in `folder` last through a power cut, where the system lets a folder be synced.
///
/// # Errors
/// The folder cannot be opened, or its disk fails.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    // Windows cannot open a folder as a file; its renames are journalled.
    if !cfg!(unix) {
        return Ok(());
    }
    match File::open(folder)?.sync_all() {
        // Some network and user-space file systems sync files alone.
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        synced => synced,
    }
}

/// The folder that `path` lies in; "." for a bare name.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A hidden name in the same folder, apart from those of other processes and threads.
pub fn temporary_beside(path: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    path.with_file_name(format!(".{name}.tmp-{}-{number}", std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_replaces_the_whole_file_and_a_failed_one_leaves_nothing() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a.json");
        write(&path, b"a long first version").expect("written");
        write(&path, b"short").expect("written");
        assert_eq!(fs::read(&path).expect("read"), b"short");
        copy(&path, &folder.path().join("b.json")).expect("copied");
        assert_eq!(fs::read(folder.path().join("b.json")).expect("read"), b"short");

        let taken = folder.path().join("taken");
        fs::create_dir_all(taken.join("full")).expect("made");
        assert!(write(&taken, b"{}").is_err(), "a folder cannot be replaced by a file");
        assert!(write(&folder.path().join("absent/a"), b"{}").is_err());
        assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 3, "no temporary file stays");
    }
}
