//! What pre-training minimises: one file per objective.
//!
//! An objective names its parameters and networks and turns a batch into one loss. It keeps no state: everything it needs
//! of the past is in the parameters, and all its randomness comes from `StepContext::key`. A new one is a file with `Keys`
//! and `new`, and a name in the list below; CONTRIBUTING.md has the recipe.

pub mod config;
mod corruption;
mod plan;
mod similar_words;
#[cfg(test)]
pub(crate) mod testing;

use std::sync::Arc;

use burn::tensor::{Int, Tensor};
use electra_data::{Batch, SpecialTokens};
use electra_kernels::noise::NoiseKey;
use serde::{Deserialize, Serialize};

use self::config::{Check, KeyTable};
pub use self::config::{Frequencies, GeneratorKind};
pub use self::plan::{HeadWork, NetworkPlan, Positions, PretrainedHead, Work};
pub use self::similar_words::SimilarWords;
use crate::{
    batch::DeviceBatch,
    masking::MaskingPolicy,
    parameters::{Layout, Parameters},
    pretraining::{PretrainingConfig, Sharing},
};

type Constructor = fn(&ObjectiveConfig, &PretrainingConfig) -> Box<dyn Objective>;

macro_rules! objectives {
    ($($name:ident),+ $(,)?) => {
        $(mod $name;)+

        /// `[objective]` of run.toml. Each objective has a table of keys of its own, of which the named one's is looked at.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct ObjectiveConfig {
            /// One of `names()`.
            pub name: String,
            /// What draws the replacements of objectives that have some.
            pub generator: GeneratorKind,
            $(
                /// Keys of the objective of that name.
                pub $name: $name::Keys,
            )+
        }

        impl Default for ObjectiveConfig {
            fn default() -> Self {
                Self {
                    name: "rtd".to_owned(),
                    generator: GeneratorKind::Network,
                    $($name: Default::default(),)+
                }
            }
        }

        /// Every objective.
        const OBJECTIVES: &[(&str, Constructor)] =
            &[$((stringify!($name), |config, networks| Box::new($name::new(config, networks))),)+];

        impl ObjectiveConfig {
            /// The same, with samples drawn as the generator has them: at temperature 1, whatever was there.
            #[must_use]
            pub fn judging(&self) -> Self {
                let mut judging = self.clone();
                $(judging.$name.draw_plainly();)+
                judging
            }

            /// Whether replacements are drawn among similar words ([`SimilarWords`]).
            pub fn draws_similar_words(&self) -> bool {
                match self.name.as_str() {
                    "rtd" => self.rtd.similar_words > 0.0,
                    "electra_15" => self.electra_15.similar_words > 0.0,
                    _ => false,
                }
            }

            /// Names each key of every objective's table to `check`, which says whether a value is in range.
            pub fn check(&self, check: &mut Check<'_>) {
                $(
                    self.$name.check(&mut |ok, key, value, expected| {
                        check(ok, &format!("{}.{key}", stringify!($name)), value, expected);
                    });
                )+
            }
        }
    };
}

objectives! {
    rtd,
    electra_15,
    replace_mlm,
    all_tokens_mlm,
    mlm,
    bert,
    roberta,
    two_stage,
    adversarial,
    electric,
    causal,
    permutation,
}

/// Counts of a whole batch, over all its micro-batches: what the losses are divided by.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Totals {
    /// Chosen positions.
    pub masked: f64,
    /// Tokens, padding excluded.
    pub tokens: f64,
    /// Tokens behind the first of their example: those that a causal network predicts.
    pub followers: f64,
    /// Tokens but [CLS], [SEP] and [MASK]: those that could have been chosen.
    pub candidates: f64,
}

impl Totals {
    /// Of `batch`.
    pub fn of(batch: &Batch, special: SpecialTokens) -> Self {
        let followers =
            (0..batch.attention_mask.len()).filter(|&at| at % batch.seq > 0 && batch.attention_mask[at] > 0);
        Self {
            masked: batch.masked_count() as f64,
            tokens: batch.token_count() as f64,
            followers: followers.count() as f64,
            candidates: candidates(batch, special).filter(|&is| is).count() as f64,
        }
    }
}

/// Of each token whether it could have been chosen.
pub(crate) fn candidates(batch: &Batch, special: SpecialTokens) -> impl Iterator<Item = bool> {
    let never = [special.cls, special.sep, special.mask].map(|id| id as i32);
    batch.original_ids.iter().zip(&batch.attention_mask).map(move |(id, &mask)| mask > 0 && !never.contains(id))
}

/// What stands in for what a step would draw: what the golden fixtures recorded, or what somebody picked by hand.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// Replacements, `[batch, max_masked]`.
    pub samples: Option<Tensor<2, Int>>,
    /// Ranks of the masked positions, `[batch, max_masked]` row by row; 0 for an unused slot.
    pub ranks: Option<Vec<u32>>,
}

/// What a step needs beside parameters and batch.
#[derive(Debug, Clone)]
pub struct StepContext {
    /// (seed, step). Dropout, samples and orders derive from it.
    pub key: NoiseKey,
    /// Steps done before this one.
    pub step: u64,
    /// Dropout is on in training only; sampling always.
    pub training: bool,
    /// The tokenizer's.
    pub special: SpecialTokens,
    /// Of the whole batch, of which this may be a part.
    pub totals: Totals,
    /// Share of the tokens that is chosen: `data.masking_probability`.
    pub masking_probability: f64,
    /// Keep each encoder layer's input alone for the backward pass, and run the layer again there.
    pub recompute: bool,
    /// Frequencies of the training text, where they are known: what `objective.generator = "unigram"` draws from.
    pub frequencies: Option<Arc<Frequencies>>,
    /// Which words of the training text are similar, where somebody asks for it: what `objective.rtd.similar_words` draws from.
    pub similar_words: Option<Arc<SimilarWords>>,
    /// In place of draws.
    pub given: Given,
}

/// What one micro-batch gives.
#[derive(Debug, Clone)]
pub struct StepOutput {
    /// What is minimised, `[1]`. One scalar: Burn takes a graph apart as it goes back through it, once.
    pub loss: Tensor<1>,
    /// What there is to see.
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
    /// Further parts of the total by name, unweighted shares of the batch's, `[1]` each: metrics of the objective's own.
    pub parts: Vec<(&'static str, Tensor<1>)>,
    /// Most probable id at each masked slot, `[batch, max_masked]`.
    pub predicted_ids: Option<Tensor<2, Int>>,
    /// Drawn id at each masked slot, `[batch, max_masked]`.
    pub sampled_ids: Option<Tensor<2, Int>>,
    /// What the discriminator read, `[batch, seq]`.
    pub corrupted_ids: Option<Tensor<2, Int>>,
    /// 1 where the discriminator should say so, `[batch, seq]`: where the token differs from the original.
    pub is_replaced: Option<Tensor<2>>,
    /// `[batch, seq]`
    pub discriminator_logits: Option<Tensor<2>>,
}

/// The phase of an objective that has one only.
pub const JOINT: &str = "joint";

/// A pre-training objective.
pub trait Objective: Send + Sync {
    /// Its name in run.toml.
    fn name(&self) -> &'static str;

    /// The parameters it trains, those of its own included.
    fn layout(&self) -> Layout;

    /// Loss and observations of one micro-batch.
    fn step(&self, parameters: &Parameters, batch: &DeviceBatch, context: &StepContext) -> StepOutput;

    /// The networks it trains; the first is the one that the user keeps.
    fn networks(&self) -> Vec<NetworkPlan>;

    /// What may draw its replacements.
    fn generators(&self) -> &'static [GeneratorKind] {
        &[GeneratorKind::Network]
    }

    /// Which ways of sharing weights it knows.
    fn sharing(&self) -> &'static [Sharing] {
        &Sharing::ALL
    }

    /// How its text is masked.
    fn masking(&self) -> MaskingPolicy {
        MaskingPolicy::ELECTRA
    }

    /// How much each token of `ids`, `[batch, seq]`, looks replaced, by a network that says so of any text; above 0 where it does.
    /// `None` for an objective without such a network.
    fn detect(
        &self,
        _parameters: &Parameters,
        _batch: &DeviceBatch,
        _ids: &Tensor<2, Int>,
        _context: &StepContext,
    ) -> Option<Tensor<2>> {
        None
    }

    /// The phase that `step` belongs to; a change of phase is written to the log.
    fn phase(&self, _step: u64) -> &'static str {
        JOINT
    }

    /// What the networks have to do in a phase.
    fn networks_in(&self, _phase: &str) -> Vec<NetworkPlan> {
        self.networks()
    }

    /// The parameters with which `phase` begins, made of those with which the one before ended.
    fn enter_phase(&self, _phase: &str, parameters: Parameters) -> Parameters {
        parameters
    }

    /// Factor of a parameter's learning rate in a phase; 0: it is frozen.
    fn rate(&self, _phase: &str, _parameter: &str) -> f64 {
        1.0
    }

    /// The parameters under the names of the networks that are exported, where they are made of others.
    fn exported(&self, parameters: &Parameters) -> Parameters {
        parameters.clone()
    }
}

/// An objective that cannot be had.
#[derive(Debug, thiserror::Error, PartialEq)]
// The text of each says what it and its fields are.
#[expect(missing_docs)]
pub enum ObjectiveError {
    #[error("objective.name is {name:?}, but the objectives are {}", names().join(", "))]
    Unknown { name: String },
    #[error("{key} is {value:?}, but it must be {expected} with objective.name = {objective:?}")]
    Setting { key: &'static str, value: &'static str, expected: String, objective: &'static str },
}

/// The names that run.toml may use.
pub fn names() -> Vec<&'static str> {
    OBJECTIVES.iter().map(|(name, _)| *name).collect()
}

/// The objective that `config` names.
///
/// # Errors
/// If there is none of that name, or it does not go with the generator or the sharing that was asked for.
pub fn from_config(
    config: &ObjectiveConfig,
    networks: &PretrainingConfig,
) -> Result<Box<dyn Objective>, ObjectiveError> {
    let Some((_, constructor)) = OBJECTIVES.iter().find(|(name, _)| *name == config.name) else {
        return Err(ObjectiveError::Unknown { name: config.name.clone() });
    };
    let objective = constructor(config, networks);
    let refuse = |key, value, allowed: Vec<&str>| {
        let expected = allowed.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(" or ");
        Err(ObjectiveError::Setting { key, value, expected, objective: objective.name() })
    };
    if !objective.generators().contains(&config.generator) {
        let allowed = objective.generators().iter().map(|kind| kind.name()).collect();
        return refuse("objective.generator", config.generator.name(), allowed);
    }
    if !objective.sharing().contains(&networks.sharing) {
        let allowed = objective.sharing().iter().map(|sharing| sharing.name()).collect();
        return refuse("model.sharing", networks.sharing.name(), allowed);
    }
    Ok(objective)
}

/// Keys of the networks' noise under a step's key; numbers never change.
pub(crate) mod noise_site {
    pub(crate) const GENERATOR: u64 = 0;
    pub(crate) const DISCRIMINATOR: u64 = 1;
    pub(crate) const SAMPLE: u64 = 2;
    /// The second of two towers, or the query stream.
    pub(crate) const SECOND: u64 = 3;
    pub(crate) const ORDER: u64 = 4;
    pub(crate) const SIMILAR: u64 = 5;
}
