//! Where golden values lie.

use std::path::{Path, PathBuf};

/// The folder of golden values: `$ELECTRA_FIXTURES`, else `tests/fixtures`.
///
/// # Panics
/// Where there is no such folder: a test that compares with nothing must not pass.
pub(crate) fn fixtures_root() -> PathBuf {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let folder = std::env::var_os("ELECTRA_FIXTURES").map_or(default, PathBuf::from);
    assert!(folder.is_dir(), "{} is no folder; set ELECTRA_FIXTURES to one of golden values", folder.display());
    folder
}
