//! `cargo xtask check-platforms`: type-checks Electra for the systems that this machine is not.
//!
//! `cargo check` links nothing, so it needs no foreign linker or system libraries; but some dependencies compile C in
//! their build scripts. This program stands in for that C compiler and archiver: it creates the file that it is asked
//! for, empty, and says that all is well.

use std::ffi::OsStr;
use std::process::ExitCode;

use crate::stage::{cargo, run};

/// One target for each system that is not built here; the GNU flavour of Windows, since the other wants Microsoft's
/// tools even to look for them.
pub(crate) const TARGETS: [&str; 2] = ["x86_64-pc-windows-gnu", "aarch64-apple-darwin"];

/// Tells this program, when it is started by a build script, that it is to be a C compiler.
const STAND_IN: &str = "ELECTRA_XTASK_IS_COMPILER";

/// Type-checks the program `electra` for every target.
pub(crate) fn check() -> Result<(), String> {
    let failures: Vec<String> = TARGETS.iter().filter_map(|target| check_target(target).err()).collect();
    if failures.is_empty() { Ok(()) } else { Err(failures.join("; ")) }
}

fn check_target(target: &str) -> Result<(), String> {
    let compiler = std::env::current_exe().map_err(|error| format!("where is this program? {error}"))?;
    let mut command = cargo(&["check", "--release", "--locked", "--package", "electra", "--target", target]);
    let suffix = target.replace('-', "_");
    for tool in ["CC", "CXX", "AR", "RANLIB"] {
        command.env(format!("{tool}_{suffix}"), &compiler);
    }
    // Apple's SDK folder: only named on the compiler's command line, which the stand-in does not read.
    command.env(STAND_IN, "1").env("SDKROOT", "/");
    run(&mut command)
}

/// Whether a build script started this program in place of a C compiler.
pub(crate) fn is_compiler_stand_in() -> bool {
    std::env::var_os(STAND_IN).is_some()
}

/// Creates the output file, empty: the word after `-o`, and the archive's name where this stands in for `ar`.
pub(crate) fn stand_in_for_a_compiler() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let after_o = arguments.windows(2).find(|pair| pair[0] == "-o").map(|pair| &pair[1]);
    let is_archive = |word: &&std::ffi::OsString| std::path::Path::new(word).extension() == Some(OsStr::new("a"));
    let output = after_o.or_else(|| arguments.iter().find(is_archive));
    match output.map(|path| std::fs::write(path, [])) {
        Some(Err(_)) => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}
