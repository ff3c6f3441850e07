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
    while folder.join(PUBLISHING).is_dir() {
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
    if !publishing.is_dir() {
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
mod tests {
    use std::cell::Cell;
    use std::collections::BTreeMap;

    use super::*;

    thread_local! {
        static STEPS_LEFT: Cell<usize> = const { Cell::new(usize::MAX) };
    }

    pub(super) fn count_down() -> io::Result<()> {
        STEPS_LEFT.with(|left| {
            left.set(left.get().checked_sub(1).ok_or_else(|| io::Error::other("killed"))?);
            Ok(())
        })
    }

    type Files = BTreeMap<String, String>;

    fn files_of(folder: &Path) -> Files {
        let text = |file: &PathBuf| fs::read_to_string(folder.join(file)).expect("text");
        let files = files_below(folder).expect("listed");
        files.iter().map(|file| (file.to_string_lossy().replace('\\', "/"), text(file))).collect()
    }

    fn write(folder: &Path, names: &[&str], text: &str) {
        for name in names {
            fs::create_dir_all(atomic::parent(&folder.join(name))).expect("made");
            fs::write(folder.join(name), text).expect("written");
        }
    }

    fn paths(names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(PathBuf::from).collect()
    }

    const OLD: [&str; 5] = ["a/config", "a/weights", "b/config", "b/weights", "shard-1"];
    const NEW: [&str; 3] = ["a/config", "a/weights", "a/words"];
    const MARKS: [&str; 2] = ["a/config", "b/config"];

    fn publish(folder: &Path, text: &str) -> Result<()> {
        let out = OutFolder::begin(folder)?;
        write(out.building(), &NEW, text);
        out.publish(&paths(&MARKS), &paths(&OLD))
    }

    #[test]
    fn killed_at_any_moment_it_is_the_old_or_the_new_and_never_a_mixture() {
        let text_of = |name: &str| if name.ends_with("mine") { "mine" } else { "new" };
        let new: Files =
            NEW.iter().chain(&["b/mine", "mine"]).map(|name| ((*name).into(), text_of(name).into())).collect();
        let mut killed = 0;
        for steps in 0.. {
            let folder = tempfile::tempdir().expect("a temporary folder");
            write(folder.path(), &OLD, "old");
            write(folder.path(), &["mine", "b/mine"], "mine");
            let old = files_of(folder.path());
            STEPS_LEFT.set(steps);
            let published = publish(folder.path(), "new");
            STEPS_LEFT.set(usize::MAX);
            // What a reader that knows nothing of us takes for whole is of one making.
            let whole = ["a", "b"].into_iter().filter(|name| folder.path().join(name).join("config").is_file());
            let texts: BTreeSet<String> = whole
                .flat_map(|network| ["config", "weights"].map(|name| folder.path().join(network).join(name)))
                .map(|file| fs::read_to_string(file).expect("whole"))
                .collect();
            assert!(texts.len() <= 1, "a mixture after {steps} steps");
            let began = folder.path().join(PUBLISHING).is_dir() || published.is_ok();
            finish_interrupted(folder.path()).expect("finished");
            assert_eq!(files_of(folder.path()), if began { new.clone() } else { old }, "after {steps} steps");
            if published.is_ok() {
                break;
            }
            killed += 1;
        }
        assert!(killed > 8, "only {killed} moments");
    }

    #[test]
    fn a_second_writer_is_refused_and_a_failed_one_leaves_nothing() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let target = root.path().join("new/deep");
        let out = OutFolder::begin(&target).expect("begun");
        assert!(matches!(OutFolder::begin(&target), Err(DataError::Busy { .. })));
        write(out.building(), &["x/half"], "half");
        assert!(out.is_vacant().expect("listed"));
        drop(out);
        assert_eq!(fs::read_dir(root.path()).expect("listed").count(), 0, "what was made for it is gone");

        // What a killed process left is cleared; a hidden file of the user's is not.
        write(&target, &[".electra-building/x", ".electra-lock", ".gitkeep"], "left");
        let out = OutFolder::begin(&target).expect("begun");
        assert_eq!(fs::read_dir(out.building()).expect("listed").count(), 0);
        assert!(out.is_vacant().expect("listed"));
        drop(out);
        assert_eq!(files_of(&target).into_keys().collect::<Vec<_>>(), [".gitkeep"]);
    }

    #[test]
    fn what_is_in_the_way_is_named_before_anything_changes() {
        let root = tempfile::tempdir().expect("a temporary folder");
        write(root.path(), &["file"], "x");
        for target in ["file", "file/below"] {
            let message = OutFolder::begin(root.path().join(target)).expect_err("in the way").to_string();
            assert!(message.contains("file") && message.contains("choose another"), "{message}");
        }
        let target = root.path().join("out");
        write(&target, &["a"], "a file where a folder must be");
        let before = files_of(&target);
        assert!(publish(&target, "new").expect_err("in the way").to_string().contains("in the way of a folder"));
        fs::remove_file(target.join("a")).expect("removed");
        write(&target, &["a/config/inside"], "a folder where a file must be");
        assert!(publish(&target, "new").expect_err("in the way").to_string().contains("in the way of a file"));
        assert_eq!((before.len(), files_of(&target).len()), (1, 1), "nothing else is left");
    }

    #[cfg(unix)]
    #[test]
    fn links_stay_and_what_they_point_to_is_filled() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let (target, inner, link) = (root.path().join("disk"), root.path().join("other"), root.path().join("link"));
        fs::create_dir_all(&target).expect("made");
        fs::create_dir_all(&inner).expect("made");
        std::os::unix::fs::symlink(&inner, target.join("a")).expect("linked");
        std::os::unix::fs::symlink(&target, &link).expect("linked");
        publish(&link, "new").expect("published");
        assert!(link.is_symlink() && target.join("a").is_symlink());
        assert_eq!(files_of(&inner).len(), 3);
        // A list that was found is not believed where it leads out of the folder: the folder may come from anywhere.
        for stale in ["a/config", "../other/config", inner.join("config").to_str().expect("UTF-8")] {
            write(&target, &[".electra-publishing/shard-1"], "foreign");
            let list = serde_json::json!({ "marks": [], "stale": [stale] }).to_string();
            write(&target, &[".electra-publishing/journal.json"], &list);
            let message = finish_interrupted(&target).expect_err("refused").to_string();
            assert!(message.contains("outside the folder"), "{message}");
            assert_eq!(files_of(&inner).len(), 3);
        }
        fs::remove_dir_all(target.join(PUBLISHING)).expect("removed");
        let lost = root.path().join("lost");
        std::os::unix::fs::symlink(root.path().join("nowhere"), &lost).expect("linked");
        assert!(OutFolder::begin(&lost).expect_err("nothing there").to_string().contains("does not exist"));
    }
}
