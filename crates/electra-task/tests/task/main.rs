//! Tests of the whole crate, one binary.

// Metrics against scikit-learn's, SciPy's and seqeval's numbers.
mod metrics;
// SQuAD's files, windows, answers and official scores.
mod squad;
