//! How good predictions are: plain functions of what is right and what was predicted, a file for each family of metrics.
//!
//! Degenerate cases (one class, constant predictions, ties, nothing to find) give what scikit-learn, SciPy and seqeval give, a share of
//! nothing being 0 (their `zero_division=0`) and what has no value NaN. tests/fixtures/metrics holds their numbers.

mod calibration;
mod classes;
mod correlation;
mod entities;
mod labels;
mod ranking;
mod tally;

pub use calibration::{BINS, Calibration, CalibrationBin, calibration};
pub use classes::{accuracy, confusion_matrix, f1_binary, matthews, per_class};
pub use correlation::{mean_squared_error, pearson, spearman};
pub use entities::{EntityScores, TagScheme, entity_scores};
pub use labels::{per_label, subset_accuracy};
pub use ranking::roc_auc;
pub use tally::{Rates, Tally, macro_average, micro_average, weighted_average};
