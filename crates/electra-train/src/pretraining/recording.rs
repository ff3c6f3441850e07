//! A run that was computed elsewhere, to be computed again step by step: golden numbers of training rest on such.

use burn::tensor::{Device, Int, Tensor, TensorData};
use electra_data::Batch;
use electra_model::PretrainingConfig;

/// What was trained, and on what.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// In place of those that a configuration describes, whose generator follows from its discriminator.
    pub networks: PretrainingConfig,
    /// In their order, from the first.
    pub steps: Vec<RecordedStep>,
}

/// What chance had decided about a step.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedStep {
    /// The examples with their masks.
    pub batch: Batch,
    /// What the generator drew, `[batch, max_masked]`.
    pub sampled_ids: Vec<i32>,
}

impl RecordedStep {
    /// What was drawn for the examples of `micro_batch`, one of the batch's.
    pub(crate) fn samples(&self, micro_batch: &Batch, device: &Device) -> Tensor<2, Int> {
        let slots = self.batch.max_masked;
        let of_row = |&row: &u32| &self.sampled_ids[row as usize * slots..][..slots];
        let samples: Vec<i32> = micro_batch.example_numbers.iter().flat_map(of_row).copied().collect();
        Tensor::from_data(TensorData::new(samples, [micro_batch.batch, slots]), device)
    }
}
