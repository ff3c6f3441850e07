//! A vector a text: the mean of an encoder's last hidden states, or that of [CLS].
//!
//! Texts are read in batches of about equal lengths, so that padding costs little, and vectors come back in the order of the
//! texts. Padding is not seen and not counted, so that a vector does not depend on what else is in its batch but for rounding.

use std::path::Path;

use burn::tensor::{Device, Int, Tensor, TensorData};
use electra_data::{ImportOptions, Imported, Tokenizer};
use electra_kernels::read;
use electra_kernels::side_by_side::{self, side_by_side};
use electra_model::{Alias, Encoder, EncoderInput, Layout};

use crate::error::{During, Error, Result};
use crate::exchange::hugging_face::{self, ENCODER};
use crate::host;

/// Tokens of a batch, padding included, where batches are read side by side: few enough to stay in a core's cache.
const BATCH_TOKENS_OF_A_THREAD: usize = 1024;
/// The same where one batch is read at a time: enough for a card.
const BATCH_TOKENS: usize = 16_384;

/// What a text's vector is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pooling {
    /// The mean over its tokens, [CLS] and [SEP] included.
    #[default]
    Mean,
    /// The hidden state of [CLS].
    Cls,
}

/// Vectors of texts.
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings {
    /// Numbers of a vector: the encoder's hidden size.
    pub width: usize,
    /// One vector after the other, in the order of the texts.
    pub values: Vec<f32>,
    /// Texts that were longer than the encoder reads, and so were cut.
    pub truncated: usize,
}

/// An encoder with its tokenizer.
pub struct Embedder {
    tokenizer: Tokenizer,
    /// What its user should know of the network and the tokenizer.
    pub notices: Vec<String>,
    encoder: Encoder,
    device: Device,
    max_length: usize,
}

impl Embedder {
    /// Loads the encoder of the network in `folder`, of whatever class.
    ///
    /// # Errors
    /// The folder is not a network that [`hugging_face::import_encoder`] takes, with its tokenizer.
    pub fn load(folder: &Path, device: &Device) -> Result<Self> {
        let imported = hugging_face::import_encoder(folder)?;
        let mut notices = imported.notices;
        let network = imported.network;
        let Imported { tokenizer, notices: of_tokenizer } = Tokenizer::import(folder, &ImportOptions::default())?;
        notices.extend(of_tokenizer);
        hugging_face::check_tokenizer_fits(&tokenizer, &network.config, folder)?;
        let max_length = network.config.max_position_embeddings;
        if max_length < 3 {
            let problem = format!("max_position_embeddings is {max_length}");
            return Err(Error::invalid(folder, problem, "a token needs 3, [CLS] and [SEP] included"));
        }
        let layout = Layout::new(network.architecture.specs(&network.config), Vec::<Alias>::new());
        let parameters = host::parameters_from_host(&layout, network.tensors, folder, device)?;
        let encoder = Encoder::bind(&network.config, &parameters, ENCODER);
        Ok(Self { tokenizer, notices, encoder, device: device.clone(), max_length })
    }

    /// The same, cutting texts after `max_length` tokens, [CLS] and [SEP] included; no more than the encoder has positions for.
    #[must_use]
    pub fn with_max_length(mut self, max_length: usize) -> Self {
        self.max_length = max_length.clamp(3, self.encoder.config().max_position_embeddings);
        self
    }

    /// The vectors of `texts`.
    ///
    /// # Errors
    /// The device failed.
    pub fn embed<Text: AsRef<str>>(&self, texts: &[Text], pooling: Pooling) -> Result<Embeddings> {
        let special = self.tokenizer.special();
        let room = self.max_length - 2;
        let mut truncated = 0;
        let framed: Vec<Vec<u32>> = texts
            .iter()
            .map(|text| {
                let ids = self.tokenizer.encode(text.as_ref());
                truncated += usize::from(ids.len() > room);
                [special.cls].into_iter().chain(ids.into_iter().take(room)).chain([special.sep]).collect()
            })
            .collect();
        let width = self.encoder.config().hidden_size;
        let mut values = vec![0.0; texts.len() * width];
        let lengths: Vec<usize> = framed.iter().map(Vec::len).collect();
        let has_threads = side_by_side::width(&self.device) > 1;
        let batches = batches(&lengths, if has_threads { BATCH_TOKENS_OF_A_THREAD } else { BATCH_TOKENS });
        let run = |batch: &Vec<usize>| {
            let rows: Vec<&[u32]> = batch.iter().map(|&text| framed[text].as_slice()).collect();
            self.pool(&rows, pooling)
        };
        // All at once where each has a thread of its own: what is kept of a batch are its vectors.
        let at_a_time = if has_threads { batches.len() } else { 1 };
        for wave in batches.chunks(at_a_time.max(1)) {
            for (batch, vectors) in wave.iter().zip(side_by_side(wave, run)) {
                let vectors = read::floats(&vectors).during("embedding texts")?;
                for (&text, vector) in batch.iter().zip(vectors.chunks(width)) {
                    values[text * width..][..width].copy_from_slice(vector);
                }
            }
        }
        Ok(Embeddings { width, values, truncated })
    }

    /// `[rows, hidden]`.
    fn pool(&self, rows: &[&[u32]], pooling: Pooling) -> Tensor<2> {
        let (batch, seq) = (rows.len(), rows.iter().map(|row| row.len()).max().unwrap_or(0));
        let padding = self.tokenizer.special().pad as i32;
        let padded = |of_token: &dyn Fn(u32) -> i32, rest: i32| -> Vec<i32> {
            let row = |row: &&[u32]| {
                let tokens: Vec<i32> = row.iter().map(|&id| of_token(id)).collect();
                tokens.into_iter().chain(std::iter::repeat(rest)).take(seq).collect::<Vec<i32>>()
            };
            rows.iter().flat_map(row).collect()
        };
        let integers = |values: Vec<i32>| -> Tensor<2, Int> {
            Tensor::from_data(TensorData::new(values, [batch, seq]), &self.device)
        };
        let mask = integers(padded(&|_| 1, 0)).float();
        let input = EncoderInput {
            ids: integers(padded(&|id| id as i32, padding)),
            token_type_ids: Tensor::zeros([batch, seq], &self.device),
            attention_mask: mask.clone(),
        };
        let hidden = self.encoder.forward(&input, None).last_hidden;
        let width = self.encoder.config().hidden_size;
        let hidden = hidden.reshape([batch, seq, width]);
        match pooling {
            Pooling::Cls => hidden.slice([0..batch, 0..1]).reshape([batch, width]),
            Pooling::Mean => {
                let counts = mask.clone().sum_dim(1);
                let sum: Tensor<3> = (hidden * mask.reshape([batch, seq, 1])).sum_dim(1);
                sum.reshape([batch, width]) / counts
            }
        }
    }
}

/// Numbers of texts in batches of at most `tokens` tokens when padded to the longest, but never empty; texts of like lengths
/// together, the longest first.
fn batches(lengths: &[usize], tokens: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&text| (std::cmp::Reverse(lengths[text]), text));
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for text in order {
        match batches.last_mut() {
            Some(batch) if (batch.len() + 1) * lengths[batch[0]] <= tokens => batch.push(text),
            _ => batches.push(vec![text]),
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_hold_every_text_once_and_little_padding() {
        let lengths: Vec<usize> = (0..500).map(|i| 3 + i * 7919 % 126).collect();
        let batches = batches(&lengths, 1024);
        let mut all: Vec<usize> = batches.concat();
        all.sort_unstable();
        assert_eq!(all, (0..500).collect::<Vec<_>>());
        let padded: usize = batches.iter().map(|batch| batch.len() * lengths[batch[0]]).sum();
        assert!(batches.iter().all(|batch| batch.len() * lengths[batch[0]] <= 1024));
        let tokens: usize = lengths.iter().sum();
        assert!(padded * 100 < tokens * 110, "{padded} with padding, {tokens} without");
        assert_eq!(super::batches(&[5000, 3], 1024), [vec![0], vec![1]]);
        assert!(super::batches(&[], 1024).is_empty());
    }
}
