//! Reading a network's folder, whoever wrote it.

use electra_data::Folder;
use electra_model::ParameterSpec;

use super::config::{ConfigParts, read_config};
use super::{CONFIG, Network, TaskRecord};
use crate::error::{Error, Result};
use crate::exchange::weights::Weights;
use crate::host::HostTensor;

/// Reads the network in `folder`, whichever it is.
///
/// # Errors
/// A file is missing or damaged, the network is not an ELECTRA this crate knows, or weights and configuration
/// do not belong together; the message names file and remedy.
pub fn import<'f>(folder: impl Into<Folder<'f>>) -> Result<Network> {
    let folder = folder.into();
    let ConfigParts { config, architecture, classifier_dropout, fields, .. } = read_config(folder, &["electra"])?;
    let architecture = architecture?;
    let task = TaskRecord::of(&fields, architecture, config.max_position_embeddings);
    let tensors = import_tensors(folder, &architecture.specs(&config), |_| false)?;
    Ok(Network { architecture, config, classifier_dropout, task, tensors })
}

/// Reads the network in `folder`, which must be of `class_name` (`"ElectraForPreTraining"`).
///
/// # Errors
/// As [`import`], and where the folder holds another class.
pub fn import_as<'f>(folder: impl Into<Folder<'f>>, class_name: &str) -> Result<Network> {
    let folder = folder.into();
    let network = import(folder)?;
    let found = network.architecture.class_name();
    if found != class_name {
        let remedy = "give the other network's folder (\"discriminator\" and \"generator\" lie side by side)";
        return Err(Error::invalid(&folder.path(CONFIG), format!("{found}, but {class_name} is needed"), remedy));
    }
    Ok(network)
}

/// The tensors that `specs` name, from `folder`'s weights; others must pass `ignored` (a head that is replaced).
///
/// # Errors
/// Lists what is missing, what is unexpected, or names the first tensor of another shape or type, or with values that are not
/// finite.
pub fn import_tensors<'f>(
    folder: impl Into<Folder<'f>>,
    specs: &[ParameterSpec],
    ignored: impl Fn(&str) -> bool,
) -> Result<Vec<HostTensor>> {
    tensors_of(&Weights::open(folder.into())?, specs, ignored)
}

/// As [`import_tensors`], of weights that are open.
pub(super) fn tensors_of(
    weights: &Weights,
    specs: &[ParameterSpec],
    ignored: impl Fn(&str) -> bool,
) -> Result<Vec<HostTensor>> {
    let path = weights.path();
    let missing: Vec<&str> =
        specs.iter().map(|spec| spec.name.as_str()).filter(|name| !weights.contains(name)).collect();
    let unexpected: Vec<&str> = weights
        .names()
        .filter(|name| !is_redundant(name) && !ignored(name) && !specs.iter().any(|spec| spec.name == **name))
        .collect();
    let listed = |names: &[&str]| {
        let more = names.len().saturating_sub(4);
        let shown = names.iter().take(4).map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
        if more > 0 { format!("{shown} and {more} more") } else { shown }
    };
    let remedy = "config.json and the weights do not belong together: copy or export the folder again";
    if !missing.is_empty() {
        let mut problem = format!("missing {}", listed(&missing));
        if !unexpected.is_empty() {
            problem.push_str(&format!(", unexpected {}", listed(&unexpected)));
        }
        return Err(Error::invalid(path, problem, remedy));
    }
    if !unexpected.is_empty() {
        return Err(Error::invalid(path, format!("unexpected {}", listed(&unexpected)), remedy));
    }
    let tensors: Vec<HostTensor> =
        specs.iter().map(|spec| weights.tensor(&spec.name, Some(&spec.shape))).collect::<Result<_>>()?;

    // The output table is the word table; a copy of it may be there, but not another table. Without its head nobody asks.
    let tied = "generator_lm_head.weight";
    if ignored(tied) {
        return Ok(tensors);
    }
    let words = tensors.iter().find(|tensor| tensor.name == "electra.embeddings.word_embeddings.weight");
    if weights.contains(tied)
        && let Some(words) = words
        && weights.tensor(tied, None)?.values != words.values
    {
        let problem = format!("\"{tied}\" is not the table of word embeddings");
        return Err(Error::invalid(path, problem, "only networks with tied output embeddings can be read"));
    }
    Ok(tensors)
}

/// Tensors that some releases write beside the weights: buffers, and the copy of a tied table.
pub(super) fn is_redundant(name: &str) -> bool {
    name.ends_with(".position_ids") || name.ends_with(".token_type_ids") || name == "generator_lm_head.weight"
}
