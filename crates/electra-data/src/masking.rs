//! Chooses which tokens the generator must predict, and which of them it sees as [MASK].
//!
//! The choice depends on (seed, epoch, example) alone, in integer arithmetic, so that every platform makes the same masks in
//! any order of asking. ELECTRA paper, section 3.1; google-research/electra pretrain/pretrain_helpers.py, `mask`.

use crate::error::{DataError, Result};
use crate::random::Draws;
use crate::tokenizer::SpecialTokens;

/// Keeps these draws apart from those of other purposes.
const PURPOSE: u64 = 0x6d61_736b; // "mask"

/// How tokens are masked.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct MaskingConfig {
    /// Share of an example's tokens, [CLS] and [SEP] counted, that is chosen. .15, and .25 for the large model.
    pub probability: f64,
    /// Share of the chosen positions that become [MASK]; the others keep their token. .85 in the reference.
    pub mask_token_probability: f64,
    /// As the reference: positions are drawn with replacement (so that some stand twice in an example), and the packer drops
    /// overflow. By default positions are distinct and every token is used.
    pub paper_exact: bool,
}

impl Default for MaskingConfig {
    fn default() -> Self {
        Self { probability: 0.15, mask_token_probability: 0.85, paper_exact: false }
    }
}

impl MaskingConfig {
    /// Checks the ranges.
    ///
    /// # Errors
    /// A probability outside 0..=1, or 0 for `probability`.
    pub fn validate(&self) -> Result<()> {
        if !(self.probability > 0.0 && self.probability <= 1.0) {
            return Err(DataError::setting("masking probability", self.probability, "must be above 0 and at most 1"));
        }
        if !(0.0..=1.0).contains(&self.mask_token_probability) {
            let reason = "must be between 0 and 1";
            return Err(DataError::setting("mask_token_probability", self.mask_token_probability, reason));
        }
        Ok(())
    }

    /// N: positions that an example of at most `seq` tokens has room for. 19 at 128, 79 at 512 (.15); 130 at 512 (.25).
    pub fn max_masked(&self, seq: usize) -> usize {
        (((self.probability + 0.005) * seq as f64) as usize).clamp(1, seq.max(1))
    }

    /// Positions to choose in an example of `tokens` tokens, [CLS] and [SEP] counted: max(1, min(N, round(tokens * p))),
    /// in f32 and rounding half to even as the reference does.
    pub fn masked_count(&self, tokens: usize, max_masked: usize) -> usize {
        let count = (tokens as f32 * self.probability as f32).round_ties_even() as usize;
        count.min(max_masked).max(1)
    }
}

/// The positions chosen in an example.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Masked {
    /// Ascending; distinct unless `paper_exact`.
    pub positions: Vec<usize>,
    /// For each position whether the generator sees [MASK] there.
    pub is_mask_token: Vec<bool>,
}

/// Chooses which tokens the generator must predict.
///
/// `ids`: the example's tokens without padding. Returns ascending positions, at most `max_masked`; never [CLS], [SEP] or [MASK]. None
/// where there is no candidate. The same `(seed, epoch, example)` gives the same answer on every platform.
pub fn choose_masked(
    ids: &[i32],
    special: SpecialTokens,
    config: &MaskingConfig,
    max_masked: usize,
    (seed, epoch, example): (u64, u64, u64),
) -> Masked {
    let excluded = [special.cls as i32, special.sep as i32, special.mask as i32];
    let mut candidates: Vec<usize> = (0..ids.len()).filter(|&position| !excluded.contains(&ids[position])).collect();
    if candidates.is_empty() {
        return Masked::default();
    }
    let count = config.masked_count(ids.len(), max_masked);
    let mut draws = Draws::new(&[PURPOSE, seed, epoch, example]);
    let mut positions: Vec<usize> = if config.paper_exact {
        (0..count).map(|_| candidates[draws.below(candidates.len() as u64) as usize]).collect()
    } else {
        // The first places of a shuffle: distinct, each set equally likely.
        let count = count.min(candidates.len());
        for place in 0..count {
            let other = place + draws.below((candidates.len() - place) as u64) as usize;
            candidates.swap(place, other);
        }
        candidates.truncate(count);
        candidates
    };
    positions.sort_unstable();
    let is_mask_token = positions.iter().map(|_| draws.chance(config.mask_token_probability)).collect();
    Masked { positions, is_mask_token }
}
