//! The integration tests: one binary, so that Electra is linked once. What a test is about decides its folder.

/// Fixtures, the `electra` program, graphics adapters.
mod support;

/// The program as a user meets it: arguments, output, exit codes.
mod cli;

/// Operations on every kind of device.
mod kernels;

/// Networks, losses and optimizer against numbers from elsewhere.
mod model;

/// Runs: what they learn, and that nothing is lost when they end early.
mod train;
