//! Commands that read a folder leave it as it is, and so need no right to write there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::support::program::run;
use crate::support::small_run::SmallRun;

/// Every file and folder below `folder`, and when it was changed: a folder is, whenever something in it comes or goes.
fn times(folder: &Path) -> BTreeMap<PathBuf, SystemTime> {
    let mut times = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path.clone());
            }
            let changed = path.metadata().unwrap().modified().unwrap();
            times.insert(path, changed);
        }
        let changed = folder.metadata().unwrap().modified().unwrap();
        times.insert(folder, changed);
    }
    times
}

/// Makes all of `folder` read-only, or writable again so that it can be removed. A superuser may write all the same: it is
/// [`times`] that shows whether somebody did.
fn set_read_only(folder: &Path, read_only: bool) {
    #[cfg(unix)]
    for path in times(folder).keys() {
        use std::os::unix::fs::PermissionsExt;
        let mode = match (path.is_dir(), read_only) {
            (true, true) => 0o555,
            (true, false) => 0o755,
            (false, true) => 0o444,
            (false, false) => 0o644,
        };
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let _ = (folder, read_only);
}

#[test]
fn commands_that_read_a_folder_neither_change_it_nor_need_to() {
    let small = SmallRun::new();
    small.pretrain("run", &[]).expect_success();
    let given = small.path("given");
    std::fs::create_dir(&given).unwrap();
    for name in ["tokenizer", "data", "run", "text.txt"] {
        std::fs::rename(small.path(name), given.join(name)).unwrap();
    }
    // As a kill leaves it when everything was in its place.
    std::fs::create_dir(given.join("data/.electra-publishing")).unwrap();
    std::fs::create_dir(given.join("run/.electra-publishing")).unwrap();
    set_read_only(&given, true);
    let before = times(&given);
    let [tokenizer, data, trained, text] =
        ["tokenizer", "data", "run", "text.txt"].map(|name| small.shown(&format!("given/{name}")));
    let [discriminator, generator] = ["discriminator", "generator"].map(|name| format!("{trained}/{name}"));
    let out = small.shown("out");
    let commands: [&[&str]; 11] = [
        &["data", "inspect", &data, "--sequence-length", "32"],
        &["detect", "--model", &trained, "the dog"],
        &["detect", "--model", &discriminator, "the dog"],
        &["fill", "--model", &trained, "the [MASK]"],
        &["export", &trained, "--out", &out],
        &["import", "--discriminator", &discriminator, "--generator", &generator, "--out", &out, "--overwrite"],
        &["tokenizer", "import", &tokenizer, "--out", &small.shown("imported")],
        &["tokenizer", "train", "--input", &text, "--vocab-size", "200", "--out", &small.shown("trained")],
        &["data", "build", "--tokenizer", &tokenizer, "--input", &text, "--out", &small.shown("built")],
        &["pretrain", "--preset", "nano", "--device", "cpu", "--data", &data, "--dry-run"],
        &[
            "pretrain",
            "--preset",
            "nano",
            "--device",
            "cpu",
            "--data",
            &data,
            "--out",
            &small.shown("next"),
            "--set",
            "train.steps=1",
            "--set",
            "train.warmup_steps=1",
        ],
    ];
    let ended = commands.map(|command| (command, run(command)));
    let after = times(&given);
    set_read_only(&given, false);
    for (command, ended) in ended {
        assert_eq!(ended.exit_code, Some(0), "{command:?}: {ended:#?}");
    }
    let changed: Vec<_> = after.iter().filter(|(path, time)| before.get(*path) != Some(time)).collect();
    assert!(changed.is_empty() && after.len() == before.len(), "{changed:?}");
}
