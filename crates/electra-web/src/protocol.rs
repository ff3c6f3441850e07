//! What goes to and from a page, as web/src/engine/protocol.ts describes it. Positions in a text count UTF-16 units, as
//! JavaScript's strings do.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a network is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelKind {
    /// Says how likely each token was replaced.
    Discriminator,
    /// Fills masks.
    Generator,
    /// Was fine-tuned for a task.
    Classifier,
}

/// A network that is loaded.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Loaded {
    /// What later requests call it.
    pub model: u32,
    pub kind: ModelKind,
    pub parameters: usize,
    pub layers: usize,
    pub heads: usize,
    pub hidden: usize,
    pub vocabulary: usize,
    /// Tokens of a text at most, [CLS] and [SEP] not counted.
    pub max_tokens: usize,
    /// Of a classifier.
    pub labels: Vec<String>,
}

/// A token and its place in the text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Token {
    pub token: String,
    pub id: u32,
    pub start: usize,
    pub end: usize,
}

/// A token and the discriminator's opinion of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScoredToken {
    #[serde(flatten)]
    pub token: Token,
    /// 0 to 1.
    pub replaced: f32,
}

/// A token that may stand at a position.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Proposal {
    pub token: String,
    pub id: u32,
    pub probability: f32,
}

/// What a classifier says of a text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Classified {
    pub probabilities: BTreeMap<String, f32>,
    pub value: Option<f64>,
}

/// Something to know of a training.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Progress {
    /// As metrics.jsonl has it.
    Row {
        row: Value,
    },
    Step {
        step: u64,
        steps: u64,
        steps_per_second: f64,
        seconds_left: f64,
    },
    /// Held-out text, corrupted and judged.
    Sample {
        step: u64,
        tokens: Vec<SampleToken>,
    },
    Note {
        text: String,
    },
}

/// A token of a held-out text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SampleToken {
    /// What the discriminator reads.
    pub token: String,
    /// What the text has there.
    pub original: String,
    pub replaced: f32,
}

/// Turns byte positions in a text into positions in UTF-16 units.
pub(crate) struct Utf16Positions {
    /// For each byte position, one past the last included.
    units: Vec<usize>,
}

impl Utf16Positions {
    pub(crate) fn new(text: &str) -> Self {
        let mut units = Vec::with_capacity(text.len() + 1);
        let mut position = 0;
        for character in text.chars() {
            units.resize(units.len() + character.len_utf8(), position);
            position += character.len_utf16();
        }
        units.push(position);
        Self { units }
    }

    pub(crate) fn of_byte(&self, byte: usize) -> usize {
        self.units[byte.min(self.units.len() - 1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_as_javascript_does() {
        let positions = Utf16Positions::new("é 😀 w");
        assert_eq!([0, 2, 3, 7, 8, 9].map(|byte| positions.of_byte(byte)), [0, 1, 2, 4, 5, 6]);
    }

    #[test]
    fn progress_has_the_names_of_the_protocol() {
        let step = Progress::Step { step: 1, steps: 2, steps_per_second: 0.5, seconds_left: 2.0 };
        let text = serde_json::to_string(&step).unwrap();
        assert_eq!(text, r#"{"kind":"step","step":1,"steps":2,"stepsPerSecond":0.5,"secondsLeft":2.0}"#);
    }
}
