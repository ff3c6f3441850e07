//! What the tests share.

pub mod adapter;
pub mod fixtures;
pub mod program;
pub mod small_run;
/// Disturbances of runs; std alone, as the soak that one calls by hand has them too.
#[path = "../../xtask/src/soak.rs"]
pub mod soak;
pub mod tensors;
