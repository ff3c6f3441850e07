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
    let new: Files = NEW.iter().chain(&["b/mine", "mine"]).map(|name| ((*name).into(), text_of(name).into())).collect();
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

/// Killed when all files were in their places, it leaves nothing for a reader to do, who may have no right to write.
#[test]
fn a_reader_writes_nothing_where_only_an_empty_hidden_folder_is_left() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write(folder.path(), &OLD, "new");
    fs::create_dir(folder.path().join(PUBLISHING)).expect("made");
    let modified = || fs::metadata(folder.path()).and_then(|data| data.modified()).expect("there");
    let before = modified();
    finish_interrupted(folder.path()).expect("nothing to do");
    assert!(folder.path().join(PUBLISHING).is_dir() && modified() == before, "it is the next writer's");
    publish(folder.path(), "newer").expect("published");
    assert!(!folder.path().join(PUBLISHING).exists());
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
