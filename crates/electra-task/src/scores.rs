//! Named numbers in the order in which they are shown.

use serde::{Deserialize, Serialize};

/// Metrics by their names (`accuracy`, `matthews`, `exact_match`, ...), the one that counts first.
///
/// A metric that has no value (a correlation with a constant) is NaN here, and null in JSON.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "serde_json::Map<String, serde_json::Value>", into = "serde_json::Map<String, serde_json::Value>")]
pub struct Scores {
    scores: Vec<(String, f64)>,
}

impl Scores {
    /// The same scores and one more.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: f64) -> Self {
        self.scores.push((name.into(), value));
        self
    }

    /// The one of that name.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// The one that counts: by which checkpoints are compared.
    pub fn primary(&self) -> Option<(&str, f64)> {
        self.iter().next()
    }

    /// All, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.scores.iter().map(|(name, value)| (name.as_str(), *value))
    }
}

impl From<serde_json::Map<String, serde_json::Value>> for Scores {
    fn from(map: serde_json::Map<String, serde_json::Value>) -> Self {
        Self { scores: map.into_iter().map(|(name, value)| (name, value.as_f64().unwrap_or(f64::NAN))).collect() }
    }
}

impl From<Scores> for serde_json::Map<String, serde_json::Value> {
    fn from(scores: Scores) -> Self {
        scores.scores.into_iter().map(|(name, value)| (name, serde_json::Value::from(value))).collect()
    }
}
