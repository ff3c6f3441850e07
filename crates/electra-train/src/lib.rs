//! Pre-training around the networks: configuration, optimizer, metrics, checkpoints, import and export.
//!
//! Nothing here prints: training emits [`TrainEvent`]s, and whoever runs it shows them. Files, clocks and
//! TensorBoard stand behind the feature `native`, so that a page can train with the rest.

pub mod baseline;
#[cfg(feature = "native")]
pub mod checkpoint;
#[cfg(feature = "native")]
pub mod detect;
pub mod error;
pub mod event;
#[cfg(feature = "native")]
pub mod export;
#[cfg(feature = "native")]
pub mod file;
pub mod flops;
pub mod host;
#[cfg(feature = "native")]
pub mod hugging_face;
#[cfg(feature = "native")]
mod init_from;
pub mod ledger;
pub mod memory;
pub mod metrics;
#[cfg(feature = "native")]
pub mod model_card;
pub mod optimizer;
pub mod part_clock;
#[cfg(feature = "native")]
pub mod pretrain;
#[cfg(feature = "native")]
pub mod record;
#[cfg(feature = "native")]
mod resume;
pub mod run_config;
#[cfg(feature = "native")]
pub mod run_folder;
pub mod schedule;
pub mod tensor_file;
#[cfg(feature = "native")]
pub mod tensorboard;
pub mod trainer;
#[cfg(feature = "native")]
pub mod training_data;
pub mod validate;
#[cfg(feature = "native")]
mod weights;

pub use baseline::FrequencyDetector;
#[cfg(feature = "native")]
pub use checkpoint::{Checkpoint, TrainState};
pub use error::{During, Error, Result};
pub use event::{EventSink, TrainEvent};
#[cfg(feature = "native")]
pub use hugging_face::{Architecture, Network};
pub use metrics::{MetricWindow, MetricsRow, StepMetrics, roc_auc};
#[cfg(feature = "native")]
pub use model_card::ModelCard;
pub use optimizer::{Adam, AdamConfig, StepReport};
#[cfg(feature = "native")]
pub use record::{Record, TimingsRow};
pub use run_config::{MicroBatch, RunConfig, RunConfigError};
#[cfg(feature = "native")]
pub use run_folder::RunFolder;
pub use schedule::{LayerwiseExponent, layerwise_multiplier, lr_at};
pub use tensor_file::{HostTensor, TensorFile};
#[cfg(feature = "native")]
pub use tensorboard::TensorBoard;

/// Lower-case hexadecimal digits of `bytes`.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
