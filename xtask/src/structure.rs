//! Who imports whom: no circle of files or folders, and no arrow back up.
//!
//! A crate's modules are rooms on floors. A room may import what lies on floors below it, and nothing else; so the files of
//! an operation can be read without those above, and a runtime without the operations. Files of tests (`tests.rs`, `tests/`)
//! may import anything, since nobody imports them. What is looked at are the paths in the text (`use crate::a::b`, `super::c`,
//! `a::d` where `a` was imported): `imports.rs` finds them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;

use crate::imports::{Module, imports};
use crate::stage::root;

/// The floors of a crate, the lowest first: names of modules at its root. Rooms of one floor do not know each other, but for
/// the folders in a room that has [`WINGS`].
type Floors = &'static [&'static [&'static str]];

const KERNELS: Floors = &[
    &["reference_only"],
    &["noise", "parallel", "precision", "side_by_side"],
    &["types"],
    &["autodiff"],
    &["cpu", "gpu"],
    &["device", "place", "read"],
    &["ops"],
    &["check"],
    &["lib"],
];

/// Rooms whose folders are rooms of their own: they may import one another, but not in a circle.
const WINGS: &[&str] = &["ops"];

/// Looks at the crates whose floors stand above.
pub(crate) fn check() -> Result<(), String> {
    let folder = root().join("crates/electra-kernels/src");
    let mut files = BTreeMap::new();
    read(&folder, &folder, &mut files).map_err(|error| format!("{}: {error}", folder.display()))?;
    let faults = faults(&files, KERNELS);
    eprintln!(
        "electra-kernels: {} files, {} arrows",
        files.len(),
        arrows(&files).values().map(BTreeSet::len).sum::<usize>()
    );
    if faults.is_empty() { Ok(()) } else { Err(format!("electra-kernels: {}", faults.join("; "))) }
}

/// The texts of all Rust files below `folder`, by their paths from `top`.
fn read(top: &Path, folder: &Path, files: &mut BTreeMap<String, String>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            read(top, &path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(top).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            files.insert(name, std::fs::read_to_string(&path)?);
        }
    }
    Ok(())
}

type Arrows = BTreeMap<String, BTreeSet<String>>;

/// Which files each file imports.
fn arrows(files: &BTreeMap<String, String>) -> Arrows {
    let modules: BTreeMap<Module, &str> = files.keys().map(|name| (module_of(name), name.as_str())).collect();
    // The file of the longest part of a path that is a module: what is left is an item there.
    let file_of = |path: &[String]| (0..=path.len()).rev().find_map(|length| modules.get(&path[..length]).copied());
    let of = |(name, text): (&String, &String)| {
        let found = imports(&module_of(name), text);
        let found = found.iter().filter_map(|path| file_of(path)).filter(|other| other != name);
        (name.clone(), found.map(str::to_owned).collect())
    };
    files.iter().map(of).collect()
}

/// `a/b.rs` and `a/b/mod.rs` are the module `a::b`; `lib.rs` is the crate itself.
fn module_of(file: &str) -> Module {
    let mut parts: Module = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    parts.pop_if(|last| *last == "mod" || *last == "lib");
    parts
}

fn is_test(file: &str) -> bool {
    file.split('/').any(|part| part == "tests" || part == "tests.rs")
}

/// The room of a file: its module at the crate's root, and within [`WINGS`] the folder.
fn room_of(file: &str) -> String {
    let parts: Vec<&str> = file.trim_end_matches(".rs").split('/').collect();
    let depth = if WINGS.contains(&parts[0]) && parts.len() > 2 { 2 } else { 1 };
    parts[..depth].join("/")
}

/// What is wrong, a line each.
fn faults(files: &BTreeMap<String, String>, floors: Floors) -> Vec<String> {
    let arrows = arrows(files);
    let mut faults: Vec<String> =
        circles(&arrows).iter().map(|circle| format!("files import one another: {}", circle.join(" -> "))).collect();
    let floor_of = |room: &str| {
        let name = room.split('/').next().unwrap_or(room);
        floors.iter().position(|floor| floor.contains(&name))
    };
    let mut rooms = Arrows::new();
    for (file, others) in arrows.iter().filter(|(file, _)| !is_test(file)) {
        let room = room_of(file);
        let Some(floor) = floor_of(&room) else {
            faults.push(format!("{file}: the module \"{room}\" is on none of the floors of xtask/src/structure.rs"));
            continue;
        };
        for other in others {
            let to = room_of(other);
            if is_test(other) {
                faults.push(format!("{file} imports {other}, which is a file of tests"));
            }
            if to == room {
                continue;
            }
            let is_wing = WINGS.contains(&room.split('/').next().unwrap_or_default()) && floor_of(&to) == Some(floor);
            if !is_wing && floor_of(&to).is_some_and(|other| other >= floor) {
                faults.push(format!("{file} imports {other}, which lies no floor below it"));
            }
            rooms.entry(room.clone()).or_default().insert(to);
        }
    }
    faults.extend(circles(&rooms).iter().map(|circle| format!("folders import one another: {}", circle.join(" -> "))));
    faults
}

/// One circle, the shortest, of each group that can be reached from one another.
fn circles(arrows: &Arrows) -> Vec<Vec<String>> {
    let mut found: Vec<Vec<String>> = Vec::new();
    let mut in_one = BTreeSet::new();
    for start in arrows.keys() {
        let Some(circle) = shortest_circle(arrows, start) else { continue };
        if in_one.contains(start) {
            continue;
        }
        in_one.extend(
            arrows.keys().filter(|other| reaches(arrows, start, other) && reaches(arrows, other, start)).cloned(),
        );
        found.push(circle);
    }
    found
}

fn reaches(arrows: &Arrows, from: &str, to: &str) -> bool {
    path(arrows, from, to).is_some()
}

fn shortest_circle(arrows: &Arrows, start: &str) -> Option<Vec<String>> {
    path(arrows, start, start)
}

/// The shortest way of at least one arrow, both ends included.
fn path(arrows: &Arrows, from: &str, to: &str) -> Option<Vec<String>> {
    let mut before: BTreeMap<&str, &str> = BTreeMap::new();
    let mut next = VecDeque::from([from]);
    while let Some(at) = next.pop_front() {
        for other in arrows.get(at).into_iter().flatten() {
            if other == to {
                let mut way = vec![to.to_owned(), at.to_owned()];
                while way[way.len() - 1] != from {
                    way.push(before[way[way.len() - 1].as_str()].to_owned());
                }
                way.reverse();
                return Some(way);
            }
            if other != from && !before.contains_key(other.as_str()) {
                before.insert(other, at);
                next.push_back(other);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> BTreeMap<String, String> {
        files.iter().map(|&(name, text)| (name.to_owned(), text.to_owned())).collect()
    }

    const HOUSE: Floors = &[&["types"], &["cpu", "gpu"], &["ops"], &["check"], &["lib"]];

    /// A house in order, with a file in place of one of its own.
    fn faults_with(file: &str, text: &str) -> Vec<String> {
        let mut files = tree(&[
            ("lib.rs", "mod check; mod cpu; mod gpu; mod ops; mod types;\npub use ops::add::add;"),
            ("types.rs", "pub struct Place;"),
            ("cpu/mod.rs", "mod rows;\npub(crate) use rows::rows;"),
            ("cpu/rows.rs", "use crate::types::Place;"),
            ("gpu.rs", "use std::fmt::Debug;"),
            ("ops/mod.rs", "pub mod add;\npub mod twice;"),
            ("ops/add/mod.rs", "mod cpu;\npub fn add() { cpu::add(); crate::gpu::launch() }"),
            ("ops/add/cpu.rs", "use crate::cpu::rows;"),
            ("ops/add/tests.rs", "use super::*;\nuse crate::check::verify;"),
            ("ops/twice.rs", "use super::add::add;"),
            ("check.rs", "use crate::ops::{add::add, twice};\nfn all() { twice::twice() }"),
        ]);
        files.insert(file.to_owned(), text.to_owned());
        faults(&files, HOUSE)
    }

    #[test]
    fn a_house_in_order_has_no_faults() {
        assert_eq!(
            faults_with("types.rs", "// use crate::ops::add::add;\nconst NAME: &str = \"crate::check\";"),
            [""; 0]
        );
    }

    #[test]
    fn arrows_back_up_are_found_in_all_their_forms() {
        for text in [
            "use crate::check::verify;",
            "use crate::{cpu::rows, check::{self, verify as v}};",
            "fn f() -> crate::check::Verdict {}",
            "use super::ops;\nfn f() { ops::twice::twice() }",
            "#[cfg(test)]\nmod tests {\n    use super::super::ops::twice::twice;\n}",
            "pub(in crate::gpu) fn f() { if 'x' == '\\'' { crate::ops::twice::twice() } }",
        ] {
            let found = faults_with("gpu.rs", text);
            assert!(
                found.iter().any(|fault| fault.contains("gpu.rs imports") && fault.contains("no floor below")),
                "{text}: {found:?}"
            );
        }
    }

    #[test]
    fn neighbours_on_a_floor_do_not_know_each_other_unless_they_are_wings() {
        let found = faults_with("gpu.rs", "use crate::cpu::rows;");
        assert_eq!(found, ["gpu.rs imports cpu/rows.rs, which lies no floor below it"]);
    }

    #[test]
    fn circles_of_files_and_of_folders_are_found() {
        let files = faults_with("cpu/rows.rs", "use super::dense;");
        assert_eq!(files, ["files import one another: cpu/mod.rs -> cpu/rows.rs -> cpu/mod.rs"]);
        // By way of the crate's own names, too.
        let by_root = faults_with("ops/add/cpu.rs", "use crate::add;");
        assert!(by_root.iter().any(|fault| fault.contains("lib.rs")), "{by_root:?}");
        // No file imports itself by these two, but their folders do.
        let mut files = tree(&[
            ("lib.rs", ""),
            ("ops/a/mod.rs", "use crate::ops::b::cpu::f;"),
            ("ops/a/cpu.rs", ""),
            ("ops/b/mod.rs", "use crate::ops::a::cpu::f;"),
            ("ops/b/cpu.rs", ""),
        ]);
        assert_eq!(faults(&files, HOUSE), ["folders import one another: ops/a -> ops/b -> ops/a"]);
        files.remove("ops/b/mod.rs");
        assert_eq!(faults(&files, HOUSE), [""; 0]);
    }

    #[test]
    fn tests_are_imported_by_nobody_and_every_room_has_a_floor() {
        let found = faults_with("ops/twice.rs", "use super::add::tests::helper;");
        assert!(
            found.contains(&"ops/twice.rs imports ops/add/tests.rs, which is a file of tests".to_owned()),
            "{found:?}"
        );
        let found = faults_with("attic.rs", "");
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("\"attic\" is on none of the floors"), "{found:?}");
    }

    #[test]
    fn the_crates_keep_the_rule() {
        assert_eq!(check(), Ok(()));
    }
}
