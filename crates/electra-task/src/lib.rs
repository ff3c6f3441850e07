//! What networks are fine-tuned for: tables and files to examples, examples to features, outputs to predictions and scores.
//!
//! Nothing here knows Burn, and nothing prints. The core takes bytes and compiles to WebAssembly; files, compression and
//! Parquet stand behind the default feature `native`.

#![warn(missing_docs)]

mod error;
mod example;
pub mod metric;
mod prediction;
pub mod report;
mod scores;
pub mod squad;

pub use error::{Result, TaskError};
pub use example::{Answer, Example, Input, Kind, Target};
pub use prediction::Prediction;
pub use scores::Scores;
