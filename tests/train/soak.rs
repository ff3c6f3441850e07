//! A short soak: `cargo xtask soak` kills 200 times.

use std::path::Path;

use crate::support::soak::soak;

#[test]
fn a_run_that_is_killed_stopped_doubled_and_starved_is_the_undisturbed_one() {
    let folder = tempfile::tempdir().unwrap();
    let summary = soak(Path::new(env!("CARGO_BIN_EXE_electra")), folder.path(), 10, 1);
    eprintln!("{}", summary.unwrap_or_else(|error| panic!("{error}")));
}
