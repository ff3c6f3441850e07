//! ELECTRA 15%: replaced token detection at the chosen positions alone. Paper, section 3.4.
//!
//! As `rtd`, but the discriminator's loss is the mean over the masked positions: how much of ELECTRA's gain comes of learning
//! from all tokens.

use super::ObjectiveConfig;
use super::rtd::{Positions, ReplacedTokenDetection};
use crate::pretraining::PretrainingConfig;

pub(super) const NAME: &str = "electra_15";

pub(super) fn new(config: &ObjectiveConfig, networks: &PretrainingConfig) -> ReplacedTokenDetection {
    ReplacedTokenDetection::new(NAME, Positions::Masked, config, networks)
}
