//! How a network is trained: `run.toml`.
//!
//! The types, their defaults and the ranges of their values. `resolve` makes one from a preset, a file and
//! `--set`; what results is written to the run's folder whole, and reading that file back gives the same run.

#[cfg(feature = "native")]
mod files;
mod path_text;
mod resolve;
pub mod settings;

use std::fmt;
use std::path::PathBuf;

use electra_kernels::Precision;
use electra_model::objective::{self, NetworkPlan, ObjectiveConfig};
use electra_model::{ConfigError, ElectraConfig, Neighbours, PretrainingConfig, Sharing};
use serde::de::Unexpected;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[cfg(feature = "native")]
pub use files::{RUN_CONFIG, resolve_with_file};
pub use resolve::{DEFAULT_PRESET, RunConfigError, key_paths, preset_names, resolve};
pub use settings::Difference;

/// A resolved `run.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunConfig {
    /// The preset that everything not said otherwise came from.
    pub preset: String,
    /// `auto` (a GPU, else the CPU), `cpu`, `gpu` (the best adapter) or `gpu:N`.
    pub device: String,
    /// Decides initial weights, masks, order, dropout and sampling.
    pub seed: u64,
    pub model: ModelConfig,
    pub data: DataConfig,
    pub train: TrainConfig,
    pub objective: ObjectiveConfig,
}

/// Sizes of the discriminator in [`ElectraConfig`]'s names, and how the generator follows from them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelConfig {
    /// Taken from the data's tokenizer when training starts; a preset's value is the vocabulary to build.
    pub vocab_size: usize,
    pub embedding_size: usize,
    pub hidden_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub intermediate_size: usize,
    pub max_position_embeddings: usize,
    pub type_vocab_size: usize,
    pub hidden_dropout_prob: f64,
    pub attention_probs_dropout_prob: f64,
    pub layer_norm_eps: f64,
    pub initializer_range: f64,
    /// Width of the generator as a fraction of the discriminator's.
    pub generator_size: f64,
    /// Layers of the generator as a fraction of the discriminator's.
    pub generator_depth: f64,
    pub sharing: Sharing,
    /// First values of the position tables, and of the attention that reads them.
    pub position_initializer: PositionInitializer,
}

/// First values of the position tables, and of the attention that reads them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PositionInitializer {
    /// The reference's: truncated normal, as all tables.
    #[default]
    Normal,
    /// Sines and cosines of the position, trained on from there: nearby positions look alike from the start, so that
    /// attention to neighbours need not be learnt for each position by itself.
    Sinusoidal,
    /// Sines and cosines that tell neighbours apart, in columns of their own, and a first layer of the discriminator
    /// whose heads look at the tokens beside each ([`Neighbours`]). For short runs (docs/LOG.md, 2026-11-25).
    Neighbours,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// Folder of shards; empty: the command's own choice.
    #[serde(with = "path_text")]
    pub dir: PathBuf,
    /// Share of tokens that the generator must predict.
    pub masking_probability: f64,
    /// Reproduces the reference where it is known to be wrong (duplicate positions, dropped overflow).
    pub paper_exact: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    pub steps: u64,
    /// Sequences per update.
    pub batch_size: usize,
    /// Sequences per forward pass; `"auto"` finds what fits, once, and is replaced by the number found.
    pub micro_batch: MicroBatch,
    /// Keep each encoder layer's input alone for the backward pass, on a graphics adapter: less memory, more time.
    pub recompute: bool,
    /// What matrix products on a graphics adapter read: `"f16"` rounds it to half precision. Weights, sums and all else stay
    /// in f32.
    pub precision: Precision,
    /// Tokens per sequence, [CLS] and [SEP] included.
    pub sequence_length: usize,
    /// Peak of the schedule.
    pub learning_rate: f64,
    pub warmup_steps: u64,
    pub weight_decay: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub epsilon: f64,
    /// Off in the reference: its Adam does not correct the moments' bias.
    pub bias_correction: bool,
    /// Greatest global norm of the gradient.
    pub clip_norm: f64,
    /// Steps between checkpoints.
    pub checkpoint_every: u64,
    /// Checkpoints that stay on disk.
    pub keep: usize,
    /// Steps between validations; 0: none.
    pub validate_every: u64,
    pub validation_batches: u64,
    /// Steps between rows of metrics.jsonl.
    pub log_every: u64,
    /// Non-finite steps in a row that end the run.
    pub max_nonfinite_in_a_row: u64,
}

/// Sequences per forward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MicroBatch {
    #[default]
    Auto,
    Size(usize),
}

impl Serialize for MicroBatch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Size(size) => serializer.serialize_u64(*size as u64),
        }
    }
}

impl<'de> Deserialize<'de> for MicroBatch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Raw {
            Size(usize),
            Word(String),
        }
        match Raw::deserialize(deserializer)? {
            Raw::Size(size) => Ok(Self::Size(size)),
            Raw::Word(word) if word == "auto" => Ok(Self::Auto),
            Raw::Word(word) => {
                Err(serde::de::Error::invalid_value(Unexpected::Str(&word), &"\"auto\" or a whole number"))
            }
        }
    }
}

impl Default for RunConfig {
    /// What stands where a preset says nothing; complete, so that it is the schema too.
    fn default() -> Self {
        Self {
            preset: DEFAULT_PRESET.to_owned(),
            device: "auto".to_owned(),
            seed: 0,
            model: ModelConfig::default(),
            data: DataConfig::default(),
            train: TrainConfig::default(),
            objective: ObjectiveConfig::default(),
        }
    }
}

impl Default for ModelConfig {
    fn default() -> Self {
        let network = ElectraConfig::default();
        Self {
            vocab_size: network.vocab_size,
            embedding_size: network.embedding_size,
            hidden_size: network.hidden_size,
            num_hidden_layers: network.num_hidden_layers,
            num_attention_heads: network.num_attention_heads,
            intermediate_size: network.intermediate_size,
            max_position_embeddings: network.max_position_embeddings,
            type_vocab_size: network.type_vocab_size,
            hidden_dropout_prob: network.hidden_dropout_prob,
            attention_probs_dropout_prob: network.attention_probs_dropout_prob,
            layer_norm_eps: network.layer_norm_eps,
            initializer_range: network.initializer_range,
            generator_size: 0.25,
            generator_depth: 1.0,
            sharing: Sharing::Embeddings,
            position_initializer: PositionInitializer::Normal,
        }
    }
}

impl Default for DataConfig {
    fn default() -> Self {
        Self { dir: PathBuf::new(), masking_probability: 0.15, paper_exact: false }
    }
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            steps: 1_000_000,
            batch_size: 128,
            micro_batch: MicroBatch::Auto,
            recompute: false,
            precision: Precision::F32,
            sequence_length: 128,
            learning_rate: 5e-4,
            warmup_steps: 10_000,
            weight_decay: 0.01,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-6,
            bias_correction: false,
            clip_norm: 1.0,
            checkpoint_every: 1000,
            keep: 3,
            validate_every: 1000,
            validation_batches: 16,
            log_every: 100,
            max_nonfinite_in_a_row: 10,
        }
    }
}

impl ModelConfig {
    /// The discriminator, or the only network of an objective that has one.
    pub fn discriminator(&self) -> ElectraConfig {
        ElectraConfig {
            vocab_size: self.vocab_size,
            embedding_size: self.embedding_size,
            hidden_size: self.hidden_size,
            num_hidden_layers: self.num_hidden_layers,
            num_attention_heads: self.num_attention_heads,
            intermediate_size: self.intermediate_size,
            max_position_embeddings: self.max_position_embeddings,
            type_vocab_size: self.type_vocab_size,
            hidden_dropout_prob: self.hidden_dropout_prob,
            attention_probs_dropout_prob: self.attention_probs_dropout_prob,
            layer_norm_eps: self.layer_norm_eps,
            initializer_range: self.initializer_range,
            ..ElectraConfig::default()
        }
    }

    /// Both networks and what they share.
    pub fn networks(&self) -> PretrainingConfig {
        let discriminator = self.discriminator();
        let mut networks =
            PretrainingConfig::new(discriminator.clone(), self.generator_size, self.generator_depth, self.sharing);
        if self.sharing == Sharing::All {
            // One encoder: its declared heads and feed-forward width, not those that follow from a fraction.
            networks.generator = discriminator;
        }
        networks
    }
}

/// What a number must be that is above 0 in 32 bits, too.
const POSITIVE: &str = "above 0 and finite (1e-38 to 3e38)";

impl RunConfig {
    /// The networks that the run trains, the one to keep first.
    ///
    /// # Panics
    /// If no objective has this name, which checked configurations do not.
    pub fn trained_networks(&self) -> Vec<NetworkPlan> {
        let objective = objective::from_config(&self.objective, &self.model.networks());
        objective.expect("checked with the configuration").networks()
    }

    /// The first key out of range, its value and what it must be.
    fn out_of_range(&self) -> Option<(String, String, String)> {
        let Self { model, data, train, objective, .. } = self;
        let mut found = None;
        let mut check = |ok: bool, key: &str, value: &dyn fmt::Display, expected: &str| {
            if !ok && found.is_none() {
                found = Some((key.to_owned(), value.to_string(), expected.to_owned()));
            }
        };
        let device = &self.device;
        let numbered = device.strip_prefix("gpu:").is_some_and(|n| n.parse::<u32>().is_ok());
        check(
            matches!(device.as_str(), "auto" | "cpu" | "gpu") || numbered,
            "device",
            &format!("{device:?}"),
            "\"auto\", \"cpu\", \"gpu\" or \"gpu:N\" with the number of an adapter (see \"electra devices\")",
        );
        match model.discriminator().validate() {
            Ok(()) => {}
            Err(ConfigError::Value { field, value, expected }) => {
                check(false, &format!("model.{field}"), &value, expected);
            }
            Err(error @ ConfigError::Heads { .. }) => check(
                false,
                "model.num_attention_heads",
                &model.num_attention_heads,
                &format!("a divisor of hidden_size ({error})"),
            ),
        }
        let fraction = |value: f64| value > 0.0 && value <= 1.0;
        check(fraction(model.generator_size), "model.generator_size", &model.generator_size, "above 0, at most 1");
        check(fraction(model.generator_depth), "model.generator_depth", &model.generator_depth, "above 0, at most 1");
        check(
            model.sharing != Sharing::All || (model.generator_size == 1.0 && model.generator_depth == 1.0),
            "model.sharing",
            &"\"all\"",
            "\"embeddings\" or \"none\", since a shared encoder needs generator_size = 1.0 and generator_depth = 1.0",
        );
        check(
            model.position_initializer != PositionInitializer::Neighbours
                || Neighbours::new(&model.discriminator()).is_some(),
            "model.position_initializer",
            &"\"neighbours\"",
            "\"normal\" or \"sinusoidal\" where embedding_size is not hidden_size or a head is one column wide",
        );
        let probability = data.masking_probability;
        check(probability > 0.0 && probability < 1.0, "data.masking_probability", &probability, "between 0 and 1");

        check(train.steps >= 1, "train.steps", &train.steps, "at least 1");
        check(train.batch_size >= 1, "train.batch_size", &train.batch_size, "at least 1");
        if let MicroBatch::Size(size) = train.micro_batch {
            let expected = format!("\"auto\" or 1 to train.batch_size, which is {}", train.batch_size);
            check((1..=train.batch_size).contains(&size), "train.micro_batch", &size, &expected);
        }
        check(
            (8..=model.max_position_embeddings).contains(&train.sequence_length),
            "train.sequence_length",
            &train.sequence_length,
            &format!("8 to model.max_position_embeddings, which is {}", model.max_position_embeddings),
        );
        // As the kernels take it, in 32 bits.
        let positive = |value: f64| value as f32 > 0.0 && (value as f32).is_finite();
        check(positive(train.learning_rate), "train.learning_rate", &train.learning_rate, POSITIVE);
        check(
            train.warmup_steps <= train.steps,
            "train.warmup_steps",
            &train.warmup_steps,
            &format!("at most train.steps, which is {}", train.steps),
        );
        let below_one = |value: f64| (0.0..1.0).contains(&value);
        check(below_one(train.weight_decay), "train.weight_decay", &train.weight_decay, "at least 0 and below 1");
        check(below_one(train.beta1), "train.beta1", &train.beta1, "at least 0 and below 1");
        check(below_one(train.beta2), "train.beta2", &train.beta2, "at least 0 and below 1");
        check(positive(train.epsilon), "train.epsilon", &train.epsilon, POSITIVE);
        check(positive(train.clip_norm), "train.clip_norm", &train.clip_norm, POSITIVE);
        check(train.checkpoint_every >= 1, "train.checkpoint_every", &train.checkpoint_every, "at least 1");
        check(train.keep >= 1, "train.keep", &train.keep, "at least 1");
        check(train.validation_batches >= 1, "train.validation_batches", &train.validation_batches, "at least 1");
        check(train.log_every >= 1, "train.log_every", &train.log_every, "at least 1");
        let in_a_row = train.max_nonfinite_in_a_row;
        check(in_a_row >= 1, "train.max_nonfinite_in_a_row", &in_a_row, "at least 1");

        let name = &objective.name;
        let known = objective::names().join("\" or \"");
        check(
            objective::names().contains(&name.as_str()),
            "objective.name",
            &format!("{name:?}"),
            &format!("\"{known}\""),
        );
        let weight = |value: f64| value >= 0.0 && (value as f32).is_finite();
        for (key, value) in [
            ("objective.generator_loss_weight", objective.generator_loss_weight),
            ("objective.discriminator_loss_weight", objective.discriminator_loss_weight),
        ] {
            check(weight(value), key, &value, "at least 0 and finite (at most 3e38)");
        }
        check(positive(objective.temperature), "objective.temperature", &objective.temperature, POSITIVE);
        found
    }

    /// Checks the ranges again, for a value that code has changed.
    ///
    /// # Errors
    /// The first key out of range.
    pub fn validate(&self) -> Result<(), RunConfigError> {
        match self.out_of_range() {
            None => Ok(()),
            Some((key, value, expected)) => {
                Err(RunConfigError::Range { at: "run configuration".to_owned(), key, value, expected })
            }
        }
    }

    /// The resolved file.
    pub fn to_toml(&self) -> String {
        let body = toml::to_string_pretty(self).expect("a run configuration is valid TOML");
        format!("# The resolved configuration of this run: preset, file and --set, in one.\n\n{body}")
    }
}
