//! How a network is trained: `run.toml`.
//!
//! The types and their defaults; `range` has the ranges of their values. `resolve` makes one from a preset, a file and
//! `--set`; what results is written to the run's folder whole, and reading that file back gives the same run.

#[cfg(feature = "native")]
mod files;
mod path_text;
mod range;
mod resolve;
pub(crate) mod settings;

use std::path::PathBuf;

use electra_data::MaskingConfig;
use electra_kernels::Precision;
use electra_model::objective::{self, NetworkPlan, ObjectiveConfig};
use electra_model::{ElectraConfig, MaskingPolicy, Objective, PretrainingConfig, Sharing};
use serde::de::Unexpected;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[cfg(feature = "native")]
pub use files::resolve_with_file;
pub use resolve::{DEFAULT_PRESET, RunConfigError, key_paths, preset_names, resolve};
pub use settings::{Change, Difference};

use crate::step::optimizer::AdamConfig;

/// Name of the resolved configuration in a run's folder.
pub const RUN_CONFIG: &str = "run.toml";

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
    /// The networks.
    pub model: ModelConfig,
    /// The text and its masks.
    pub data: DataConfig,
    /// Steps and optimizer.
    pub train: TrainConfig,
    /// What is learnt.
    pub objective: ObjectiveConfig,
    /// What is looked at on the way.
    pub probe: ProbeConfig,
}

/// Sizes of the discriminator in [`ElectraConfig`]'s names, and how the generator follows from them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelConfig {
    /// Taken from the data's tokenizer when training starts; a preset's value is the vocabulary to build.
    pub vocab_size: usize,
    /// Width of the word table.
    pub embedding_size: usize,
    /// Width of a layer.
    pub hidden_size: usize,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Heads of a layer, among which its width is divided.
    pub num_attention_heads: usize,
    /// Width of the feed-forward part.
    pub intermediate_size: usize,
    /// Rows of the position table: the longest sequence.
    pub max_position_embeddings: usize,
    /// Segments that are told apart.
    pub type_vocab_size: usize,
    /// Dropout behind embeddings, attention and feed-forward part.
    pub hidden_dropout_prob: f64,
    /// Dropout of attention's weights.
    pub attention_probs_dropout_prob: f64,
    /// Added to the variance.
    pub layer_norm_eps: f64,
    /// Standard deviation of first values.
    pub initializer_range: f64,
    /// Width of the generator as a fraction of the discriminator's.
    pub generator_size: f64,
    /// Layers of the generator as a fraction of the discriminator's.
    pub generator_depth: f64,
    /// Heads of a layer of the generator; 0: as wide as the discriminator's, as the reference has them.
    pub generator_heads: usize,
    /// What both networks have in common.
    pub sharing: Sharing,
    /// First values of the position tables, and of the attention that reads them.
    pub position_initializer: PositionInitializer,
    /// First values of the discriminator's word table and of what reads it.
    pub word_initializer: WordInitializer,
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
    /// The same for the generator, too, which then proposes words instead of the most frequent tokens within minutes; with tables
    /// of its own (`model.sharing = "none"`), lest it learn faster than the discriminator can follow (docs/LOG.md, 2026-11-27).
    #[serde(rename = "neighbours_in_both")]
    NeighboursInBoth,
}

impl PositionInitializer {
    /// Whether a network looks at neighbours from the start.
    pub fn has_neighbours(self) -> bool {
        matches!(self, Self::Neighbours | Self::NeighboursInBoth)
    }
}

/// First values of the discriminator's word table and of what reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WordInitializer {
    /// The reference's: truncated normal.
    #[default]
    Normal,
    /// Those of a small detector that reads the text first, within minutes, and learns which words go together
    /// ([`electra_model::context_detector`]). For short runs (docs/LOG.md, 2026-11-27).
    ContextDetector,
}

/// The text and its masks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// Folder of shards; empty: the command's own choice.
    #[serde(with = "path_text")]
    pub dir: PathBuf,
    /// Share of tokens that the generator must predict.
    pub masking_probability: f64,
    /// What stands at the chosen positions.
    pub masking: MaskingName,
    /// Reproduces the reference where it is known to be wrong (duplicate positions, dropped overflow).
    pub paper_exact: bool,
}

/// How text is masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MaskingName {
    /// As the objective's paper does.
    #[default]
    Objective,
    /// [`MaskingPolicy::ELECTRA`].
    Electra,
    /// [`MaskingPolicy::BERT`].
    Bert,
    /// [`MaskingPolicy::ROBERTA`].
    Roberta,
}

/// Steps and optimizer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Updates of the whole run.
    pub steps: u64,
    /// What the run may cost, `"2e16 FLOPs"` or `"10m"`: [`TrainConfig::steps`] is then as many as that pays for, found once when
    /// the run begins. Empty: steps count.
    pub budget: String,
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
    /// Steps in which the rate rises to its peak.
    pub warmup_steps: u64,
    /// Decoupled from the gradient; not applied to LayerNorm and biases.
    pub weight_decay: f64,
    /// Of Adam's first moment.
    pub beta1: f64,
    /// Of Adam's second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
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
    /// Batches of held-out text at most.
    pub validation_batches: u64,
    /// Steps between rows of metrics.jsonl.
    pub log_every: u64,
    /// Non-finite steps in a row that end the run.
    pub max_nonfinite_in_a_row: u64,
}

/// A small task that a copy of the network to keep is fine-tuned on while it is pre-trained ([`crate::pretraining::Probe`]).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProbeConfig {
    /// Steps between probes; 0: none.
    pub every: u64,
    /// As `electra finetune --task` has it.
    pub task: String,
    /// The task's folder or file.
    #[serde(with = "path_text")]
    pub data: PathBuf,
    /// Times that the task's training set is read.
    pub epochs: f64,
    /// At most so many examples to train on; 0: all.
    pub limit: usize,
    /// Examples of a step.
    pub batch_size: usize,
    /// Peak of the schedule; 0: the paper's for a network of this size.
    pub learning_rate: f64,
}

/// Sequences per forward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MicroBatch {
    #[default]
    /// What fits, by estimate.
    Auto,
    /// So many.
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
            probe: ProbeConfig::default(),
        }
    }
}

impl Default for ProbeConfig {
    /// None.
    fn default() -> Self {
        let (task, data) = (String::new(), PathBuf::new());
        Self { every: 0, task, data, epochs: 1.0, limit: 2000, batch_size: 32, learning_rate: 0.0 }
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
            generator_heads: 0,
            sharing: Sharing::Embeddings,
            position_initializer: PositionInitializer::Normal,
            word_initializer: WordInitializer::Normal,
        }
    }
}

impl Default for DataConfig {
    fn default() -> Self {
        Self { dir: PathBuf::new(), masking_probability: 0.15, masking: MaskingName::Objective, paper_exact: false }
    }
}

impl Default for TrainConfig {
    fn default() -> Self {
        let adam = AdamConfig::default();
        Self {
            steps: 1_000_000,
            budget: String::new(),
            batch_size: 128,
            micro_batch: MicroBatch::Auto,
            recompute: false,
            precision: Precision::F32,
            sequence_length: 128,
            learning_rate: 5e-4,
            warmup_steps: 10_000,
            weight_decay: adam.weight_decay,
            beta1: adam.beta1,
            beta2: adam.beta2,
            epsilon: adam.epsilon,
            bias_correction: adam.bias_correction,
            clip_norm: adam.clip_norm,
            checkpoint_every: 1000,
            keep: 3,
            validate_every: 1000,
            validation_batches: 16,
            log_every: 100,
            max_nonfinite_in_a_row: 10,
        }
    }
}

impl From<&TrainConfig> for AdamConfig {
    fn from(train: &TrainConfig) -> Self {
        Self {
            beta1: train.beta1,
            beta2: train.beta2,
            epsilon: train.epsilon,
            weight_decay: train.weight_decay,
            bias_correction: train.bias_correction,
            clip_norm: train.clip_norm,
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
        } else if self.generator_heads > 0 {
            networks.generator.num_attention_heads = self.generator_heads;
        }
        networks
    }
}

impl RunConfig {
    /// What the run learns.
    ///
    /// # Panics
    /// If there is no such objective, or it does not go with [model], which checked configurations do not say.
    pub fn make_objective(&self) -> Box<dyn Objective> {
        objective::from_config(&self.objective, &self.model.networks()).expect("checked with the configuration")
    }

    /// Replaces what follows from the number of steps by numbers: half of them where two stages are not said otherwise, so that
    /// a longer run does not change what has been.
    pub fn settle_phases(&mut self) {
        let two_stage = &mut self.objective.two_stage;
        if two_stage.generator_steps == 0 {
            two_stage.generator_steps = self.train.steps / 2;
        }
    }

    /// The networks that the run trains, the one to keep first.
    ///
    /// # Panics
    /// As [`RunConfig::make_objective`].
    pub fn trained_networks(&self) -> Vec<NetworkPlan> {
        self.make_objective().networks()
    }

    /// How positions are chosen, and what stands there.
    ///
    /// # Panics
    /// As [`RunConfig::make_objective`].
    pub fn masking(&self) -> MaskingConfig {
        let policy = match self.data.masking {
            MaskingName::Objective => self.make_objective().masking(),
            MaskingName::Electra => MaskingPolicy::ELECTRA,
            MaskingName::Bert => MaskingPolicy::BERT,
            MaskingName::Roberta => MaskingPolicy::ROBERTA,
        };
        MaskingConfig {
            probability: self.data.masking_probability,
            paper_exact: self.data.paper_exact,
            replacement: policy.replacement,
            distinct_epochs: policy.distinct_epochs,
        }
    }

    /// The resolved file. Of the objectives' tables it has the one that counts.
    pub fn to_toml(&self) -> String {
        let mut table = toml::Table::try_from(self).expect("a run configuration is valid TOML");
        let objective = table["objective"].as_table_mut().expect("a section");
        objective.retain(|key, value| !value.is_table() || *key == self.objective.name);
        if self.probe == ProbeConfig::default() {
            table.remove("probe");
        }
        let body = toml::to_string_pretty(&table).expect("a run configuration is valid TOML");
        format!("# The resolved configuration of this run: preset, file and --set, in one.\n\n{body}")
    }
}
