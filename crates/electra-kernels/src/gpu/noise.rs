//! Dropout as shaders take it.

use crate::types::dropout::Dropout;

/// Dropout as shaders see it: whether there is any, its words of the table, and the numbers of the examples.
#[derive(Debug, Clone)]
pub(crate) struct Noise {
    /// Key, threshold, scale.
    pub(crate) words: [u32; 4],
    pub(crate) examples: Vec<u32>,
}

impl Noise {
    /// `None` where nothing is dropped.
    pub(crate) fn new(dropout: Option<&Dropout<'_>>) -> Option<Self> {
        let dropout = dropout.filter(|dropout| dropout.probability > 0.0)?;
        let [low, high] = dropout.key.words();
        let words = [low, high, dropout.threshold(), dropout.scale().to_bits()];
        Some(Self { words, examples: dropout.examples.to_vec() })
    }
}
