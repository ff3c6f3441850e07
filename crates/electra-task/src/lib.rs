//! What networks are fine-tuned for: tables and files to examples, examples to features, outputs to predictions and scores.
//!
//! Nothing here knows Burn, and nothing prints. The core takes bytes and compiles to WebAssembly; files, compression and
//! Parquet stand behind the default feature `native`.

#![warn(missing_docs)]

pub mod baseline;
pub mod batch;
pub mod encode;
mod error;
mod example;
mod files;
pub mod metric;
pub mod output;
mod prediction;
pub mod report;
mod score;
mod scores;
pub mod squad;
pub mod table;
pub mod task;

pub use error::{Result, TaskError};
pub use example::{Answer, Example, Input, Kind, Target};
pub use files::Files;
pub use prediction::Prediction;
pub use score::score;
pub use scores::Scores;
