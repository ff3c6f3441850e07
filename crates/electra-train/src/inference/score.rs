//! How likely a text is, by a pre-trained network: for ranking what a speech recogniser or a translator offers.
//!
//! A causal network gives the logarithm of a probability, the sum over the text's tokens of log p(token | what is before it). The
//! others give a pseudo-log-likelihood, the sum of log p(token | all others): of a masked-language model with each token
//! masked in turn (Salazar et al. 2020), of a permutation network from its query stream, and of Electric up to a constant,
//! in a single pass (Clark et al. 2020, EMNLP). [CLS] and [SEP] are read, and not counted.

use std::path::Path;

use burn::tensor::{Device, Int, Tensor, TensorData};
use electra_data::{Imported, Tokenizer};
use electra_kernels::{Visibility, gather_positions, read, token_log_probabilities};
use electra_model::encoder::QueryStream;
use electra_model::{Discriminator, EncoderInput, Generator};
use serde::Serialize;

use super::load;
use crate::error::{During, Error, Result};
use crate::exchange::hugging_face::Architecture;

/// Texts with one token hidden that are read at a time.
const ROWS: usize = 32;

/// How a network says how likely a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Likelihood {
    /// From what is before it: `ElectraForCausalLM`.
    Causal,
    /// From all others, with [MASK] in its place: `ElectraForMaskedLM`.
    Masked,
    /// From all others, by a query stream: a permutation network.
    Permutation,
    /// From all others, as minus its energy: an Electric discriminator.
    Electric,
}

impl Likelihood {
    /// That of networks which were trained with the objective `name`; `None` where they do not say how likely a token is.
    pub fn of_objective(name: &str) -> Option<Self> {
        match name {
            "causal" => Some(Self::Causal),
            "mlm" | "bert" | "roberta" | "replace_mlm" => Some(Self::Masked),
            "permutation" => Some(Self::Permutation),
            "electric" => Some(Self::Electric),
            _ => None,
        }
    }

    fn architecture(self) -> Architecture {
        match self {
            Self::Causal => Architecture::CausalLm,
            Self::Masked | Self::Permutation => Architecture::MaskedLm,
            Self::Electric => Architecture::PreTraining,
        }
    }
}

/// What a network says of a text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TextScore {
    /// Tokens of the text, [CLS] and [SEP] not counted.
    pub tokens: usize,
    /// Sum over the tokens, in nats.
    pub log_likelihood: f64,
    /// As the vocabulary has them, each with its part of the sum.
    pub parts: Vec<(String, f32)>,
}

impl TextScore {
    /// By token, for texts of unequal lengths; `None` for a text without any.
    pub fn per_token(&self) -> Option<f64> {
        (self.tokens > 0).then(|| self.log_likelihood / self.tokens as f64)
    }
}

enum Network {
    Vocabulary(Box<Generator>),
    Energy(Box<Discriminator>),
}

/// A network with its tokenizer, ready to score texts.
pub struct Scorer {
    tokenizer: Tokenizer,
    /// What its user should know of the tokenizer.
    pub notices: Vec<String>,
    network: Network,
    likelihood: Likelihood,
    device: Device,
}

impl Scorer {
    /// Loads an exported network that is to be read as `likelihood` says.
    ///
    /// # Errors
    /// The folder is not a network of that class with its tokenizer.
    pub fn load(folder: &Path, likelihood: Likelihood, device: &Device) -> Result<Self> {
        let (config, parameters, Imported { tokenizer, notices }) =
            load(folder.into(), likelihood.architecture(), device)?;
        let network = match likelihood {
            Likelihood::Electric => Network::Energy(Box::new(Discriminator::bind(&config, &parameters, ""))),
            _ => Network::Vocabulary(Box::new(Generator::bind(&config, &parameters, ""))),
        };
        Ok(Self { tokenizer, notices, network, likelihood, device: device.clone() })
    }

    /// Scores `text`.
    ///
    /// # Errors
    /// It is longer than the network's positions; or the device failed.
    pub fn score(&self, text: &str) -> Result<TextScore> {
        let ids = self.tokenizer.encode(text);
        let special = self.tokenizer.special();
        let framed: Vec<u32> = [special.cls].into_iter().chain(ids.iter().copied()).chain([special.sep]).collect();
        let encoder = match &self.network {
            Network::Vocabulary(network) => &network.encoder,
            Network::Energy(network) => &network.encoder,
        };
        let room = encoder.config().max_position_embeddings;
        if framed.len() > room {
            let problem =
                format!("the text has {} tokens, but the model only {room} positions: shorten it", framed.len());
            return Err(Error::Text(problem));
        }
        let of_tokens = match (&self.network, self.likelihood) {
            _ if ids.is_empty() => Vec::new(),
            (Network::Energy(network), _) => {
                let energies = network.forward(&EncoderInput::single(&framed, &self.device), None).neg();
                self.read(&energies)?[1..=ids.len()].to_vec()
            }
            (Network::Vocabulary(network), Likelihood::Causal) => self.causal(network, &framed)?,
            (Network::Vocabulary(network), likelihood) => {
                let mut all = Vec::with_capacity(ids.len());
                let places: Vec<usize> = (1..=ids.len()).collect();
                for places in places.chunks(ROWS) {
                    all.extend(self.hidden(network, &framed, places, likelihood == Likelihood::Permutation)?);
                }
                all
            }
        };
        let name = |id: u32| self.tokenizer.token(id).unwrap_or_default();
        Ok(TextScore {
            tokens: ids.len(),
            log_likelihood: of_tokens.iter().map(|&part| f64::from(part)).sum(),
            parts: ids.iter().map(|&id| name(id)).zip(of_tokens).collect(),
        })
    }

    /// Log-probabilities of all but the first and the last of `framed`, each from those before it.
    fn causal(&self, network: &Generator, framed: &[u32]) -> Result<Vec<f32>> {
        let input = EncoderInput::single(framed, &self.device);
        let visibility = Visibility::backwards(&input.attention_mask);
        let hidden = network.encoder.forward_seeing(&input, &visibility, None).last_hidden;
        let count = framed.len() - 2;
        let rows = network.transform(hidden.slice_dim(0, 0..count));
        self.log_probabilities(network, rows, &framed[1..=count])
    }

    /// Log-probabilities of the tokens at `places`, each from all the others.
    fn hidden(&self, network: &Generator, framed: &[u32], places: &[usize], by_query: bool) -> Result<Vec<f32>> {
        let (rows, seq) = (places.len(), framed.len());
        let mask = self.tokenizer.special().mask as i32;
        let plain = framed.iter().map(|&id| id as i32);
        let ids = |hide: bool| -> Tensor<2, Int> {
            let mut ids: Vec<i32> = plain.clone().cycle().take(rows * seq).collect();
            for (row, place) in places.iter().enumerate().filter(|_| hide) {
                ids[row * seq + place] = mask;
            }
            Tensor::from_data(TensorData::new(ids, [rows, seq]), &self.device)
        };
        let input = |ids| EncoderInput {
            ids,
            token_type_ids: Tensor::zeros([rows, seq], &self.device),
            attention_mask: Tensor::ones([rows, seq], &self.device),
        };
        let positions: Vec<i32> = places.iter().map(|&place| place as i32).collect();
        let positions: Tensor<2, Int> = Tensor::from_data(TensorData::new(positions, [rows, 1]), &self.device);
        let states = if by_query {
            // The token by itself has rank 1: nobody else sees it, and its query sees all the others.
            let ranks = (0..rows * seq).map(|at| f32::from(u8::from(at % seq == places[at / seq])));
            let ranks = TensorData::new(ranks.collect::<Vec<f32>>(), [rows, seq]);
            let ranks: Tensor<2> = Tensor::from_data(ranks, &self.device);
            let content = input(ids(false));
            let masks = input(Tensor::full([rows, seq], i64::from(mask), &self.device));
            let queries = QueryStream {
                embedded: gather_positions(network.encoder.embed(&masks, None), &positions, seq),
                visibility: Visibility::ranked(
                    &content.attention_mask,
                    ranks.clone(),
                    Tensor::zeros([rows, 1], &self.device),
                ),
                noise: None,
            };
            let visibility = Visibility::ranked(&content.attention_mask, ranks.clone(), ranks);
            network.encoder.two_streams(&content, &visibility, queries, None)
        } else {
            gather_positions(network.encode(&input(ids(true)), None).last_hidden, &positions, seq)
        };
        let targets: Vec<u32> = places.iter().map(|&place| framed[place]).collect();
        self.log_probabilities(network, network.transform(states), &targets)
    }

    fn log_probabilities(&self, network: &Generator, rows: Tensor<2>, targets: &[u32]) -> Result<Vec<f32>> {
        let (table, bias) = network.output();
        let targets: Vec<i32> = targets.iter().map(|&id| id as i32).collect();
        let targets = TensorData::new(targets.clone(), [targets.len()]);
        self.read(&token_log_probabilities(rows, table, bias, Tensor::from_data(targets, &self.device)))
    }

    fn read<const D: usize>(&self, values: &Tensor<D>) -> Result<Vec<f32>> {
        read::floats(values).during("scoring the text")
    }
}
