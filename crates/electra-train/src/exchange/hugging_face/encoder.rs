//! The encoder of any network that has ELECTRA's kind: what fine-tuning, embedding and pre-training can begin with.
//!
//! BERT's encoder is ELECTRA's without a projection of the embeddings, so that its weights fit under other names. Heads and
//! poolers stay behind, and are named: a network that did not get what somebody thought it got should be found out early.

use electra_data::Folder;

use super::config::read_config;
use super::import::{is_redundant, tensors_of};
use super::{Architecture, Network};
use crate::error::Result;
use crate::exchange::weights::Weights;

/// An encoder, and what was left of the folder that it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedEncoder {
    /// Of [`Architecture::Encoder`]; its tensors are all that were used.
    pub network: Network,
    /// What the folder says that it is, such as `BertModel`; empty where it says nothing.
    pub class: String,
    /// Names of tensors that an encoder has no use for, sorted: heads, poolers.
    pub ignored: Vec<String>,
    /// What its user should know.
    pub notices: Vec<String>,
}

impl ImportedEncoder {
    /// What was used and what was not, in words.
    pub fn summary(&self) -> String {
        let used = self.network.tensors.len();
        let ignored = match self.ignored.len() {
            0 => "none ignored".to_owned(),
            count => format!("{count} ignored ({})", self.ignored.join(", ")),
        };
        let class = if self.class.is_empty() { "a network without a class" } else { &self.class };
        format!("{class}: {used} tensors used, none missing, {ignored}")
    }
}

/// Reads the encoder of the network in `folder`: an ELECTRA of any class, or a BERT.
///
/// # Errors
/// A file is missing or damaged, the encoder is not one that can be built, or lacks a tensor; the message names file and remedy.
pub fn import_encoder<'f>(folder: impl Into<Folder<'f>>) -> Result<ImportedEncoder> {
    let folder = folder.into();
    let parts = read_config(folder, &["electra", "bert"])?;
    let architecture = Architecture::Encoder;
    let specs = architecture.specs(&parts.config);
    let weights = Weights::open(folder)?;
    let tensors = tensors_of(&weights, &specs, |_| true)?;
    let is_ignored = |name: &&str| !is_redundant(name) && !specs.iter().any(|spec| spec.name == **name);
    let ignored: Vec<String> = weights.names().filter(is_ignored).map(str::to_owned).collect();
    let mut notices = Vec::new();
    if parts.class == Architecture::MaskedLm.class_name() {
        notices.push(format!(
            "{}: this is a generator (ElectraForMaskedLM), which pre-training throws away; the network to fine-tune is the \
             discriminator that was trained with it (ElectraForPreTraining)",
            folder.place().display()
        ));
    }
    let network = Network {
        architecture,
        config: parts.config,
        classifier_dropout: parts.classifier_dropout,
        task: None,
        tensors,
    };
    Ok(ImportedEncoder { network, class: parts.class, ignored, notices })
}
