//! Filling masks with an exported generator.

use burn::tensor::{Device, Tensor};
use electra_data::{Folder, Imported, Tokenizer};
use electra_kernels::read::{self, Reads};
use electra_model::{EncoderInput, Generator, Parameters};

use super::load;
use crate::error::{During, Error, Result};
use crate::exchange::hugging_face::Architecture;
#[cfg(feature = "native")]
use crate::host::wait_for;

/// One guess for a masked position.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Guess {
    /// As the vocabulary has it.
    pub token: String,
    /// Its number in the vocabulary.
    pub id: u32,
    /// The generator's score.
    pub logit: f32,
    /// Among all rows of the word table.
    pub probability: f32,
}

/// A generator with its tokenizer, ready to fill masks.
pub struct Filler {
    tokenizer: Tokenizer,
    /// What its user should know of the tokenizer.
    pub notices: Vec<String>,
    generator: Generator,
    parameters: Parameters,
    device: Device,
}

impl Filler {
    /// Loads an exported generator.
    ///
    /// # Errors
    /// The folder is not a generator with its tokenizer.
    pub fn load<'f>(folder: impl Into<Folder<'f>>, device: &Device) -> Result<Self> {
        let (config, parameters, Imported { tokenizer, notices }) =
            load(folder.into(), Architecture::MaskedLm, device)?;
        let generator = Generator::bind(&config, &parameters, "");
        Ok(Self { tokenizer, notices, generator, parameters, device: device.clone() })
    }

    /// The `top` likeliest tokens for each [MASK] in `text`, best first.
    ///
    /// # Errors
    /// The text has no [MASK], or is longer than the network's positions; or the device failed.
    #[cfg(feature = "native")]
    pub fn fill(&self, text: &str, top: usize) -> Result<Vec<Vec<Guess>>> {
        let special = self.tokenizer.special();
        let mut ids = vec![special.cls];
        // [MASK] is found here, so that it is one whatever the tokenizer does with brackets.
        for (i, part) in text.split("[MASK]").enumerate() {
            if i > 0 {
                ids.push(special.mask);
            }
            ids.extend(self.tokenizer.encode(part));
        }
        ids.push(special.sep);
        wait_for(self.fill_ids(&ids, top))
    }

    /// As [`Filler::fill`], of ids with [CLS] and [SEP].
    ///
    /// # Errors
    /// As [`Filler::fill`].
    pub async fn fill_ids(&self, ids: &[u32], top: usize) -> Result<Vec<Vec<Guess>>> {
        let special = self.tokenizer.special();
        let positions: Vec<usize> = (0..ids.len()).filter(|&i| ids[i] == special.mask).collect();
        if positions.is_empty() {
            return Err(Error::Text("the text has no [MASK]: put one where a token is to be filled in".to_owned()));
        }
        let room = self.generator.encoder.config().max_position_embeddings;
        if ids.len() > room {
            let problem = format!("the text has {} tokens, but the model only {room} positions: shorten it", ids.len());
            return Err(Error::Text(problem));
        }
        let hidden = self.generator.encode(&EncoderInput::single(ids, &self.device), None).last_hidden;
        let rows = positions.iter().map(|&i| hidden.clone().slice_dim(0, i..i + 1)).collect();
        let logits = self.generator.logits(Tensor::cat(rows, 0));
        let [_, vocab] = logits.dims();
        let mut reads = Reads::default();
        reads.floats(&logits);
        let logits = read::floats_of(&reads.fetch().await.during("filling the masks")?[0]);
        Ok(logits.chunks(vocab).map(|row| self.best(row, top)).collect())
    }

    /// The network.
    pub fn network(&self) -> &Generator {
        &self.generator
    }

    /// Its weights, by the names of its class.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Where it computes.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The tokenizer that lies beside the network.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    fn best(&self, logits: &[f32], top: usize) -> Vec<Guess> {
        let greatest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let total: f64 = logits.iter().map(|&logit| f64::from(logit - greatest).exp()).sum();
        // Rows beyond the tokenizer's entries are no tokens, though they count in the sum as in `transformers`.
        let mut order: Vec<usize> = (0..logits.len().min(self.tokenizer.vocab_size())).collect();
        // Ties go to the lowest id, as in training.
        order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]).then(a.cmp(&b)));
        order
            .into_iter()
            .take(top)
            .map(|id| Guess {
                token: self.tokenizer.token(id as u32).unwrap_or_default(),
                id: id as u32,
                logit: logits[id],
                probability: (f64::from(logits[id] - greatest).exp() / total) as f32,
            })
            .collect()
    }
}
