//! A micro-batch on the device, as `electra_data::Batch` describes it on the host.

use burn::tensor::{Device, Int, Tensor, TensorData};
use electra_data::Batch;

use crate::encoder::EncoderInput;

/// The arrays of `electra_data::Batch` as tensors. Shapes: `[batch, seq]` and `[batch, max_masked]`.
#[derive(Debug, Clone)]
pub struct DeviceBatch {
    /// Ids of the text, `[batch, seq]`.
    pub original_ids: Tensor<2, Int>,
    /// What a masked-language model reads, `[batch, seq]`.
    pub masked_ids: Tensor<2, Int>,
    /// Segment of each token, `[batch, seq]`.
    pub token_type_ids: Tensor<2, Int>,
    /// 1 for a token, 0 for padding.
    pub attention_mask: Tensor<2>,
    /// Unused slots hold position 0 and weight 0.
    pub masked_positions: Tensor<2, Int>,
    /// Ids of the text at the chosen positions, `[batch, max_masked]`.
    pub masked_original_ids: Tensor<2, Int>,
    /// 1 for a used slot, 0 for an unused one, `[batch, max_masked]`.
    pub mask_weights: Tensor<2>,
    /// The same on the host, with the number of each example in the global batch.
    pub host: Batch,
}

impl DeviceBatch {
    /// Uploads `batch`.
    pub fn new(batch: &Batch, device: &Device) -> Self {
        let ids = |values: &[i32], columns| {
            Tensor::<2, Int>::from_data(TensorData::new(values.to_vec(), [batch.batch, columns]), device)
        };
        let floats =
            |values: Vec<f32>, columns| Tensor::<2>::from_data(TensorData::new(values, [batch.batch, columns]), device);
        let (seq, max_masked) = (batch.seq, batch.max_masked);
        Self {
            original_ids: ids(&batch.original_ids, seq),
            masked_ids: ids(&batch.masked_ids, seq),
            token_type_ids: ids(&batch.token_type_ids, seq),
            attention_mask: floats(batch.attention_mask.iter().map(|&m| f32::from(m)).collect(), seq),
            masked_positions: ids(&batch.masked_positions, max_masked),
            masked_original_ids: ids(&batch.masked_original_ids, max_masked),
            mask_weights: floats(batch.mask_weights.clone(), max_masked),
            host: batch.clone(),
        }
    }

    /// Number of each example in the global batch.
    pub fn example_numbers(&self) -> &[u32] {
        &self.host.example_numbers
    }

    /// Numbers of the host for each token, `[batch, seq]`, on the batch's device.
    pub fn of_tokens(&self, values: Vec<f32>) -> Tensor<2> {
        Tensor::from_data(TensorData::new(values, self.original_ids.dims()), &self.original_ids.device())
    }

    /// Numbers of the host for each slot, `[batch, max_masked]`, on the batch's device.
    pub fn of_slots(&self, values: Vec<f32>) -> Tensor<2> {
        Tensor::from_data(TensorData::new(values, self.mask_weights.dims()), &self.mask_weights.device())
    }

    /// The sequences with `ids` in the place of the original ones.
    pub fn input(&self, ids: Tensor<2, Int>) -> EncoderInput {
        EncoderInput { ids, token_type_ids: self.token_type_ids.clone(), attention_mask: self.attention_mask.clone() }
    }
}
