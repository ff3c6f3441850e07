//! One training step: trainer, learner, optimizer, schedule. No file, and no clock unless a caller sets one.

pub mod learner;
pub(crate) mod optimizer;
pub mod part_clock;
pub(crate) mod roc_auc;
pub(crate) mod schedule;
pub mod trainer;
