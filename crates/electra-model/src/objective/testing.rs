//! What the objectives' own tests share: small networks, a batch, and whether a change of a token reaches a row.

use burn::tensor::{Device, Tensor};
use electra_data::{Batch, Masked, SpecialTokens};
use electra_kernels::noise::NoiseKey;

use super::{Given, StepContext, Totals};
use crate::{ElectraConfig, PretrainingConfig, Sharing};

pub(crate) const SPECIAL: SpecialTokens = SpecialTokens { pad: 0, unknown: 1, cls: 2, sep: 3, mask: 4 };
pub(crate) const SEQ: usize = 12;
const VOCAB: i32 = 40;

/// Two layers with everything that could leak: several heads, two layers, a projection.
pub(crate) fn networks() -> PretrainingConfig {
    let discriminator = ElectraConfig {
        vocab_size: VOCAB as usize,
        embedding_size: 12,
        hidden_size: 16,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        intermediate_size: 24,
        max_position_embeddings: SEQ,
        initializer_range: 0.3,
        ..ElectraConfig::default()
    };
    PretrainingConfig::new(discriminator, 0.5, 1.0, Sharing::Embeddings)
}

/// Two examples, one padded, each with four chosen positions.
pub(crate) fn batch() -> Batch {
    let mut batch = Batch::new(SEQ, 5);
    for (row, length) in [SEQ, SEQ - 3].into_iter().enumerate() {
        let mut ids: Vec<i32> = (0..length as i32).map(|at| 5 + (7 * at + 11 * row as i32) % (VOCAB - 5)).collect();
        (ids[0], ids[length - 1]) = (SPECIAL.cls as i32, SPECIAL.sep as i32);
        let masked = Masked { positions: vec![1, 3, 4, 7], ids: vec![SPECIAL.mask as i32; 4] };
        batch.push(&ids, length, &masked, SPECIAL, row as u32);
    }
    batch
}

/// Without dropout, whose hash would not tell leaks from noise.
pub(crate) fn context(batch: &Batch) -> StepContext {
    StepContext {
        key: NoiseKey::new(1),
        step: 0,
        training: false,
        special: SPECIAL,
        totals: Totals::of(batch, SPECIAL),
        masking_probability: 0.15,
        recompute: false,
        frequencies: None,
        similar_words: None,
        given: Given::default(),
    }
}

/// For each token of `batch` that is changed to another one, which rows of `rows` change in any bit: `[tokens][rows]`.
pub(crate) fn reaches(batch: &Batch, rows: impl Fn(&Batch) -> Tensor<2>) -> Vec<Vec<bool>> {
    let bits = |batch: &Batch| -> Vec<Vec<u32>> {
        let rows = rows(batch);
        let [_, width] = rows.dims();
        let values: Vec<f32> = rows.into_data().try_to_vec().unwrap();
        values.chunks(width).map(|row| row.iter().map(|value| value.to_bits()).collect()).collect()
    };
    let before = bits(batch);
    let changed = |at: usize| {
        let mut other = batch.clone();
        other.original_ids[at] = 5 + (other.original_ids[at] - 5 + 1).rem_euclid(VOCAB - 5);
        bits(&other).iter().zip(&before).map(|(row, before)| row != before).collect()
    };
    (0..batch.original_ids.len()).map(changed).collect()
}

pub(crate) fn cpu() -> Device {
    Device::flex()
}
