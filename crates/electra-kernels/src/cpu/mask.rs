//! Dropout's mask inside the loops of operations.

use crate::noise::NoiseKey;
use crate::types::dropout::Dropout;

/// A dropout site that owns its data, so that the backward pass can make the same mask again.
#[derive(Debug, Clone)]
pub(crate) struct Mask {
    pub(crate) rule: Rule,
    key: NoiseKey,
    examples: Vec<u32>,
}

/// What every element of a site shares.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    threshold: u32,
    pub(crate) scale: f32,
}

impl Rule {
    /// 0 or 1 / (1 - p) for an element of an example.
    #[inline(always)]
    pub(crate) fn factor(self, key: NoiseKey, index: u32) -> f32 {
        if key.bits(index) >= self.threshold { self.scale } else { 0.0 }
    }
}

impl Mask {
    /// `None` where nothing is dropped.
    pub(crate) fn new(dropout: Option<&Dropout<'_>>) -> Option<Self> {
        let dropout = dropout.filter(|dropout| dropout.probability > 0.0)?;
        let rule = Rule { threshold: dropout.threshold(), scale: dropout.scale() };
        Some(Self { rule, key: dropout.key, examples: dropout.examples.to_vec() })
    }

    pub(crate) fn examples(&self) -> usize {
        self.examples.len()
    }

    /// The key of the example in this place of the batch.
    pub(crate) fn key(&self, example: usize) -> NoiseKey {
        self.key.child(u64::from(self.examples[example]))
    }
}
