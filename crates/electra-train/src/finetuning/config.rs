//! How a network is fine-tuned: `finetune.toml`.

use std::collections::BTreeMap;

use electra_kernels::Precision;
use electra_model::ElectraConfig;
use electra_model::head::HeadStyle;
use electra_task::encode::{EncodeOptions, LongTexts};
use serde::{Deserialize, Serialize};

use crate::step::optimizer::AdamConfig;
use crate::step::schedule::LayerwiseExponent;

/// Name of the configuration in a fine-tuning's folder.
pub const FINETUNE_CONFIG: &str = "finetune.toml";

/// Everything that decides what is learnt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FineTuneConfig {
    /// The task's name.
    pub task: String,
    /// Whose head.
    pub head: HeadStyle,
    /// Decides the head's first values, the order and dropout.
    pub seed: u64,
    /// Times that the training set is read; parts of one count.
    pub epochs: f64,
    /// Examples of a step.
    pub batch_size: usize,
    /// Examples of a forward pass; 0: as many as run side by side best.
    pub micro_batch: usize,
    /// Peak of the schedule.
    pub learning_rate: f64,
    /// Share of the steps in which the rate rises.
    pub warmup: f64,
    /// Each layer learns so much as fast as the one above it; 1: all alike.
    pub layer_decay: f64,
    /// Which exponent that has.
    pub layer_decay_exponent: LayerwiseExponent,
    /// Decoupled from the gradient; not applied to LayerNorm and biases.
    pub weight_decay: f64,
    /// Greatest global norm of the gradient.
    pub clip_norm: f64,
    /// Of the encoder and the head.
    pub dropout: f64,
    /// Tokens of an example, [CLS] and [SEP] included.
    pub max_length: usize,
    /// What happens to longer texts.
    pub long_texts: LongTexts,
    /// Of questions: tokens between the beginnings of two windows.
    pub stride: usize,
    /// Whether rare labels count more, so that all count the same together.
    pub class_weights: bool,
    /// Whether pairs are read in both orders.
    pub both_orders: bool,
    /// At most so many examples to train on; 0: all.
    pub limit: usize,
    /// Evaluations of an epoch.
    pub evaluations_per_epoch: u64,
    /// So many evaluations in a row that are no better end it; 0: none do.
    pub patience: u64,
    /// Begin with random weights in place of the network's.
    pub from_scratch: bool,
    /// Keep each encoder layer's input alone for the backward pass, on a graphics adapter.
    pub recompute: bool,
    /// What matrix products on a graphics adapter read.
    pub precision: Precision,
    /// Steps between rows of metrics.jsonl.
    pub log_every: u64,
    /// Steps between checkpoints; there is one after each evaluation, too, that is the best so far.
    pub checkpoint_every: u64,
    /// Checkpoints that stay beside the best.
    pub keep: usize,
}

impl Default for FineTuneConfig {
    /// The paper's for ELECTRA-Small.
    fn default() -> Self {
        Self {
            task: String::new(),
            head: HeadStyle::Hf,
            seed: 42,
            epochs: 3.0,
            batch_size: 32,
            micro_batch: 0,
            learning_rate: 3e-4,
            warmup: 0.1,
            layer_decay: 0.8,
            layer_decay_exponent: LayerwiseExponent::Intended,
            weight_decay: 0.0,
            clip_norm: 1.0,
            dropout: 0.1,
            max_length: 128,
            long_texts: LongTexts::Cut,
            stride: 128,
            class_weights: false,
            both_orders: false,
            limit: 0,
            evaluations_per_epoch: 1,
            patience: 0,
            from_scratch: false,
            recompute: false,
            precision: Precision::F32,
            log_every: 20,
            checkpoint_every: 500,
            keep: 1,
        }
    }
}

/// A number that no fine-tuning can have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OutOfRange {
    /// Its key.
    pub key: &'static str,
    /// As it was given.
    pub value: f64,
    /// What it may be at least.
    pub least: f64,
    /// What it may be at most.
    pub most: f64,
}

/// Keys that decide how fast something is learnt, and not what.
const FREE: [&str; 3] = ["micro_batch", "recompute", "keep"];

impl FineTuneConfig {
    /// The paper's learning rate and layer-wise decay for a network of this size (table 7 of its appendix B): those of Small up to
    /// Small's width, those of Base up to a little above Base's. A network between the two (hidden 384) does better at Base's rate
    /// (docs/LOG.md, 2026-11-27). Its own dropout, as transformers fine-tunes with: small networks that were pre-trained without any learn
    /// little with it.
    #[must_use]
    pub fn for_network(mut self, config: &ElectraConfig) -> Self {
        (self.learning_rate, self.layer_decay) = match config.hidden_size {
            ..=256 => (3e-4, 0.8),
            257..=900 => (1e-4, 0.8),
            _ => (5e-5, 0.9),
        };
        self.dropout = config.hidden_dropout_prob;
        self
    }

    /// The first number that is out of its range.
    pub fn out_of_range(&self) -> Option<OutOfRange> {
        let ranges = [
            ("epochs", self.epochs, 1e-6, 10_000.0),
            ("batch_size", self.batch_size as f64, 1.0, 65_536.0),
            ("learning_rate", self.learning_rate, 0.0, 1.0),
            ("warmup", self.warmup, 0.0, 1.0),
            ("layer_decay", self.layer_decay, 0.0, 1.0),
            ("weight_decay", self.weight_decay, 0.0, 1.0),
            ("dropout", self.dropout, 0.0, 0.99),
            ("max_length", self.max_length as f64, 4.0, 65_536.0),
            ("evaluations_per_epoch", self.evaluations_per_epoch as f64, 1.0, 1e6),
            ("log_every", self.log_every as f64, 0.0, 1e9),
        ];
        // A number that is none is in no range.
        let mut ranges = ranges.into_iter().filter(|(_, value, least, most)| !(least..=most).contains(&value));
        ranges.next().map(|(key, value, least, most)| OutOfRange { key, value, least, most })
    }

    /// How examples become features.
    pub fn encode_options(&self) -> EncodeOptions {
        EncodeOptions {
            max_length: self.max_length,
            long_texts: self.long_texts,
            stride: self.stride,
            ..EncodeOptions::default()
        }
    }

    pub(crate) fn adam(&self) -> AdamConfig {
        AdamConfig { weight_decay: self.weight_decay, clip_norm: self.clip_norm, ..AdamConfig::default() }
    }

    /// Every key that decides what is learnt, in words.
    pub fn settings(&self) -> BTreeMap<String, String> {
        let table = toml::Table::try_from(self).expect("plain data");
        let free = |key: &String| FREE.contains(&key.as_str());
        table.into_iter().filter(|(key, _)| !free(key)).map(|(key, value)| (key, value.to_string())).collect()
    }
}
