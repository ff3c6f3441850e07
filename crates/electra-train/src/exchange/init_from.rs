//! Where a run starts from networks that are there already, and what must hold for them to be those that they were.
//!
//! Shapes alone say little: a network of 2 heads has those of one with 4, and a word table has no words on it. So the
//! configurations are compared field by field, and the tokenizers token by token.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use electra_data::{ImportOptions, Tokenizer};
use electra_model::pretraining::{DELTA, DISCRIMINATOR, GENERATOR};
use electra_model::{ElectraConfig, ParameterSpec, Parameters};

use crate::config::RunConfig;
use crate::error::{During, Error, Result};
use crate::exchange::hugging_face::{self, Architecture, Network};
use crate::host;

/// The parameters of `fresh` with every tensor that the networks in `source` hold.
///
/// # Errors
/// A network cannot be read, is another one than the run's, or was trained with another vocabulary than the one of the folder `tokenizer`.
pub(crate) fn parameters(
    source: &Path,
    config: &RunConfig,
    tokenizer: &Path,
    fresh: &Parameters,
    device: &Device,
    warn: &mut dyn FnMut(String),
) -> Result<Parameters> {
    let tokenizer = Tokenizer::load(tokenizer)?;
    let mut plans = config.trained_networks();
    plans.retain(|plan| plan.is_exported);
    let mut values: HashMap<String, Vec<f32>> = HashMap::new();
    let mut tables_differ = false;
    let kept = kept_network(source, plans[0].role);
    // An encoder without the head that is wanted may take its place; one of a pair is taken for what it was trained as.
    let any_head = kept == source || has_no_head(&kept);
    // Of those in `source`, the encoders' prefixes.
    let mut prefixes = Vec::new();
    // The one to keep comes last: where tables are shared, its copy counts.
    for (number, plan) in plans.iter().enumerate().rev() {
        let path = if number == 0 { kept.clone() } else { source.join(plan.role) };
        // A folder that is there and is no network is damaged, which reading it says.
        if number > 0 && is_network(&kept) && !path.exists() {
            warn(format!("{}: it holds no {}, which begins afresh", source.display(), plan.role));
            continue;
        }
        let wanted = Architecture::of(plan.head);
        let network = if number == 0 && any_head && hugging_face::architecture_of(&path) != Some(wanted) {
            let encoder = hugging_face::import_encoder(&path)?;
            encoder.notices.into_iter().for_each(&mut *warn);
            encoder.network
        } else {
            hugging_face::import_as(&path, wanted.class_name())?
        };
        check_configuration(&network, &plan.config, &path, config)?;
        check_tokenizer(&path, &tokenizer, warn)?;
        prefixes.push(format!("{}{}", plan.prefix, hugging_face::ENCODER));
        for tensor in network.tensors {
            let stored = fresh.layout().resolve(&format!("{}{}", plan.prefix, tensor.name));
            if let Some(other) = values.insert(stored, tensor.values.clone()) {
                tables_differ |= other != tensor.values;
            }
        }
    }
    if tables_differ {
        let message = format!(
            "{}: the generator's embeddings differ from the discriminator's, which count, since the run shares them (model.sharing)",
            source.display()
        );
        warn(message);
    }
    take_differences(&mut values, fresh);
    // What an objective has beside its networks begins afresh.
    let lacks = |spec: &&ParameterSpec| values.get(&spec.name).is_none_or(|values| values.len() != spec.len());
    let (missing, own): (Vec<&ParameterSpec>, Vec<&ParameterSpec>) =
        fresh.specs().iter().filter(lacks).partition(|spec| {
            prefixes.iter().any(|prefix| spec.name.starts_with(prefix)) || values.contains_key(&spec.name)
        });
    if let Some(spec) = missing.first() {
        let problem = format!("it holds no tensor for \"{}\" of shape {:?}", spec.name, spec.shape);
        return Err(Error::invalid(source, problem, "give [model] the sizes in its config.json files"));
    }
    // Networks that begin afresh as a whole have been named.
    let is_whole = |spec: &&&ParameterSpec| {
        plans.iter().any(|plan| {
            spec.name.starts_with(plan.prefix) && !prefixes.iter().any(|known| known.starts_with(plan.prefix))
        })
    };
    let names: Vec<&str> = own.iter().filter(|spec| !is_whole(spec)).map(|spec| spec.name.as_str()).collect();
    if !names.is_empty() {
        warn(format!("{}: not in there, and so begun afresh: {}", source.display(), names.join(", ")));
    }
    let afresh = host::wait_for(host::parameters_to_host(fresh));
    let mut afresh = afresh.during("reading first values")?.into_iter();
    Ok(Parameters::from_values(fresh.layout(), device, |spec| {
        let first = afresh.next().expect("one per parameter").values;
        values.remove(&spec.name).unwrap_or(first)
    }))
}

/// The folder in `source` of the network to keep, which plays `role`: of that name, or `source` itself, or the encoder that
/// "electra import" wrote under the name of another.
fn kept_network(source: &Path, role: &str) -> PathBuf {
    let own = source.join(role);
    if own.exists() {
        return own;
    }
    if is_network(source) {
        return source.to_owned();
    }
    Some(source.join("discriminator")).filter(|encoder| has_no_head(encoder)).unwrap_or(own)
}

fn is_network(folder: &Path) -> bool {
    folder.join(hugging_face::CONFIG).is_file()
}

/// Whether the network in `folder` is an encoder alone.
fn has_no_head(folder: &Path) -> bool {
    hugging_face::architecture_of(folder) == Some(Architecture::Encoder)
}

/// A table that a discriminator makes of the generator's and of a difference is known by both networks' tables.
fn take_differences(values: &mut HashMap<String, Vec<f32>>, fresh: &Parameters) {
    for spec in fresh.specs() {
        let Some(table) = spec.name.strip_suffix(DELTA) else { continue };
        let of_generator = table.replacen(DISCRIMINATOR, GENERATOR, 1);
        let Some(own) = values.remove(table) else { continue };
        let Some(base) = values.get(&of_generator) else { continue };
        values.insert(spec.name.clone(), own.iter().zip(base).map(|(own, base)| own - base).collect());
    }
}

/// Refuses a network that computes something else than the run's, field by field.
fn check_configuration(network: &Network, wanted: &ElectraConfig, path: &Path, config: &RunConfig) -> Result<()> {
    let found = &network.config;
    let differ: Vec<(&str, String, String)> = [
        ("vocab_size", found.vocab_size, wanted.vocab_size),
        ("embedding_size", found.embedding_size, wanted.embedding_size),
        ("hidden_size", found.hidden_size, wanted.hidden_size),
        ("num_hidden_layers", found.num_hidden_layers, wanted.num_hidden_layers),
        ("num_attention_heads", found.num_attention_heads, wanted.num_attention_heads),
        ("intermediate_size", found.intermediate_size, wanted.intermediate_size),
        ("max_position_embeddings", found.max_position_embeddings, wanted.max_position_embeddings),
        ("type_vocab_size", found.type_vocab_size, wanted.type_vocab_size),
    ]
    .into_iter()
    .filter(|(_, found, wanted)| found != wanted)
    .map(|(name, found, wanted)| (name, found.to_string(), wanted.to_string()))
    .chain(
        (found.layer_norm_eps != wanted.layer_norm_eps)
            .then(|| ("layer_norm_eps", format!("{:e}", found.layer_norm_eps), format!("{:e}", wanted.layer_norm_eps))),
    )
    .collect();
    let Some((first, ..)) = differ.first() else { return Ok(()) };
    let problem = differ
        .iter()
        .map(|(name, found, wanted)| format!("{name} is {found}, but the run's is {wanted}"))
        .collect::<Vec<_>>()
        .join("; ");
    let is_scaled = ["hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"].contains(first);
    let remedy = if *first == "vocab_size" {
        "build the dataset with the tokenizer of this network".to_owned()
    } else if *wanted == config.model.networks().generator && is_scaled && config.trained_networks().len() > 1 {
        format!(
            "a generator's sizes follow from model.generator_size (now {}) and model.generator_depth (now {})",
            config.model.generator_size, config.model.generator_depth
        )
    } else {
        let sets: Vec<String> = differ
            .iter()
            .filter(|(name, ..)| *name != "vocab_size")
            .map(|(name, found, _)| format!("--set model.{name}={found}"))
            .collect();
        format!("give {}", sets.join(" "))
    };
    Err(Error::invalid(&path.join("config.json"), problem, remedy))
}

/// Refuses a network whose tokenizer has other words under the ids of the dataset's; warns where it cuts text otherwise.
fn check_tokenizer(path: &Path, own: &Tokenizer, warn: &mut dyn FnMut(String)) -> Result<()> {
    let mut warn = |message: String| warn(format!("{}: {message}", path.display()));
    if !["tokenizer.json", "vocab.txt"].iter().any(|name| path.join(name).is_file()) {
        warn("no tokenizer lies beside it, so that nobody knows whether its words are those of the dataset".to_owned());
        return Ok(());
    }
    let found = Tokenizer::import(path, &ImportOptions::default())?.tokenizer;
    if found.sha256() == own.sha256() {
        return Ok(());
    }
    match difference(&found, own) {
        Difference::Tokens { count, of, id, theirs, ours } => Err(Error::invalid(
            path,
            format!(
                "its tokenizer is another one than the dataset's: {count} of {of} ids are other tokens, the first is {id}, \
                 \"{theirs}\" here and \"{ours}\" there"
            ),
            "build the dataset with the tokenizer of this network (\"electra tokenizer import\" takes its folder)",
        )),
        Difference::Rules => {
            warn(format!(
                "its tokenizer has the dataset's words but cuts text otherwise ({} here, {} there): the network gets tokens \
                 in other places than it was trained on",
                found.casing(),
                own.casing()
            ));
            Ok(())
        }
        Difference::Unused => {
            warn(format!(
                "its tokenizer ({} entries) has words that the dataset's ({}) lacks, or the other way round; those that both \
                 have are the same",
                found.vocab_size(),
                own.vocab_size()
            ));
            Ok(())
        }
    }
}

/// How two tokenizers differ that are not the same.
enum Difference {
    /// Other words under the same ids.
    Tokens { count: usize, of: usize, id: usize, theirs: String, ours: String },
    /// A word in one under ids that the other doesn't use.
    Unused,
    /// The same words, found otherwise.
    Rules,
}

fn difference(theirs: &Tokenizer, ours: &Tokenizer) -> Difference {
    let (their_tokens, our_tokens) = (theirs.tokens(), ours.tokens());
    let of = their_tokens.len().min(our_tokens.len());
    // Rows that a network never saw in use may get a word: that is what they are kept for.
    let differs = |&id: &usize| {
        their_tokens[id] != our_tokens[id]
            && !their_tokens[id].starts_with("[unused")
            && !our_tokens[id].starts_with("[unused")
    };
    let ids: Vec<usize> = (0..of).filter(differs).collect();
    match ids.first() {
        Some(&id) => Difference::Tokens {
            count: ids.len(),
            of,
            id,
            theirs: their_tokens[id].clone(),
            ours: our_tokens[id].clone(),
        },
        None if their_tokens != our_tokens => Difference::Unused,
        None => Difference::Rules,
    }
}
