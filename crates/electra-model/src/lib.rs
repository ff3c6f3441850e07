//! ELECTRA's networks and pre-training objectives on Burn tensors.
//!
//! This crate never reads a file, a clock or a thread's state, so the browser and the trainer run the same code.
//! Weights come by name from `Parameters`; networks are plain functions over them.

#![warn(missing_docs)]

pub mod batch;
pub mod config;
pub mod context_detector;
pub mod encoder;
pub mod head;
mod initializer;
pub mod masking;
pub mod neighbours;
pub mod network;
pub mod objective;
pub mod parameters;
pub mod pretraining;

pub use batch::DeviceBatch;
pub use config::{ConfigError, ElectraConfig};
pub use encoder::{Encoder, EncoderInput, EncoderOutput};
pub use masking::MaskingPolicy;
pub use neighbours::Neighbours;
pub use network::{Discriminator, Generator, VocabularyHead};
pub use objective::{Objective, ObjectiveConfig, ObjectiveError, Observations, StepContext, StepOutput, Totals};
pub use parameters::{Alias, Initializer, Layout, ParameterSpec, Parameters};
pub use pretraining::{PretrainingConfig, Sharing};

pub use electra_kernels::noise::NoiseKey;
