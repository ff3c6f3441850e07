//! ELECTRA 15%: replaced token detection at the chosen positions alone. Paper, section 3.4.
//!
//! As `rtd`, but the discriminator's loss is the mean over the masked positions: how much of ELECTRA's gain comes of learning
//! from all tokens.

use super::rtd::ReplacedTokenDetection;
use super::{ObjectiveConfig, Positions};
use crate::pretraining::PretrainingConfig;

/// `[objective.electra_15]`
pub(super) type Keys = super::rtd::Keys;

pub(super) fn new(config: &ObjectiveConfig, networks: &PretrainingConfig) -> ReplacedTokenDetection {
    ReplacedTokenDetection::new("electra_15", Positions::Masked, &config.electra_15, config, networks)
}
