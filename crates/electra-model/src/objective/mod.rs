//! What pre-training minimises: one file per objective.
//!
//! An objective names its parameters, turns a batch into pairs of (loss, parameter group) and says which
//! networks are worth exporting. It keeps no state: everything it needs of the past is in the parameters, and
//! all its randomness comes from `StepContext::key`. ARCHITECTURE.md sketches how further objectives fit.

mod adversarial;
mod corruption;
mod electra_15;
mod mlm;
mod replace_mlm;
mod rtd;

use burn::tensor::{Int, Tensor};
use electra_kernels::noise::NoiseKey;
use serde::{Deserialize, Serialize};

use crate::{
    batch::DeviceBatch,
    config::ElectraConfig,
    parameters::{Layout, Parameters},
    pretraining::PretrainingConfig,
};

/// `[objective]` of run.toml.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ObjectiveConfig {
    /// One of `names()`.
    pub name: String,
    pub generator_loss_weight: f64,
    /// lambda = 50: the per-token binary loss is far smaller than the MLM loss.
    pub discriminator_loss_weight: f64,
    /// Temperature of the generator's samples.
    pub temperature: f64,
    /// Never sample the original token.
    pub disallow_correct: bool,
}

impl Default for ObjectiveConfig {
    fn default() -> Self {
        Self {
            name: "rtd".to_owned(),
            generator_loss_weight: 1.0,
            discriminator_loss_weight: 50.0,
            temperature: 1.0,
            disallow_correct: false,
        }
    }
}

/// What a step needs beside parameters and batch.
#[derive(Debug, Clone)]
pub struct StepContext {
    /// (seed, step). Dropout and Gumbel noise derive from it.
    pub key: NoiseKey,
    /// Dropout is on in training only; sampling always.
    pub training: bool,
    /// Chosen positions in the whole batch, over all its micro-batches.
    pub total_masked: f64,
    /// Tokens in the whole batch, padding excluded.
    pub total_tokens: f64,
    /// Keep each encoder layer's input alone for the backward pass, and run the layer again there.
    pub recompute: bool,
    /// Replacements to use in place of drawn ones, `[batch, max_masked]`: what the golden fixtures recorded, or
    /// what somebody picked by hand.
    pub samples: Option<Tensor<2, Int>>,
}

/// Which parameters a loss trains.
#[derive(Debug, Clone, PartialEq)]
pub enum ParameterGroup {
    All,
    /// Those whose stored name starts with one of these.
    Prefixes(Vec<String>),
}

impl ParameterGroup {
    pub fn contains(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Prefixes(prefixes) => prefixes.iter().any(|prefix| name.starts_with(prefix)),
        }
    }
}

/// What one micro-batch gives.
#[derive(Debug, Clone)]
pub struct StepOutput {
    /// Each loss is differentiated by itself, with respect to its group; gradients add up. No two may share a part of their
    /// forward passes: Burn takes a graph apart as it goes back through it, and the second pass panics.
    pub losses: Vec<(Tensor<1>, ParameterGroup)>,
    pub observations: Observations,
}

/// What metrics are made of. Tensors without gradient, on the device until somebody logs them.
#[derive(Debug, Clone, Default)]
pub struct Observations {
    /// This micro-batch's share of the batch's weighted total, `[1]`.
    pub loss: Option<Tensor<1>>,
    /// This micro-batch's share of the batch's MLM loss, unweighted, `[1]`.
    pub generator_loss: Option<Tensor<1>>,
    /// This micro-batch's share of the batch's RTD loss, unweighted, `[1]`.
    pub discriminator_loss: Option<Tensor<1>>,
    /// Further parts of the total by name, unweighted shares of the batch's, `[1]` each.
    pub parts: Vec<(&'static str, Tensor<1>)>,
    /// Most probable id at each masked slot, `[batch, max_masked]`.
    pub predicted_ids: Option<Tensor<2, Int>>,
    /// Drawn id at each masked slot, `[batch, max_masked]`.
    pub sampled_ids: Option<Tensor<2, Int>>,
    /// What the discriminator read, `[batch, seq]`.
    pub corrupted_ids: Option<Tensor<2, Int>>,
    /// 1 where the token differs from the original, `[batch, seq]`.
    pub is_replaced: Option<Tensor<2>>,
    /// `[batch, seq]`
    pub discriminator_logits: Option<Tensor<2>>,
}

/// What a pre-trained network says of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PretrainedHead {
    /// Whether it was replaced: `ElectraForPreTraining`.
    ReplacedTokenDetection,
    /// What stood there: `ElectraForMaskedLM`.
    MaskedLanguageModeling,
}

/// A network that an objective trains, as data: export, model cards, counts of operations and memory, and benchmarks go by it.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkPlan {
    /// What it is to the objective, and the name of the folder that it is exported to.
    pub role: &'static str,
    /// What the names of its parameters begin with.
    pub prefix: &'static str,
    pub head: PretrainedHead,
    /// Whether samples are drawn from it, for another network to read.
    pub is_sampled: bool,
    pub config: ElectraConfig,
}

/// A pre-training objective.
pub trait Objective: Send + Sync {
    /// Its name in run.toml.
    fn name(&self) -> &'static str;

    /// The parameters it trains, those of its own included.
    fn layout(&self) -> Layout;

    /// Losses and observations of one micro-batch.
    fn step(&self, parameters: &Parameters, batch: &DeviceBatch, context: &StepContext) -> StepOutput;

    /// The networks it trains; the first is the one that the user keeps.
    fn networks(&self) -> Vec<NetworkPlan>;

    /// Which phase `step` belongs to; a change of phase is written to the log. Most have one only.
    fn phase(&self, _step: u64) -> &'static str {
        "joint"
    }
}

/// An objective that does not exist.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("objective.name is {name:?}, but the objectives are {}", names().join(", "))]
pub struct ObjectiveError {
    pub name: String,
}

type Constructor = fn(&ObjectiveConfig, &PretrainingConfig) -> Box<dyn Objective>;

/// Every objective: one line each.
const OBJECTIVES: &[(&str, Constructor)] = &[
    (rtd::NAME, |objective, networks| Box::new(rtd::new(objective, networks))),
    (electra_15::NAME, |objective, networks| Box::new(electra_15::new(objective, networks))),
    (replace_mlm::NAME, |objective, networks| Box::new(replace_mlm::ReplaceMlm::new(objective, networks))),
    (adversarial::NAME, |objective, networks| Box::new(adversarial::Adversarial::new(objective, networks))),
    (mlm::NAME, |objective, networks| Box::new(mlm::MaskedLanguageModeling::new(objective, networks))),
];

/// The names that run.toml may use.
pub fn names() -> Vec<&'static str> {
    OBJECTIVES.iter().map(|(name, _)| *name).collect()
}

/// The objective that `config` names.
///
/// # Errors
/// If there is none of that name.
pub fn from_config(
    config: &ObjectiveConfig,
    networks: &PretrainingConfig,
) -> Result<Box<dyn Objective>, ObjectiveError> {
    OBJECTIVES
        .iter()
        .find(|(name, _)| *name == config.name)
        .map(|(_, constructor)| constructor(config, networks))
        .ok_or_else(|| ObjectiveError { name: config.name.clone() })
}

/// Keys of the networks' noise under a step's key; numbers never change.
pub(crate) mod noise_site {
    pub(crate) const GENERATOR: u64 = 0;
    pub(crate) const DISCRIMINATOR: u64 = 1;
    pub(crate) const SAMPLE: u64 = 2;
}
