//! Chooses which tokens a network must predict, and what it sees in their places.
//!
//! The choice depends on (seed, epoch, example) alone, in integer arithmetic, so that every platform makes the same masks in
//! any order of asking. ELECTRA paper, section 3.1; google-research/electra pretrain/pretrain_helpers.py, `mask`. BERT's policy:
//! google-research/bert create_pretraining_data.py, `create_masked_lm_predictions`.

use crate::error::{DataError, Result};
use crate::random::Draws;
use crate::tokenizer::SpecialTokens;

/// Keeps these draws apart from those of other purposes.
const PURPOSE: u64 = 0x6d61_736b; // "mask"
/// Random words are drawn by themselves, so that a policy which has none makes the masks that it would without them.
const WORDS: u64 = 0x776f_7264; // "word"

/// How tokens are masked.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct MaskingConfig {
    /// Share of an example's tokens, [CLS] and [SEP] counted, that is chosen. .15, and .25 for the large model.
    pub probability: f64,
    /// What stands at the chosen positions.
    pub replacement: Replacement,
    /// Some(n): static masks, those of epoch e being those of e mod n, of equal examples in another order. BERT's data held ten
    /// duplicates of its text. None: every epoch has masks of its own.
    pub distinct_epochs: Option<u64>,
    /// As the reference: positions are drawn with replacement (so that some stand twice in an example), and the packer drops
    /// overflow. By default positions are distinct and every token is used.
    pub paper_exact: bool,
}

impl Default for MaskingConfig {
    fn default() -> Self {
        Self { probability: 0.15, replacement: Replacement::ELECTRA, distinct_epochs: None, paper_exact: false }
    }
}

/// What stands at a chosen position; its own token where neither of these does.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Replacement {
    /// Share of the chosen positions that become [MASK].
    pub mask: f64,
    /// Share that becomes a random word: any id of the vocabulary, each equally likely, as BERT draws them.
    pub random: f64,
}

impl Replacement {
    /// The ELECTRA reference's: 85 % [MASK], 15 % kept.
    pub const ELECTRA: Self = Self { mask: 0.85, random: 0.0 };
    /// BERT's: 80 % [MASK], 10 % a random word, 10 % kept.
    pub const BERT: Self = Self { mask: 0.8, random: 0.1 };
}

impl MaskingConfig {
    /// Checks the ranges.
    ///
    /// # Errors
    /// `probability` outside 0..=1, or 0; shares of `replacement` outside 0..=1, alone or together; 0 distinct epochs.
    pub fn validate(&self) -> Result<()> {
        if !(self.probability > 0.0 && self.probability <= 1.0) {
            return Err(DataError::setting("masking probability", self.probability, "must be above 0 and at most 1"));
        }
        let Replacement { mask, random } = self.replacement;
        for (name, share) in [("replacement.mask", mask), ("replacement.random", random)] {
            if !(0.0..=1.0).contains(&share) {
                return Err(DataError::setting(name, share, "must be between 0 and 1"));
            }
        }
        if mask + random > 1.0 {
            let reason = format!("must be at most 1 together with replacement.mask = {mask}");
            return Err(DataError::setting("replacement.random", random, reason));
        }
        if self.distinct_epochs == Some(0) {
            return Err(DataError::setting("distinct_epochs", 0, "must be at least 1"));
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

    /// The epoch whose examples and masks `epoch` repeats: itself, unless masks are static.
    pub(crate) fn repeated_epoch(&self, epoch: u64) -> u64 {
        self.distinct_epochs.map_or(epoch, |epochs| epoch % epochs)
    }
}

/// The positions chosen in an example.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Masked {
    /// Ascending; distinct unless `paper_exact`.
    pub positions: Vec<usize>,
    /// For each position the id that stands there: [MASK], a random word, or the token itself.
    pub ids: Vec<i32>,
}

/// Chooses which tokens a network must predict, and what stands in their places.
///
/// `ids`: the example's tokens without padding; `vocab_size`: ids that random words are drawn from. Returns ascending positions, at
/// most `max_masked`; never [CLS], [SEP] or [MASK]. None where there is no candidate. The same `(seed, epoch, example)` gives
/// the same answer on every platform.
pub fn choose_masked(
    ids: &[i32],
    special: SpecialTokens,
    vocab_size: usize,
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
    let epoch = config.repeated_epoch(epoch);
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
    let Replacement { mask, random } = config.replacement;
    let mut words = Draws::new(&[WORDS, seed, epoch, example]);
    let ids = positions
        .iter()
        .map(|&position| match draws.choice([mask, random]) {
            Some(0) => special.mask as i32,
            Some(_) => words.below(vocab_size as u64) as i32,
            None => ids[position],
        })
        .collect();
    Masked { positions, ids }
}
