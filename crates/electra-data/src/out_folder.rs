//! A folder that the user named for output: filled, never replaced.
//!
//! It may be a mount point, a link to another disk, lie in a folder that is read-only, or hold files of the user's own. So
//! new files grow in a hidden folder inside it, and when all are whole they take their places:
//!
//! 1. `.electra-building` is renamed to `.electra-publishing`, with a list of what to do. From here on the new files count.
//! 2. The old marks go: the files without which a reader takes the folder for empty (a manifest, a config.json).
//! 3. Old files that have no successor go, the new ones are moved to their places, the marks last.
//!
//! Killed before 1 the old files are as they were; killed later, whoever comes next does the rest, readers too
//! ([`finish_interrupted`]). At no moment does a reader find files of both, and at none are both lost. A lock keeps a second
//! writer out from the first moment to the last.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::atomic;
use crate::error::{DataError, Result, io_error, shown};
use crate::folder_lock::FolderLock;

const BUILDING: &str = ".electra-building";
const PUBLISHING: &str = ".electra-publishing";
const LOCK: &str = ".electra-lock";
const JOURNAL: &str = "journal.json";

/// A folder that is being filled. Dropped before [`OutFolder::publish`], it leaves everything as it was.
#[derive(Debug)]
pub struct OutFolder {
    path: PathBuf,
    building: PathBuf,
    lock: Option<FolderLock>,
    /// Folders that were made for it, the outermost first.
    made: Vec<PathBuf>,
}

/// What is to happen in a folder whose new files are whole. Paths are relative to it.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Journal {
    marks: Vec<PathBuf>,
    stale: Vec<PathBuf>,
}

impl OutFolder {
    /// Makes the folder if need be, locks it, finds out that it can be written to, and clears what a killed process left.
    ///
    /// # Errors
    /// A file in the way, a folder that cannot be written to, [`DataError::Busy`] where another process fills it.
    pub fn begin(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let building = path.join(BUILDING);
        // From here on leaving early puts back what there was.
        let mut folder = Self { path, building, lock: None, made: Vec::new() };
        folder.make()?;
        folder.lock = Some(FolderLock::acquire(&folder.path, LOCK)?);
        finish(&folder.path, Origin::Found)?;
        remove_folder(&folder.building)?;
        fs::create_dir(&folder.building).map_err(io_error("write to", &folder.path))?;
        Ok(folder)
    }

    fn make(&mut self) -> Result<()> {
        let path = self.path.clone();
        let missing = path.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists());
        for folder in missing.collect::<Vec<_>>().into_iter().rev() {
            match fs::create_dir(folder) {
                Ok(()) => self.made.push(folder.to_owned()),
                // As in "new/../out".
                Err(error) if error.kind() == ErrorKind::AlreadyExists && folder.is_dir() => {}
                Err(_) if folder.is_symlink() => {
                    return Err(unusable(folder, "a link to a folder that does not exist", "make that folder first"));
                }
                Err(error) => return Err(io_error("create", folder)(error)),
            }
        }
        if path.is_dir() { Ok(()) } else { Err(unusable(&path, "a file of this name is in the way", OTHER_OUT)) }
    }

    /// The folder that is being filled.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where new files are to be written, with [`atomic::write`]: empty at first, on the same disk.
    pub fn building(&self) -> &Path {
        &self.building
    }

    /// Whether nothing of the user's is in there. Hidden files and a file system's own folder are not in the way: nothing
    /// that is written here bears their names.
    ///
    /// # Errors
    /// The folder cannot be listed.
    pub fn is_vacant(&self) -> Result<bool> {
        for entry in fs::read_dir(&self.path).map_err(io_error("list", &self.path))? {
            let name = entry.map_err(io_error("list", &self.path))?.file_name();
            if !(name.to_string_lossy().starts_with('.') || name == "lost+found") {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Puts the new files in their places and removes `stale` ones, of which those with a successor stay.
    ///
    /// `marks` are the files, new or old, that make a reader take what is there for whole. Paths are relative.
    ///
    /// # Errors
    /// Something is in the way: nothing has changed then. The system refuses: what is left is done by whoever comes next.
    pub fn publish(self, marks: &[PathBuf], stale: &[PathBuf]) -> Result<()> {
        let files = files_below(&self.building)?;
        for file in &files {
            let target = self.path.join(file);
            let mut above = target.ancestors().skip(1).take_while(|folder| *folder != self.path);
            if target.is_dir() {
                return Err(unusable(&target, "a folder is in the way of a file", OTHER_OUT));
            } else if let Some(file) = above.find(|folder| folder.exists() && !folder.is_dir()) {
                return Err(unusable(file, "a file is in the way of a folder", OTHER_OUT));
            }
        }
        let is_stale = |file: &&PathBuf| !files.contains(file) && self.path.join(file).is_file();
        let stale = stale.iter().filter(is_stale).cloned().collect();
        let journal = serde_json::to_vec(&Journal { marks: marks.to_vec(), stale })
            .map_err(|error| io_error("write to", &self.path)(error.into()))?;
        let list = self.building.join(JOURNAL);
        step(|| atomic::write(&list, &journal)).map_err(io_error("write to", &list))?;
        let publishing = self.path.join(PUBLISHING);
        step(|| fs::rename(&self.building, &publishing)).map_err(io_error("rename", &self.building))?;
        finish(&self.path, Origin::Own)
    }
}

impl Drop for OutFolder {
    fn drop(&mut self) {
        if self.lock.is_some() {
            let _ = fs::remove_dir_all(&self.building);
        }
        self.lock = None;
        for folder in self.made.iter().rev() {
            // Only an empty one goes.
            let _ = fs::remove_dir(folder);
        }
    }
}

const OTHER_OUT: &str = "choose another --out";

fn unusable(path: &Path, reason: &str, remedy: &str) -> DataError {
    DataError::Folder { path: shown(path), reason: reason.into(), remedy: remedy.into() }
}

/// Does what is left of a publication that was killed half-way, and waits for one that is going on. Readers call it first;
/// usually there is nothing to do.
///
/// # Errors
/// The rest cannot be done, or another process is at it for too long.
pub fn finish_interrupted(folder: &Path) -> Result<()> {
    // Moving files takes moments; this is for a slow disk.
    const PATIENCE: Duration = Duration::from_secs(10);
    let started = Instant::now();
    while is_unfinished(folder) {
        match FolderLock::acquire(folder, LOCK).and_then(|_held| finish(folder, Origin::Found)) {
            Ok(()) => {}
            Err(DataError::Busy { .. }) if started.elapsed() < PATIENCE => sleep(Duration::from_millis(20)),
            Err(error @ DataError::Busy { .. }) => return Err(error),
            Err(error) => {
                let reason =
                    format!("what was written last is whole but not yet in its place, and was not moved: {error}");
                return Err(unusable(folder, &reason, "make the folder writable for a moment"));
            }
        }
    }
    Ok(())
}

/// Whether files are not yet in their places. The list goes when all are; what is left of the hidden folder then is for the next
/// writer to clear, since a reader may have no right to.
fn is_unfinished(folder: &Path) -> bool {
    let publishing = folder.join(PUBLISHING);
    is_own_folder(&publishing) && !matches!(publishing.join(JOURNAL).try_exists(), Ok(false))
}

/// Who wrote a list of what to do.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Origin {
    Own,
    /// It was found in the folder, which may come from anywhere.
    Found,
}

/// Steps 2 and 3 of the module's text; each may be done already. The folder is locked.
fn finish(folder: &Path, origin: Origin) -> Result<()> {
    let publishing = folder.join(PUBLISHING);
    if !is_own_folder(&publishing) {
        return Ok(());
    }
    let list = publishing.join(JOURNAL);
    let journal = match fs::read(&list) {
        Ok(bytes) => serde_json::from_slice::<Journal>(&bytes)
            .map_err(|error| unusable(&list, &format!("damaged: {error}"), "remove its folder"))?,
        // Everything is in its place: the list is the first to go.
        Err(error) if error.kind() == ErrorKind::NotFound => return remove_folder(&publishing),
        Err(error) => return Err(io_error("read", &list)(error)),
    };
    if origin == Origin::Found {
        let files = files_below(&publishing)?;
        if let Some(outside) = files.iter().chain(&journal.stale).find(|file| leads_out(folder, file)) {
            let reason = format!("what was written last is not moved to {}, outside the folder", outside.display());
            return Err(unusable(&publishing, &reason, "move its files by hand, or remove it"));
        }
    }
    let is_mark = |file: &PathBuf| journal.marks.contains(file);
    let new = files_below(&publishing)?.into_iter().filter(|file| file.as_path() != Path::new(JOURNAL));
    let (marks, files): (Vec<PathBuf>, Vec<PathBuf>) = new.partition(is_mark);
    let (stale_marks, stale): (Vec<PathBuf>, Vec<PathBuf>) = journal.stale.iter().cloned().partition(is_mark);
    for file in marks.iter().chain(&stale_marks).chain(&stale) {
        let old = folder.join(file);
        step(|| fs::remove_file(&old)).or_else(is_gone).map_err(io_error("remove", &old))?;
    }
    for files in [&files, &marks] {
        for file in files {
            let (from, to) = (publishing.join(file), folder.join(file));
            fs::create_dir_all(atomic::parent(&to)).map_err(io_error("create", atomic::parent(&to)))?;
            step(|| move_file(&from, &to)).map_err(io_error("write to", &to))?;
        }
        let folders: BTreeSet<PathBuf> = files.iter().map(|file| atomic::parent(&folder.join(file)).into()).collect();
        for changed in folders {
            atomic::sync_folder(&changed).map_err(io_error("write to", &changed))?;
        }
    }
    for file in journal.stale.iter().filter(|file| file.components().count() > 1) {
        // Only an empty one goes.
        let _ = fs::remove_dir(atomic::parent(&folder.join(file)));
    }
    step(|| fs::remove_file(&list)).map_err(io_error("remove", &list))?;
    step(|| fs::remove_dir_all(&publishing)).map_err(io_error("remove", &publishing))?;
    atomic::sync_folder(folder).map_err(io_error("write to", folder))
}

/// A link to a folder is none of ours.
fn is_own_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|data| data.is_dir())
}

/// Whether `file`, relative to `folder`, lies elsewhere: above it, or behind a link.
fn leads_out(folder: &Path, file: &Path) -> bool {
    if !file.components().all(|part| matches!(part, Component::Normal(_))) {
        return true;
    }
    let Ok(root) = folder.canonicalize() else { return true };
    let mut above = folder.join(file);
    while above.pop() && above != folder {
        if let Ok(place) = above.canonicalize() {
            return !place.starts_with(&root);
        }
    }
    false
}

fn is_gone(error: io::Error) -> io::Result<()> {
    if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) { Ok(()) } else { Err(error) }
}

fn move_file(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        // A folder inside the target may be a link to another disk.
        Err(error) if error.kind() == ErrorKind::CrossesDevices => {
            atomic::copy(from, to)?;
            fs::remove_file(from)
        }
        renamed => renamed,
    }
}

/// The files below `folder`, relative to it, sorted.
fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    fn add(root: &Path, below: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
        for entry in fs::read_dir(root.join(below))? {
            let entry = entry?;
            let path = below.join(entry.file_name());
            if entry.file_type()?.is_dir() { add(root, &path, files)? } else { files.push(path) }
        }
        Ok(())
    }
    let mut files = Vec::new();
    add(folder, Path::new(""), &mut files).map_err(io_error("list", folder))?;
    files.sort();
    Ok(files)
}

fn remove_folder(path: &Path) -> Result<()> {
    fs::remove_dir_all(path).or_else(is_gone).map_err(io_error("remove", path))
}

/// One change to the disk. Tests fail here to see what a kill at this moment would leave.
fn step<T>(change: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    #[cfg(test)]
    tests::count_down()?;
    change()
}

#[cfg(test)]
mod tests;
