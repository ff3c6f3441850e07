//! The networks that an objective trains, as data.

use crate::config::ElectraConfig;

/// What a pre-trained network says of a token, and so which class of `transformers` it is exported as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PretrainedHead {
    /// Whether it was replaced: `ElectraForPreTraining`.
    ReplacedTokenDetection,
    /// What stood there: `ElectraForMaskedLM`.
    MaskedLanguageModeling,
    /// What comes next: `ElectraForCausalLM`.
    CausalLanguageModeling,
}

/// Positions of a sequence that a head looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Positions {
    /// Every token.
    All,
    /// The masked positions alone.
    Masked,
}

/// A head as a step computes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadWork {
    /// One logit a token.
    Binary(Positions),
    /// A logit for each entry of the vocabulary.
    Vocabulary {
        /// Where.
        positions: Positions,
        /// Hidden states side by side that the head reads.
        states: usize,
        /// Whether a token is drawn.
        is_sampled: bool,
        /// Whether another head has made what it reads: logits alone, without gradients.
        is_repeated: bool,
    },
}

/// What a step computes with a network. Each encoder reads every token of the batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// Encoders of the network's size.
    pub encoders: usize,
    /// Whether a second stream, of the masked positions alone, goes through the same weights.
    pub has_query_stream: bool,
    /// Whether gradients are computed.
    pub is_trained: bool,
    /// What is computed of the encoders' states.
    pub heads: Vec<HeadWork>,
}

impl Work {
    /// One encoder that is trained.
    pub fn new(heads: &[HeadWork]) -> Self {
        Self { encoders: 1, has_query_stream: false, is_trained: true, heads: heads.to_vec() }
    }

    /// A binary head at every token.
    pub fn detection() -> Self {
        Self::new(&[HeadWork::Binary(Positions::All)])
    }

    /// Logits over the vocabulary.
    pub fn vocabulary(positions: Positions, is_sampled: bool) -> Self {
        Self::new(&[HeadWork::Vocabulary { positions, states: 1, is_sampled, is_repeated: false }])
    }
}

/// A network that an objective trains: export, model cards, counts of operations and memory, and benchmarks go by it.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkPlan {
    /// What it is to the objective, and the name of the folder that it is exported to.
    pub role: &'static str,
    /// What the names of its parameters begin with.
    pub prefix: &'static str,
    /// The class that it is exported as.
    pub head: PretrainedHead,
    /// What it can be exported as on request.
    pub other_heads: &'static [PretrainedHead],
    /// Whether a class of `transformers` is like it.
    pub is_exported: bool,
    /// Sizes and constants.
    pub config: ElectraConfig,
    /// What a step computes with it.
    pub work: Work,
}
