//! What the tests share.

pub(crate) mod adapter;
pub(crate) mod fixtures;
pub(crate) mod program;
pub(crate) mod small_run;
/// Disturbances of runs; std alone, as the soak that one calls by hand has them too.
#[path = "../../xtask/src/soak.rs"]
pub(crate) mod soak;
