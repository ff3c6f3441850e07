//! `results.json`: how good the runs of a fine-tuning were, and what they are to be compared with.

use std::collections::BTreeMap;

use electra_task::Scores;
use serde::{Deserialize, Serialize};

/// Everything that a fine-tuning came to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// The task.
    pub task: String,
    /// The set that the scores are of.
    pub set: String,
    /// The median of the runs' scores.
    pub metric: Scores,
    /// Least, greatest and standard deviation of each score, where there are several runs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub spread: BTreeMap<String, Spread>,
    /// Every run's.
    pub seeds: Vec<SeedResult>,
    /// What is to be beaten.
    pub baselines: BTreeMap<String, Scores>,
    /// Examples to train on, and of the set.
    pub examples: [u64; 2],
}

/// How far runs are apart.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Of all runs.
    pub least: f64,
    /// Of all runs.
    pub greatest: f64,
    /// Of the runs, with n - 1.
    pub standard_deviation: f64,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeedResult {
    /// Its seed.
    pub seed: u64,
    /// Its scores on the first set.
    pub metric: Scores,
    /// Its scores on further sets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub other_sets: BTreeMap<String, Scores>,
    /// Steps done.
    pub steps: u64,
    /// The step whose weights it ends with.
    pub best_step: u64,
}

impl Results {
    /// Takes in one more run, and makes median and spread anew.
    pub fn add(&mut self, seed: SeedResult) {
        self.seeds.push(seed);
        self.metric = Scores::default();
        self.spread.clear();
        let names: Vec<String> = self.seeds[0].metric.iter().map(|(name, _)| name.to_owned()).collect();
        for name in names {
            let mut values: Vec<f64> = self.seeds.iter().filter_map(|seed| seed.metric.get(&name)).collect();
            values.sort_by(f64::total_cmp);
            self.metric = std::mem::take(&mut self.metric).with(&name, median(&values));
            if values.len() > 1 {
                self.spread.insert(name, Spread::of(&values));
            }
        }
    }

    /// The run with the best first score, the first of equal ones.
    pub fn best(&self) -> Option<&SeedResult> {
        let score = |seed: &SeedResult| seed.metric.primary().map_or(f64::NEG_INFINITY, |(_, value)| value);
        self.seeds.iter().reduce(|best, seed| if score(seed) > score(best) { seed } else { best })
    }
}

impl Spread {
    fn of(values: &[f64]) -> Self {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Self {
            least: values.iter().copied().fold(f64::INFINITY, f64::min),
            greatest: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            standard_deviation: (squares / (values.len() - 1) as f64).sqrt(),
        }
    }
}

/// Of sorted values; of an even number the mean of both in the middle.
fn median(values: &[f64]) -> f64 {
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => values[count / 2],
        count => (values[count / 2 - 1] + values[count / 2]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_the_runs_counts_and_every_run_stays() {
        let mut results = Results::default();
        for (seed, score) in [(1, 0.5), (2, 0.9), (3, 0.6)] {
            let metric = Scores::default().with("accuracy", score);
            let other_sets = BTreeMap::new();
            results.add(SeedResult { seed, metric, other_sets, steps: 1, best_step: 1 });
        }
        assert_eq!(results.metric.get("accuracy"), Some(0.6));
        assert_eq!(results.best().map(|seed| seed.seed), Some(2));
        let spread = results.spread["accuracy"];
        assert_eq!((spread.least, spread.greatest), (0.5, 0.9));
        let text = serde_json::to_string(&results).unwrap();
        assert_eq!(serde_json::from_str::<Results>(&text).unwrap(), results);
    }
}
