//! What the networks are for at first sight: scoring tokens as replaced, filling masks, scoring texts, and vectors of texts.
//!
//! All take the text as it stands, add [CLS] and [SEP], and run without dropout.

mod detect;
mod embed;
mod fill;
mod score;
mod task;

use std::path::Path;

use burn::tensor::Device;
use electra_data::{ImportOptions, Imported, Tokenizer};
use electra_model::{Alias, ElectraConfig, Layout, Parameters};

pub use self::detect::{Detector, TokenScore};
pub use self::embed::{Embedder, Embeddings, Pooling};
pub use self::fill::{Filler, Guess};
pub use self::score::{Likelihood, Scorer, TextScore};
pub use self::task::{Predicted, TaskNetwork};
use crate::error::Result;
use crate::exchange::hugging_face::{self, Architecture};
use crate::host;

/// The weights of an exported folder on a device.
fn load(folder: &Path, architecture: Architecture, device: &Device) -> Result<(ElectraConfig, Parameters, Imported)> {
    let network = hugging_face::import_as(folder, architecture.class_name())?;
    // Folders of others may have a vocab.txt alone.
    let imported = Tokenizer::import(folder, &ImportOptions::default())?;
    hugging_face::check_tokenizer_fits(&imported.tokenizer, &network.config, folder)?;
    let layout = Layout::new(architecture.specs(&network.config), Vec::<Alias>::new());
    let parameters = host::parameters_from_host(&layout, network.tensors, folder, device)?;
    Ok((network.config, parameters, imported))
}
