//! What ELECTRA's two losses take and give.

use burn::tensor::{Int, Tensor};

use crate::noise::NoiseKey;

/// What keeps a division by an empty count finite. Reference: `1e-6` in `_get_masked_lm_output`.
pub(crate) const COUNT_EPSILON: f64 = 1e-6;

/// How the generator's replacements are drawn.
#[derive(Debug, Clone)]
pub struct Sampling<'a> {
    /// What logits are divided by; 1 draws from the generator's own distribution.
    pub temperature: f64,
    /// Never sample the original token.
    pub disallow_correct: bool,
    /// (seed, step, network, site).
    pub key: NoiseKey,
    /// Number of each row's example in the global batch, `[batch]`; rows divide evenly among them.
    pub examples: &'a [u32],
}

impl Sampling<'_> {
    /// A key per row: an index within the row stays below 2^32 whatever the vocabulary.
    pub(crate) fn row_keys(&self, rows: usize) -> Vec<NoiseKey> {
        let rows_per_example = rows / self.examples.len();
        assert!(rows_per_example * self.examples.len() == rows, "rows do not divide among the examples");
        let key = |row: usize| {
            self.key.child(u64::from(self.examples[row / rows_per_example])).child((row % rows_per_example) as u64)
        };
        (0..rows).map(key).collect()
    }
}

/// What the masked rows give. A row of weight 0 gives numbers of no meaning: the CPU does not look at it.
#[derive(Debug, Clone)]
pub struct MlmOutput {
    /// `[1]`
    pub loss: Tensor<1>,
    /// Negative log-likelihood of the original token, `[rows]`, without gradient.
    pub negative_log_likelihood: Tensor<1>,
    /// Most probable id, `[rows]`.
    pub predicted_ids: Tensor<1, Int>,
    /// Drawn id, `[rows]`; `None` where no sampling was asked for.
    pub sampled_ids: Option<Tensor<1, Int>>,
}
