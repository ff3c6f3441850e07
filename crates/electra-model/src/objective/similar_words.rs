//! Replacements of the original's own kind: words that stand among the same little words, and about as often.
//!
//! A generator that is trained for minutes draws fakes that grammar or frequency give away; sense is what is left where they are drawn
//! here (docs/LOG.md, 2026-11-27). Which words are similar is counted in the text before training begins.

use electra_kernels::noise::NoiseKey;

/// For each entry of a vocabulary the entries that may stand in for it, with their probabilities.
#[derive(Debug, Clone, PartialEq)]
pub struct SimilarWords {
    /// `[vocab + 1]`: where each entry's words begin among `ids`.
    starts: Vec<u32>,
    ids: Vec<u32>,
    /// Of each word and those before it of the same entry; an entry's last is 1.
    cumulative: Vec<f32>,
}

impl SimilarWords {
    /// Of each entry's words with their weights, which need not sum to 1. An entry may have none.
    pub fn new(words: &[Vec<(u32, f64)>]) -> Self {
        let mut similar = Self { starts: vec![0], ids: Vec::new(), cumulative: Vec::new() };
        for words in words {
            let total: f64 = words.iter().map(|(_, weight)| weight).sum();
            let mut sum = 0.0;
            for (at, (id, weight)) in words.iter().enumerate() {
                sum += weight;
                similar.ids.push(*id);
                similar.cumulative.push(if at + 1 == words.len() { 1.0 } else { (sum / total) as f32 });
            }
            similar.starts.push(similar.ids.len() as u32);
        }
        similar
    }

    /// The word that stands in for `id` at `place` among all draws of `key`; `None` where nothing is like it.
    pub fn draw(&self, id: u32, key: NoiseKey, place: u64) -> Option<u32> {
        let id = id as usize;
        let words = *self.starts.get(id)? as usize..*self.starts.get(id + 1)? as usize;
        let at = key.uniform_f64(place, 0) as f32;
        let found = self.cumulative[words.clone()].partition_point(|&below| below <= at);
        self.ids[words.clone()].get(found.min(words.len().checked_sub(1)?)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_drawn_by_their_weights() {
        let similar = SimilarWords::new(&[vec![], vec![(2, 1.0), (3, 3.0)], vec![(1, 0.5)]]);
        let key = NoiseKey::new(5);
        let drawn: Vec<Option<u32>> = (0..4_000).map(|place| similar.draw(1, key, place)).collect();
        let threes = drawn.iter().filter(|word| **word == Some(3)).count();
        assert!((2_900..3_100).contains(&threes), "{threes}");
        assert!(drawn.iter().all(|word| matches!(word, Some(2 | 3))));
        assert_eq!([0, 2, 3, 9].map(|id| similar.draw(id, key, 0)), [None, Some(1), None, None]);
    }
}
