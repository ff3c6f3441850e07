//! Detectors of replaced tokens that know nothing but frequencies: how much of a task is learnt by counting.
//!
//! A token's score is minus its log-probability, alone (unigram) or after the token before it (bigram). A
//! discriminator that is not above these has only learnt which words are rare, whatever its loss says.

use std::collections::HashMap;

/// Counts of tokens and of neighbouring pairs in training text.
#[derive(Debug, Clone)]
pub struct FrequencyDetector {
    /// `[vocab]`
    unigram: Vec<u64>,
    tokens: u64,
    /// Pair `previous << 32 | token` to its count. Never iterated, so its order cannot matter.
    bigram: HashMap<u64, u64>,
    /// `[vocab]`: how often a token is followed by another, and by how many different ones.
    followed: Vec<(u64, u64)>,
}

impl FrequencyDetector {
    /// Counts lines of token ids until `max_tokens`, which bounds memory (a pair costs some 24 bytes).
    ///
    /// Ids of `vocab_size` and above are left out.
    pub fn count<Line: AsRef<[u32]>>(
        lines: impl IntoIterator<Item = Line>,
        vocab_size: usize,
        max_tokens: u64,
    ) -> Self {
        let mut detector = Self {
            unigram: vec![0; vocab_size],
            tokens: 0,
            bigram: HashMap::new(),
            followed: vec![(0, 0); vocab_size],
        };
        for line in lines {
            if detector.tokens >= max_tokens {
                break;
            }
            let mut previous = None;
            for &token in line.as_ref() {
                detector.add(previous, token);
                previous = Some(token);
            }
        }
        detector
    }

    fn add(&mut self, previous: Option<u32>, token: u32) {
        let Some(count) = self.unigram.get_mut(token as usize) else { return };
        *count += 1;
        self.tokens += 1;
        let Some(previous) = previous else { return };
        let Some((total, distinct)) = self.followed.get_mut(previous as usize) else { return };
        let pair = self.bigram.entry(pair_key(previous, token)).or_default();
        *pair += 1;
        *total += 1;
        *distinct += u64::from(*pair == 1);
    }

    /// How often each entry of the vocabulary was counted.
    pub fn counts(&self) -> &[u64] {
        &self.unigram
    }

    /// Tokens counted.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// `p(token)`, with one added to every count so that nothing is impossible.
    fn probability(&self, token: u32) -> f64 {
        let count = self.unigram.get(token as usize).copied().unwrap_or(0);
        (count + 1) as f64 / (self.tokens + self.unigram.len() as u64) as f64
    }

    /// How surprising `token` is: `-ln p(token)`.
    pub fn unigram_score(&self, token: u32) -> f32 {
        -self.probability(token).ln() as f32
    }

    /// How surprising `token` is after `previous`: `-ln p(token | previous)`.
    ///
    /// Interpolated with the unigram by Witten and Bell's (1991) weight: a context that had many different
    /// followers is trusted less for a new one. Without a `previous` it is the unigram's score.
    pub fn bigram_score(&self, previous: Option<u32>, token: u32) -> f32 {
        let context = previous.and_then(|previous| Some((previous, *self.followed.get(previous as usize)?)));
        let Some((previous, (total, distinct))) = context.filter(|(_, (total, _))| *total > 0) else {
            return self.unigram_score(token);
        };
        let pair = self.bigram.get(&pair_key(previous, token)).copied().unwrap_or(0);
        let probability = (pair as f64 + distinct as f64 * self.probability(token)) / (total + distinct) as f64;
        -probability.ln() as f32
    }
}

fn pair_key(previous: u32, token: u32) -> u64 {
    u64::from(previous) << 32 | u64::from(token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::roc_auc::roc_auc;

    #[test]
    fn probabilities_sum_to_one() {
        let lines = [vec![1u32, 2, 3, 1, 2], vec![2, 2, 4]];
        let detector = FrequencyDetector::count(&lines, 6, u64::MAX);
        let sum = |score: &dyn Fn(u32) -> f32| (0..6).map(|token| f64::from(-score(token)).exp()).sum::<f64>();
        assert!((sum(&|token| detector.unigram_score(token)) - 1.0).abs() < 1e-6);
        for previous in 0..6 {
            assert!((sum(&|token| detector.bigram_score(Some(previous), token)) - 1.0).abs() < 1e-6, "{previous}");
        }
        assert_eq!(detector.bigram_score(None, 2), detector.unigram_score(2));
    }

    #[test]
    fn order_is_what_the_bigram_adds() {
        // 0 1 0 1 …: both tokens are equally frequent, so that only the pair tells.
        let line: Vec<u32> = (0..100).map(|i| i % 2).collect();
        let detector = FrequencyDetector::count([&line], 2, u64::MAX);
        let corrupted = [0u32, 1, 0, 0, 0, 1];
        let replaced = [false, false, false, true, false, false];
        let pairs = (1..6).map(|i| detector.bigram_score(Some(corrupted[i - 1]), corrupted[i]));
        let auc = roc_auc(&pairs.collect::<Vec<_>>(), &replaced[1..]).unwrap();
        assert!(auc > 0.8, "{auc}");
        let unigram: Vec<f32> = corrupted.iter().map(|token| detector.unigram_score(*token)).collect();
        assert_eq!(roc_auc(&unigram, &replaced), Some(0.5));
    }

    #[test]
    fn counting_stops_at_the_bound_and_ignores_foreign_ids() {
        let lines = vec![vec![1u32, 9, 1]; 50];
        let detector = FrequencyDetector::count(&lines, 4, 10);
        assert!((10..13).contains(&detector.tokens()));
        assert!(detector.unigram_score(9).is_finite() && detector.bigram_score(Some(9), 1).is_finite());
    }
}
