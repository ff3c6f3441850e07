//! One training step: trainer, optimizer, schedule, metrics. No file, and no clock unless a caller sets one.

pub mod metrics;
pub mod optimizer;
pub mod part_clock;
pub mod schedule;
pub mod trainer;
