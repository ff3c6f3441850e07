//! Scoring the tokens of a text with an exported discriminator.
//!
//! A text longer than the network's positions is scored in windows that overlap by half, each token by the window that
//! shows most of its surroundings.

use burn::tensor::Device;
use electra_data::{Folder, Imported, Tokenizer};
use electra_kernels::read::{self, Reads};
use electra_model::{Discriminator, EncoderInput, Parameters};

use super::load;
use crate::error::{During, Error, Result};
use crate::exchange::hugging_face::Architecture;
#[cfg(feature = "native")]
use crate::host::wait_for;

/// One token and what the discriminator says of it.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct TokenScore {
    /// As the vocabulary has it.
    pub token: String,
    /// Its number in the vocabulary.
    pub id: u32,
    /// Bytes of the text that the token covers, `start..end`.
    pub start: usize,
    /// The byte after its last.
    pub end: usize,
    /// Above 0: replaced.
    pub logit: f32,
    /// Probability that the token was replaced.
    pub probability: f32,
}

/// A discriminator with its tokenizer, ready to score texts.
pub struct Detector {
    tokenizer: Tokenizer,
    /// What its user should know of the tokenizer.
    pub notices: Vec<String>,
    discriminator: Discriminator,
    parameters: Parameters,
    device: Device,
}

impl Detector {
    /// Loads an exported discriminator.
    ///
    /// # Errors
    /// The folder is not a discriminator with its tokenizer.
    pub fn load<'f>(folder: impl Into<Folder<'f>>, device: &Device) -> Result<Self> {
        let folder = folder.into();
        let (config, parameters, Imported { tokenizer, notices }) = load(folder, Architecture::PreTraining, device)?;
        if config.max_position_embeddings < 3 {
            let problem = format!("max_position_embeddings is {}", config.max_position_embeddings);
            return Err(Error::invalid(&folder.place(), problem, "a token needs 3, [CLS] and [SEP] included"));
        }
        let discriminator = Discriminator::bind(&config, &parameters, "");
        Ok(Self { tokenizer, notices, discriminator, parameters, device: device.clone() })
    }

    /// Scores every token of `text`, in order.
    ///
    /// # Errors
    /// The device failed.
    #[cfg(feature = "native")]
    pub fn score(&self, text: &str) -> Result<Vec<TokenScore>> {
        wait_for(self.score_async(text))
    }

    /// As [`Detector::score`], where waiting must not block (a browser).
    ///
    /// # Errors
    /// As [`Detector::score`].
    pub async fn score_async(&self, text: &str) -> Result<Vec<TokenScore>> {
        let (ids, offsets) = self.tokenizer.encode_with_offsets(text);
        let logits = self.logits_async(&ids).await?;
        let scores = ids
            .iter()
            .zip(offsets)
            .zip(logits)
            .map(|((&id, (start, end)), logit)| TokenScore {
                token: self.tokenizer.token(id).unwrap_or_default(),
                id,
                start,
                end,
                logit,
                probability: 1.0 / (1.0 + (-logit).exp()),
            })
            .collect();
        Ok(scores)
    }

    /// The logit of each of `ids`, to which [CLS] and [SEP] are added here.
    ///
    /// # Errors
    /// The device failed.
    #[cfg(feature = "native")]
    pub fn logits(&self, ids: &[u32]) -> Result<Vec<f32>> {
        wait_for(self.logits_async(ids))
    }

    /// As [`Detector::logits`], where waiting must not block (a browser).
    ///
    /// # Errors
    /// As [`Detector::logits`].
    pub async fn logits_async(&self, ids: &[u32]) -> Result<Vec<f32>> {
        let special = self.tokenizer.special();
        let room = self.discriminator.encoder.config().max_position_embeddings - 2;
        let mut logits = vec![0.0; ids.len()];
        for window in windows(ids.len(), room) {
            let mut framed = vec![special.cls];
            framed.extend_from_slice(&ids[window.start..window.end]);
            framed.push(special.sep);
            let found = self.discriminator.forward(&EncoderInput::single(&framed, &self.device), None);
            let mut reads = Reads::default();
            reads.floats(&found);
            let found = read::floats_of(&reads.fetch().await.during("scoring the text")?[0]);
            for i in window.keep_from..window.end {
                logits[i] = found[1 + i - window.start];
            }
        }
        Ok(logits)
    }

    /// The network.
    pub fn network(&self) -> &Discriminator {
        &self.discriminator
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
}

/// A stretch of tokens that is run at once, of which those from `keep_from` are taken.
struct Window {
    start: usize,
    keep_from: usize,
    end: usize,
}

/// Windows of at most `room` tokens, each half a window after the one before.
fn windows(len: usize, room: usize) -> Vec<Window> {
    let stride = (room / 2).max(1);
    let mut windows = Vec::new();
    if len == 0 {
        return windows;
    }
    let mut start = 0;
    loop {
        let end = (start + room).min(len);
        // The first quarter of a later window was seen better by the one before it.
        let keep_from = if start == 0 { 0 } else { start + (room - stride) / 2 };
        windows.push(Window { start, keep_from, end });
        if end == len {
            return windows;
        }
        start += stride;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_take_every_token_once() {
        for (len, room) in [(1, 510), (510, 510), (511, 510), (2000, 510), (7, 2), (9, 1), (0, 5)] {
            let mut owner = vec![None; len];
            for (number, window) in windows(len, room).iter().enumerate() {
                assert!(window.end - window.start <= room);
                assert!(window.start <= window.keep_from && window.keep_from <= window.end);
                owner[window.keep_from..window.end].fill(Some(number));
            }
            assert!(owner.iter().all(Option::is_some), "{len} tokens in windows of {room}");
        }
    }
}
