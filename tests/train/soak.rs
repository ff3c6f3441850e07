//! A short soak: `cargo xtask soak` kills 200 times.

#[path = "../../xtask/src/soak.rs"]
mod disturb;

use std::path::Path;

#[test]
fn a_run_that_is_killed_stopped_doubled_and_starved_is_the_undisturbed_one() {
    let folder = tempfile::tempdir().unwrap();
    let summary = disturb::soak(Path::new(env!("CARGO_BIN_EXE_electra")), folder.path(), 10, 1);
    eprintln!("{}", summary.unwrap_or_else(|error| panic!("{error}")));
}
