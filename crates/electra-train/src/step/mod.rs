//! One training step: trainer, optimizer, schedule, metrics. No file, and no clock unless a caller sets one.

pub(crate) mod metrics;
pub(crate) mod optimizer;
pub mod part_clock;
pub(crate) mod roc_auc;
pub(crate) mod schedule;
pub mod trainer;
