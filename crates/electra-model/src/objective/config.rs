//! `[objective]` of run.toml, as far as it is common to all objectives, and what every table of keys can do.

use std::fmt::Display;

use electra_kernels::noise::NoiseKey;
use serde::{Deserialize, Serialize};

/// What draws the replacements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GeneratorKind {
    /// A masked-language model that is trained with the discriminator.
    #[default]
    Network,
    /// Nobody: every entry of the vocabulary is as likely.
    Uniform,
    /// The training text's frequencies.
    Unigram,
}

impl GeneratorKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Network, Self::Uniform, Self::Unigram];

    /// As run.toml has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Uniform => "uniform",
            Self::Unigram => "unigram",
        }
    }
}

/// Says of a key whether its value is in range; if not, what it must be.
pub type Check<'a> = dyn FnMut(bool, &str, &dyn Display, &str) + 'a;

/// An objective's own keys.
pub trait KeyTable {
    /// Names each key to `check`.
    fn check(&self, check: &mut Check<'_>);

    /// Lets samples be drawn as their distribution is, for validation.
    fn draw_plainly(&mut self) {}
}

/// The table of an objective without keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoKeys {}

impl KeyTable for NoKeys {
    fn check(&self, _: &mut Check<'_>) {}
}

/// A factor of a part of the loss.
pub(super) fn check_weight(check: &mut Check<'_>, key: &str, value: f64) {
    let ok = value >= 0.0 && (value as f32).is_finite();
    check(ok, key, &value, "at least 0 and finite (at most 3e38)");
}

pub(super) fn check_temperature(check: &mut Check<'_>, value: f64) {
    let ok = value as f32 > 0.0 && (value as f32).is_finite();
    check(ok, "temperature", &value, "above 0 and finite (1e-38 to 3e38)");
}

/// Frequencies of the vocabulary, to draw from.
#[derive(Debug, Clone, PartialEq)]
pub struct Frequencies {
    /// `[vocab]`, of an entry and all before it; the last is 1.
    cumulative: Vec<f64>,
}

impl Frequencies {
    /// Of counts by id. Entries in `never` are not drawn. `None` where nothing is left.
    pub fn new(counts: &[u64], never: &[u32]) -> Option<Self> {
        let count = |(id, count): (usize, &u64)| if never.contains(&(id as u32)) { 0 } else { *count };
        let total: u64 = counts.iter().enumerate().map(count).sum();
        if total == 0 {
            return None;
        }
        let mut sum = 0;
        let cumulative = counts.iter().enumerate().map(|entry| {
            sum += count(entry);
            sum as f64 / total as f64
        });
        Some(Self { cumulative: cumulative.collect() })
    }

    /// Each of `vocab` entries once.
    pub fn uniform(vocab: usize, never: &[u32]) -> Option<Self> {
        Self::new(&vec![1; vocab], never)
    }

    /// The id that belongs to `place` among all draws of `key`.
    pub fn draw(&self, key: NoiseKey, place: u64) -> u32 {
        let at = key.uniform_f64(place, 0);
        self.cumulative.partition_point(|&below| below <= at) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_have_the_frequencies_they_come_from() {
        let frequencies = Frequencies::new(&[5, 0, 30, 60, 10], &[0]).unwrap();
        let mut counts = [0u32; 5];
        for place in 0..10_000 {
            counts[frequencies.draw(NoiseKey::new(3), place) as usize] += 1;
        }
        assert_eq!(counts[0] + counts[1], 0, "one is never drawn, the other has no count");
        // 3,000, 6,000 and 1,000; five standard deviations of 46, 49 and 30.
        assert!(counts[2].abs_diff(3000) < 230 && counts[3].abs_diff(6000) < 245 && counts[4].abs_diff(1000) < 150);
    }

    #[test]
    fn nothing_can_be_drawn_from_nothing() {
        assert_eq!(Frequencies::new(&[0, 4], &[1]), None);
        assert!(Frequencies::uniform(2, &[0]).is_some());
    }
}
