//! What the networks are for at first sight: scoring tokens as replaced, filling masks, scoring texts, and vectors of texts.
//!
//! All take the text as it stands, add [CLS] and [SEP], and run without dropout.

mod detect;
#[cfg(feature = "native")]
mod embed;
mod fill;
#[cfg(feature = "native")]
mod score;
mod task;

use burn::tensor::Device;
use electra_data::{Folder, ImportOptions, Imported, Tokenizer};
use electra_model::{Alias, ElectraConfig, Layout, Parameters};

pub use self::detect::{Detector, TokenScore};
#[cfg(feature = "native")]
pub use self::embed::{Embedder, Embeddings, Pooling};
pub use self::fill::{Filler, Guess};
#[cfg(feature = "native")]
pub use self::score::{Likelihood, Scorer, TextScore};
pub use self::task::{Predicted, TaskNetwork};
use crate::error::Result;
use crate::exchange::hugging_face::{self, Architecture};
use crate::host;

/// The weights of an exported folder on a device.
fn load(
    folder: Folder<'_>,
    architecture: Architecture,
    device: &Device,
) -> Result<(ElectraConfig, Parameters, Imported)> {
    let network = hugging_face::import_as(folder, architecture.class_name())?;
    // Folders of others may have a vocab.txt alone.
    let imported = Tokenizer::import_from(folder, &ImportOptions::default())?;
    let place = &folder.place();
    hugging_face::check_tokenizer_fits(&imported.tokenizer, &network.config, place)?;
    let layout = Layout::new(architecture.specs(&network.config), Vec::<Alias>::new());
    let parameters = host::parameters_from_host(&layout, network.tensors, place, device)?;
    Ok((network.config, parameters, imported))
}
