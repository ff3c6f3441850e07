//! Tables, tasks and baselines: from files to examples and a first number.

// Files of any layout as tables; what is malformed is counted.
mod tables;
// GLUE's files, official and Parquet, and submissions.
mod glue;
// A user's tables: columns, kinds, labels, and what cannot be read.
mod custom;
// What a network must beat.
mod baselines;
// Counts of the data beside the checkout, where it is there.
mod shared;
