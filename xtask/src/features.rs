//! Checks that every way of calling cargo builds the same Burn.
//!
//! Cargo unifies the features of a dependency over the packages that one command builds. Where Burn shares a crate with
//! the rest of the workspace and the rest wants more features, `cargo build -p electra-kernels` and `cargo test
//! --workspace` would each compile all of Burn, a quarter of an hour on two cores. `electra-kernels` therefore asks for
//! those features itself; this check says when its list has become too short.

use std::collections::{BTreeMap, BTreeSet};

use crate::stage::cargo;

/// The package below which all of Burn lies.
const OWNER: &str = "electra-kernels";

/// Compares the features of all that [`OWNER`] needs with what the whole workspace makes of them.
pub(crate) fn check() -> Result<(), String> {
    let alone = features(&["--package", OWNER, "--edges", "normal,build"])?;
    let together = features(&["--workspace", "--edges", "normal,build,dev"])?;
    let mut missing = Vec::new();
    for (package, alone) in &alone {
        // A package that is built for build scripts too appears twice, with features of its own.
        let together = &together[package];
        if !alone.is_subset(together) {
            missing.push(format!("{package} has features {alone:?} alone and {together:?} in the workspace"));
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!("crates/{OWNER}/Cargo.toml must name more features, or Burn is built twice: {}", missing.join("; ")))
}

/// The sets of features with which each package is built, by name and version; this repository's own left out.
fn features(selection: &[&str]) -> Result<BTreeMap<String, BTreeSet<String>>, String> {
    let mut command = cargo(&["tree", "--locked", "--prefix", "none", "--format", "{p};{f}"]);
    let output = command.args(selection).output().map_err(|error| format!("cargo tree did not start: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo tree: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    let mut packages: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Some((package, features)) = line.split_once(';') else { continue };
        // "name v1.2.3 (proc-macro)", and "(*)" behind a repeated line; a path in parentheses is our own.
        if package.contains("(/") || package.contains(":\\") {
            continue;
        }
        let package = package.split(' ').take(2).collect::<Vec<_>>().join(" ");
        packages.entry(package).or_default().insert(features.trim_end_matches(" (*)").to_owned());
    }
    Ok(packages)
}
