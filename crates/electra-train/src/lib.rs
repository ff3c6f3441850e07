//! Training around the networks: configuration, optimizer, metrics, checkpoints, import and export.
//!
//! Nothing here prints: training emits [`TrainEvent`]s, and whoever runs it shows them. Files, clocks and
//! TensorBoard stand behind the feature `native`, so that a page can train with the rest.

#![warn(missing_docs)]

pub mod config;
pub mod data;
#[cfg(feature = "native")]
pub mod diagnosis;
mod error;
pub mod estimate;
pub mod exchange;
pub mod file;
pub mod finetuning;
pub mod host;
pub mod inference;
pub mod pretraining;
pub mod run;
pub mod step;

pub use config::{MicroBatch, RunConfig, RunConfigError};
pub use error::{During, Error, Result};
pub use exchange::hugging_face::{Architecture, Network};
pub use exchange::model_card::ModelCard;
#[cfg(feature = "native")]
pub use file::lock::RunFolder;
pub use file::tensor_file::TensorFile;
pub use host::HostTensor;
pub use pretraining::metrics::{MetricsRow, StepMetrics};
pub use pretraining::{FrequencyDetector, Plan, RecordedStep, Recording, objective_of};
pub use run::event::{EventSink, TrainEvent};
pub use step::optimizer::{Adam, AdamConfig, StepReport};
pub use step::schedule::{LayerwiseExponent, layerwise_multiplier, lr_at};

/// Lower-case hexadecimal digits of `bytes`.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
