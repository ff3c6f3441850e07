//! What a run's networks are to others: which there are, as which class each is saved, and which run they are of.

use std::collections::BTreeMap;
use std::path::Path;

use electra_model::objective::PretrainedHead;
use electra_model::{Objective, Parameters};
use sha2::{Digest, Sha256};

use crate::config::{Change, settings};
use crate::error::{During, Error, Result};
use crate::exchange::hugging_face::{Architecture, Network};
use crate::host;

/// Tells a run from any other: equal for two that began to train the same on the same data, however far they have come and
/// whatever was changed when they were resumed. It is made of what they began with and not drawn, so that equal runs give
/// equal files.
pub fn run_id(settings: &BTreeMap<String, String>, changes: &[Change], data_fingerprint: &str) -> String {
    let digest = Sha256::digest(format!("{}\0{data_fingerprint}", settings::digest_at_start(settings, changes)));
    crate::hex(&digest)[..16].to_owned()
}

/// The objective's networks as they are exported, each with its role, the one to keep first; that one as `asked`, if it can be.
///
/// # Errors
/// The device failed; the network to keep cannot be of the class `asked`; `path` is for the message.
pub async fn networks_of(
    objective: &dyn Objective,
    parameters: &Parameters,
    asked: Option<Architecture>,
    path: &Path,
) -> Result<Vec<(&'static str, Network)>> {
    let mut plans = objective.networks();
    if let Some(asked) = asked {
        let kept = &mut plans[0];
        let own = [kept.head].into_iter().chain(kept.other_heads.iter().copied());
        let heads: Vec<PretrainedHead> = own.collect();
        let Some(head) = heads.iter().find(|head| Architecture::of(**head) == asked) else {
            let can = heads.iter().map(|head| Architecture::of(*head).class_name()).collect::<Vec<_>>().join(" or ");
            let problem = format!("the objective {} trains no {}", objective.name(), asked.class_name());
            return Err(Error::invalid(path, problem, format!("leave out --as, or ask for {can}")));
        };
        kept.head = *head;
    }
    let parameters = &objective.exported(parameters);
    let mut networks = Vec::new();
    for plan in plans.into_iter().filter(|plan| plan.is_exported) {
        let architecture = Architecture::of(plan.head);
        let specs = architecture.specs(&plan.config);
        let tensors = host::network_to_host(parameters, plan.prefix, &specs).await.during("the export")?;
        let network = Network { architecture, config: plan.config, classifier_dropout: None, task: None, tensors };
        networks.push((plan.role, network));
    }
    Ok(networks)
}
