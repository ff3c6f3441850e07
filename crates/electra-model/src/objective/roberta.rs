//! RoBERTa's masked-language modelling (Liu et al. 2019): BERT's, with masks that each epoch draws anew.


use super::ObjectiveConfig;
use super::mlm::MaskedLanguageModeling;
use crate::masking::MaskingPolicy;
use crate::pretraining::PretrainingConfig;

/// `[objective.roberta]`
pub(super) type Keys = super::config::NoKeys;

pub(super) fn new(_: &ObjectiveConfig, networks: &PretrainingConfig) -> MaskedLanguageModeling {
    MaskedLanguageModeling::new("roberta", MaskingPolicy::ROBERTA, networks)
}
