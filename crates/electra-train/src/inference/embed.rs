//! A vector a text: the mean of an encoder's last hidden states, or that of [CLS].
//!
//! Texts are read in batches of about equal lengths, so that padding costs little, and vectors come back in the order of the
//! texts. Padding is not seen and not counted, so that a vector does not depend on what else is in its batch but for rounding.

use std::path::Path;

use burn::tensor::{Device, Tensor};
use electra_data::{ImportOptions, Imported, Tokenizer};
use electra_kernels::read;
use electra_kernels::side_by_side;
use electra_model::{Alias, Encoder, Layout};
use electra_task::batch::TaskBatch;
use electra_task::encode::{EncodeOptions, Encoded, encode};
use electra_task::{Example, Input, Kind, Target};

use crate::error::{During, Error, Result};
use crate::exchange::hugging_face::{self, ENCODER};
use crate::finetuning::head::input_of;
use crate::finetuning::read::reading;
use crate::host;

/// Any kind of task whose examples are texts: nothing is asked of it.
const KIND: Kind = Kind::Regression { scale: 1.0 };

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
        let example = |text: &Text| Example {
            id: String::new(),
            input: Input::Text(text.as_ref().to_owned()),
            target: Target::Unknown,
        };
        let examples: Vec<Example> = texts.iter().map(example).collect();
        let options = EncodeOptions { max_length: self.max_length, ..EncodeOptions::default() };
        let Encoded { features, cut, .. } = encode(&examples, &KIND, &self.tokenizer, &options)?;
        let width = self.encoder.config().hidden_size;
        let mut values = vec![0.0; texts.len() * width];
        let lengths: Vec<usize> = features.iter().map(|feature| feature.ids.len()).collect();
        let (order, at_a_time) = reading(&lengths, &self.device);
        let special = self.tokenizer.special();
        let run = |numbers: &Vec<usize>| self.pool(&TaskBatch::new(&features, numbers, &KIND, &[], special), pooling);
        for wave in order.chunks(at_a_time) {
            for (batch, vectors) in wave.iter().zip(side_by_side(wave, run)) {
                let vectors = read::floats(&vectors).during("embedding texts")?;
                for (&text, vector) in batch.iter().zip(vectors.chunks(width)) {
                    values[text * width..][..width].copy_from_slice(vector);
                }
            }
        }
        Ok(Embeddings { width, values, truncated: cut as usize })
    }

    /// `[rows, hidden]`.
    fn pool(&self, batch: &TaskBatch, pooling: Pooling) -> Tensor<2> {
        let input = input_of(batch, &self.device);
        let (rows, seq, width) = (batch.rows, batch.seq, self.encoder.config().hidden_size);
        let mask = input.attention_mask.clone();
        let hidden = self.encoder.forward(&input, None).last_hidden.reshape([rows, seq, width]);
        match pooling {
            Pooling::Cls => hidden.slice([0..rows, 0..1]).reshape([rows, width]),
            Pooling::Mean => {
                let counts = mask.clone().sum_dim(1);
                let sum: Tensor<3> = (hidden * mask.reshape([rows, seq, 1])).sum_dim(1);
                sum.reshape([rows, width]) / counts
            }
        }
    }
}
