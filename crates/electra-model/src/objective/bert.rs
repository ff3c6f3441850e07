//! BERT's masked-language modelling (Devlin et al. 2018): of the chosen positions 80 % hold [MASK], 10 % a random word and 10 %
//! the original; the masks are static, those of ten duplicates of the data in turn. ELECTRA paper, section 3.1.


use super::ObjectiveConfig;
use super::mlm::MaskedLanguageModeling;
use crate::masking::MaskingPolicy;
use crate::pretraining::PretrainingConfig;

/// `[objective.bert]`
pub(super) type Keys = super::config::NoKeys;

pub(super) fn new(_: &ObjectiveConfig, networks: &PretrainingConfig) -> MaskedLanguageModeling {
    MaskedLanguageModeling::new("bert", MaskingPolicy::BERT, networks)
}
