//! What a network is: Hugging Face's `ElectraConfig`, field by field.
//!
//! The same struct is read from and written to `config.json`, so a folder exported here loads in
//! `transformers` and the other way round. How a network is *trained* lives elsewhere (`run.toml`).

use serde::{Deserialize, Serialize};

/// The sizes and constants of one encoder, in the fields of Hugging Face's `config.json`.
///
/// Fields that `config.json` may leave out take `ElectraConfig`'s defaults. Unknown fields are ignored on
/// reading, since `transformers` adds some with every release.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ElectraConfig {
    /// Rows of the word table.
    pub vocab_size: usize,
    /// Width of the word, position and type tables.
    pub embedding_size: usize,
    /// Width of a layer.
    pub hidden_size: usize,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Heads of a layer, among which its width is divided.
    pub num_attention_heads: usize,
    /// Width of the feed-forward layer.
    pub intermediate_size: usize,
    /// `"gelu"` (the erf form) is the only activation that ELECTRA was published with.
    pub hidden_act: String,
    /// Dropout behind embeddings, attention and feed-forward layer.
    pub hidden_dropout_prob: f64,
    /// Dropout of attention's probabilities.
    pub attention_probs_dropout_prob: f64,
    /// Rows of the position table: the longest sequence.
    pub max_position_embeddings: usize,
    /// Number of segments (token types).
    pub type_vocab_size: usize,
    /// Standard deviation of the truncated normal that initialises the weights.
    pub initializer_range: f64,
    /// Added to the variance in layer normalizations.
    pub layer_norm_eps: f64,
    /// Id of [PAD].
    pub pad_token_id: usize,
}

impl Default for ElectraConfig {
    fn default() -> Self {
        Self {
            vocab_size: 30522,
            embedding_size: 128,
            hidden_size: 256,
            num_hidden_layers: 12,
            num_attention_heads: 4,
            intermediate_size: 1024,
            hidden_act: "gelu".to_owned(),
            hidden_dropout_prob: 0.1,
            attention_probs_dropout_prob: 0.1,
            max_position_embeddings: 512,
            type_vocab_size: 2,
            initializer_range: 0.02,
            layer_norm_eps: 1e-12,
            pad_token_id: 0,
        }
    }
}

/// A `config.json` that describes no network this crate can build.
#[derive(Debug, thiserror::Error, PartialEq)]
// The text of each says what it and its fields are.
#[expect(missing_docs)]
pub enum ConfigError {
    #[error("{field} is {value}, but it must be {expected}")]
    Value { field: &'static str, value: String, expected: &'static str },
    #[error("hidden_size {hidden_size} cannot be divided among num_attention_heads {heads}")]
    Heads { hidden_size: usize, heads: usize },
}

impl ElectraConfig {
    /// Checks that a network of these sizes can be built.
    ///
    /// # Errors
    /// Names the first field whose value is out of range, the value, and what it must be.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("embedding_size", self.embedding_size),
            ("hidden_size", self.hidden_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("intermediate_size", self.intermediate_size),
            ("max_position_embeddings", self.max_position_embeddings),
            ("type_vocab_size", self.type_vocab_size),
        ];
        for (field, value) in sizes {
            // An i32 counts elements on every backend.
            if value == 0 || value > i32::MAX as usize {
                return Err(ConfigError::Value { field, value: value.to_string(), expected: "1 to 2147483647" });
            }
        }
        if !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            return Err(ConfigError::Heads { hidden_size: self.hidden_size, heads: self.num_attention_heads });
        }
        if self.hidden_act != "gelu" {
            return Err(ConfigError::Value {
                field: "hidden_act",
                value: format!("{:?}", self.hidden_act),
                expected: "\"gelu\"",
            });
        }
        for (field, value) in [
            ("hidden_dropout_prob", self.hidden_dropout_prob),
            ("attention_probs_dropout_prob", self.attention_probs_dropout_prob),
        ] {
            if !(0.0..1.0).contains(&value) {
                return Err(ConfigError::Value { field, value: value.to_string(), expected: "at least 0 and below 1" });
            }
        }
        for (field, value) in [("initializer_range", self.initializer_range), ("layer_norm_eps", self.layer_norm_eps)] {
            // Layer normalization and first values are computed in 32 bits.
            if !(value as f32 > 0.0 && (value as f32).is_finite()) {
                let expected = "above 0 and finite (1e-38 to 3e38)";
                return Err(ConfigError::Value { field, value: value.to_string(), expected });
            }
        }
        Ok(())
    }

    /// The generator that goes with a discriminator of this size.
    ///
    /// `width` scales the hidden size (feed-forward 4 x that, one head per 64, at least one), `depth` the
    /// number of layers; embeddings, positions and vocabulary stay. Reference: `get_generator_config` in
    /// google-research/electra; paper, section 3.2.
    pub fn generator(&self, width: f64, depth: f64) -> Self {
        let mut heads = ((self.hidden_size as f64 * width).round() as usize / 64).max(1);
        let hidden_size = ((self.hidden_size as f64 * width).round() as usize).max(1);
        // A width that its heads don't divide (an unusual fraction) falls back to the next fewer heads that do.
        while !hidden_size.is_multiple_of(heads) {
            heads -= 1;
        }
        Self {
            hidden_size,
            intermediate_size: 4 * hidden_size,
            num_attention_heads: heads,
            num_hidden_layers: ((self.num_hidden_layers as f64 * depth).round() as usize).max(1),
            ..self.clone()
        }
    }

    /// Whether embeddings must be projected to the hidden size (`embeddings_project`).
    pub fn has_projection(&self) -> bool {
        self.embedding_size != self.hidden_size
    }

    /// The same network with every dropout off, as for evaluation and for the golden fixtures.
    pub fn without_dropout(&self) -> Self {
        Self { hidden_dropout_prob: 0.0, attention_probs_dropout_prob: 0.0, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generator_of_small_is_the_papers() {
        let generator = ElectraConfig::default().generator(0.25, 1.0);
        assert_eq!((generator.hidden_size, generator.intermediate_size, generator.num_attention_heads), (64, 256, 1));
        assert_eq!((generator.num_hidden_layers, generator.embedding_size), (12, 128));
    }

    #[test]
    fn indivisible_heads_are_named() {
        let config = ElectraConfig { num_attention_heads: 3, ..ElectraConfig::default() };
        assert_eq!(config.validate(), Err(ConfigError::Heads { hidden_size: 256, heads: 3 }));
    }
}
