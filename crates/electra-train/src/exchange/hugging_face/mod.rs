//! Folders that Hugging Face's `transformers` loads and saves: import and export.
//!
//! A folder holds `config.json`, `model.safetensors`, the tokenizer's files and a model card. Weights already
//! have Hugging Face's names and `[out, in]` layout in memory, so that this is mostly checking: a folder from
//! elsewhere may be of another architecture, half downloaded, in half precision, or hold the buffers and tied
//! copies that some releases of `transformers` wrote.

mod config;
mod encoder;
mod import;
pub mod paper_head;
mod task;
#[cfg(test)]
mod tests;

use std::path::Path;

use electra_data::{FilesInMemory, Tokenizer};
use electra_model::head::{HeadStyle, JointSpan, QuestionAnswering, SequenceClassifier, TokenClassifier};
use electra_model::objective::PretrainedHead;
use electra_model::{Discriminator, ElectraConfig, Encoder, Generator, ParameterSpec};

#[cfg(feature = "native")]
pub(crate) use self::config::architecture_of;
use self::config::config_text;
pub use self::config::{config_json, import_config};
pub use self::encoder::{ImportedEncoder, import_encoder};
pub use self::import::{import, import_as, import_tensors};
pub use self::task::TaskRecord;

use crate::error::{Error, Result};
use crate::exchange::model_card::ModelCard;
use crate::exchange::weights::{WEIGHTS, read};
use crate::file::tensor_file::encode;
#[cfg(feature = "native")]
use crate::file::{self, tensor_file::metadata_of};
use crate::host::HostTensor;

/// The file without which nobody takes a folder for a network's.
pub(crate) const CONFIG: &str = "config.json";
const CARD: &str = "README.md";
/// What an encoder's tensors begin with.
pub const ENCODER: &str = "electra.";
/// Key of the weights' metadata.
const RUN: &str = "run";
/// What belongs to a tokenizer in a network's folder; the last is written by others alone.
#[cfg(feature = "native")]
const TOKENIZER_FILES: [&str; 4] = ["tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"];

/// Which class of `transformers` a folder is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// An encoder without a head: what fine-tuning begins with.
    Encoder,
    /// The discriminator.
    PreTraining,
    /// The generator.
    MaskedLm,
    /// A network in which a token sees itself and what is before it.
    CausalLm,
    /// A label for a whole text.
    SequenceClassification {
        /// How many there are to choose from.
        labels: usize,
        /// Whose head it is; `transformers` has none of the paper's.
        style: HeadStyle,
    },
    /// A label for each token.
    TokenClassification {
        /// How many there are to choose from.
        labels: usize,
    },
    /// Where in a text an answer begins and ends.
    QuestionAnswering,
    /// The same, the end given the start: the paper's head, which `transformers` does not have.
    JointSpan {
        /// Whether it says if there is an answer.
        unanswerable: bool,
    },
}

impl Architecture {
    /// That of a pre-trained network with `head`.
    pub fn of(head: PretrainedHead) -> Self {
        match head {
            PretrainedHead::ReplacedTokenDetection => Self::PreTraining,
            PretrainedHead::MaskedLanguageModeling => Self::MaskedLm,
            PretrainedHead::CausalLanguageModeling => Self::CausalLm,
        }
    }

    /// The class's name in `config.json`.
    pub fn class_name(self) -> &'static str {
        match self {
            Self::Encoder => "ElectraModel",
            Self::PreTraining => "ElectraForPreTraining",
            Self::MaskedLm => "ElectraForMaskedLM",
            Self::CausalLm => "ElectraForCausalLM",
            Self::SequenceClassification { .. } => "ElectraForSequenceClassification",
            Self::TokenClassification { .. } => "ElectraForTokenClassification",
            Self::QuestionAnswering | Self::JointSpan { .. } => "ElectraForQuestionAnswering",
        }
    }

    /// The class called `name`, with so many labels where it has some, and a head of `style`.
    pub fn from_class_name(name: &str, labels: usize, style: HeadStyle, unanswerable: bool) -> Option<Self> {
        [
            Self::Encoder,
            Self::PreTraining,
            Self::MaskedLm,
            Self::CausalLm,
            Self::SequenceClassification { labels, style },
            Self::TokenClassification { labels },
            match style {
                HeadStyle::Hf => Self::QuestionAnswering,
                HeadStyle::Paper => Self::JointSpan { unanswerable },
            },
        ]
        .into_iter()
        .find(|architecture| architecture.class_name() == name)
    }

    /// Name and shape of every tensor in the folder.
    pub fn specs(self, config: &ElectraConfig) -> Vec<ParameterSpec> {
        match self {
            Self::Encoder => Encoder::specs(config, ENCODER),
            Self::PreTraining => Discriminator::specs(config, ""),
            Self::MaskedLm | Self::CausalLm => Generator::specs(config, ""),
            Self::SequenceClassification { labels, style } => SequenceClassifier::specs(config, labels, style, ""),
            Self::TokenClassification { labels } => TokenClassifier::specs(config, labels, ""),
            Self::QuestionAnswering => QuestionAnswering::specs(config, ""),
            Self::JointSpan { unanswerable } => JointSpan::specs(config, unanswerable, ""),
        }
    }

    fn labels(self) -> Option<usize> {
        match self {
            Self::SequenceClassification { labels, .. } | Self::TokenClassification { labels } => Some(labels),
            _ => None,
        }
    }
}

/// A network as a folder holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// Its class.
    pub architecture: Architecture,
    /// Its sizes.
    pub config: ElectraConfig,
    /// Dropout before a classifier; the encoder's where `None`.
    pub classifier_dropout: Option<f64>,
    /// What it was fine-tuned for; `None` for a pre-trained one.
    pub task: Option<TaskRecord>,
    /// In the order of [`Architecture::specs`], names without a prefix.
    pub tensors: Vec<HostTensor>,
}

/// Every file that [`export`] may write.
#[cfg(feature = "native")]
pub(crate) fn files() -> impl Iterator<Item = &'static str> {
    [CONFIG, WEIGHTS, CARD].into_iter().chain(TOKENIZER_FILES)
}

/// The run that trained the network in `folder`, where it was exported from one: [`ModelCard::run`].
#[cfg(feature = "native")]
pub fn run_of(folder: &Path) -> Option<String> {
    metadata_of(&folder.join(WEIGHTS), RUN)
}

/// Writes `network` into `folder`, with the tokenizer of the folder `tokenizer` and a model card.
///
/// What is written says of the tokenizer what holds for this network: the number of its positions, the id of its padding.
/// Other files in the folder stay, and each file is replaced whole; [`crate::exchange::export::NetworkFolders`] replaces all of them
/// together.
///
/// # Errors
/// A file cannot be read or written; the tokenizer has more entries than the network has words.
#[cfg(feature = "native")]
pub fn export(folder: &Path, network: &Network, tokenizer: Option<&Path>, card: &ModelCard) -> Result<()> {
    let options = electra_data::ImportOptions::default();
    let tokenizer = tokenizer.map(|folder| Tokenizer::import(folder, &options)).transpose()?;
    file::create_folder(folder)?;
    let mut write = |name: &str, bytes: &[u8]| file::write_atomically(&folder.join(name), bytes);
    export_with(folder, network, tokenizer.map(|imported| imported.tokenizer), card, &mut write)
}

/// What [`export`] writes, in memory; `place` is for messages.
///
/// # Errors
/// The tokenizer has more entries than the network has words.
pub fn export_to_memory(
    network: &Network,
    tokenizer: Tokenizer,
    card: &ModelCard,
    place: &Path,
) -> Result<FilesInMemory> {
    let mut files = FilesInMemory::new();
    export_with(place, network, Some(tokenizer), card, &mut |name, bytes| {
        files.insert(name.to_owned(), bytes.to_vec());
        Ok(())
    })?;
    Ok(files)
}

/// Hands `write` each file of a folder, config.json last: without it nobody takes a folder for a network's.
fn export_with(
    place: &Path,
    network: &Network,
    tokenizer: Option<Tokenizer>,
    card: &ModelCard,
    write: &mut dyn FnMut(&str, &[u8]) -> Result<()>,
) -> Result<()> {
    let mut config = network.config.clone();
    if let Some(tokenizer) = tokenizer {
        check_tokenizer_fits(&tokenizer, &config, place)?;
        config.pad_token_id = tokenizer.special().pad as usize;
        for (name, text) in tokenizer.with_max_length(config.max_position_embeddings).to_files() {
            write(name, text.as_bytes())?;
        }
    }
    write(CARD, card.to_markdown(network).as_bytes())?;
    // `transformers` asks for the format.
    let metadata = [Some(("format", "pt")), card.run.as_deref().map(|run| (RUN, run))];
    write(WEIGHTS, &encode(&network.tensors, metadata.into_iter().flatten()))?;
    write(CONFIG, config_text(network, &config).as_bytes())
}

/// A word table may have more rows than the tokenizer has entries (padded, to a multiple of 8 for example), never fewer.
/// # Errors
/// It has fewer.
pub fn check_tokenizer_fits(tokenizer: &Tokenizer, config: &ElectraConfig, folder: &Path) -> Result<()> {
    let (entries, rows) = (tokenizer.vocab_size(), config.vocab_size);
    if entries <= rows {
        return Ok(());
    }
    let problem = format!("the tokenizer has {entries} entries, but the network only {rows}");
    Err(Error::invalid(folder, problem, "put the tokenizer of this model into the folder"))
}
