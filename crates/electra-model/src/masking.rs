//! What stands at the chosen positions in what a masked-language model reads, and whether every epoch chooses anew.

use electra_data::Replacement;

/// How an objective's text is masked. Which share of it is `data.masking_probability`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MaskingPolicy {
    /// [MASK], a random word or the token itself.
    pub replacement: Replacement,
    /// Masks repeat after so many epochs; `None`: never.
    pub distinct_epochs: Option<u64>,
}

impl MaskingPolicy {
    /// 85 % [MASK], the rest the token itself. Reference: google-research/electra, `pretrain_helpers.mask`.
    pub const ELECTRA: Self = Self { replacement: Replacement::ELECTRA, distinct_epochs: None };
    /// 80 % [MASK], 10 % random, in ten duplicates of the data. Devlin et al. 2018, appendix A.
    pub const BERT: Self = Self { replacement: Replacement::BERT, distinct_epochs: Some(10) };
    /// BERT's, chosen anew every epoch. Liu et al. 2019, section 4.1.
    pub const ROBERTA: Self = Self { replacement: Replacement::BERT, distinct_epochs: None };
}
