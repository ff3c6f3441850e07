//! What is put on an encoder to say something of a text: heads, a file each, and their losses.
//!
//! Each comes in two styles: Hugging Face's (`ElectraForSequenceClassification` and the like, in the names and with the semantics of
//! `transformers`, so that folders made there load here and give the same numbers), and the paper's own, as
//! google-research/electra's finetune/ has it. For labels of tokens both are one.

mod joint_span;
mod loss;
mod sequence;
mod span;
mod tokens;

use electra_kernels::{Dropout, dropout};
use serde::{Deserialize, Serialize};

use burn::tensor::Tensor;

pub use self::joint_span::JointSpan;
pub use self::loss::{
    binary_cross_entropy, cross_entropy, question_answering_loss, regression_loss, weighted_binary_cross_entropy,
    weighted_cross_entropy, weighted_squared_error,
};
pub use self::sequence::SequenceClassifier;
pub use self::span::QuestionAnswering;
pub use self::tokens::TokenClassifier;
use crate::encoder::EncoderNoise;

/// Label of a token or position that no loss looks at.
pub const IGNORED_LABEL: i64 = -100;

/// Whose head it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HeadStyle {
    /// That of `transformers`, which loads the result.
    #[default]
    Hf,
    /// The paper's, which `transformers` has no class for.
    Paper,
}

impl HeadStyle {
    /// As the command line and config.json have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hf => "hf",
            Self::Paper => "paper",
        }
    }
}

/// Layer number of a head's dropout in the noise's key, beyond any encoder's.
const HEAD_LAYER: u64 = 1 << 20;

/// Dropout of a head at one of its sites, where there is noise for it.
fn drop_out<const D: usize>(x: Tensor<D>, noise: Option<EncoderNoise<'_>>, site: u64, probability: f64) -> Tensor<D> {
    let of_site = |noise: EncoderNoise<'_>| noise.key.child(HEAD_LAYER).child(site);
    let settings = noise.as_ref().map(|noise| Dropout { probability, key: of_site(*noise), examples: noise.examples });
    dropout(x, settings.as_ref())
}
