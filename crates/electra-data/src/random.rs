//! Counter-based random numbers: the n-th draw is a function of a key and n, with no state in between.
//!
//! Why this way: an example's cut and mask must depend on (seed, epoch, example) alone, on every platform and in any
//! order of asking. Only 64-bit integer arithmetic is used; SplitMix64's finaliser (Steele, Lea and Flood, 2014) mixes.

/// SplitMix64's increment: 2^64 divided by the golden ratio, odd.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// SplitMix64's finaliser: a bijection of `u64` in which every input bit reaches every output bit.
pub fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// A sequence of draws that belongs to a list of numbers such as (purpose, seed, epoch, example).
#[derive(Debug, Clone)]
pub struct Draws {
    key: u64,
    next: u64,
}

impl Draws {
    /// The sequence of `parts`; lists that differ anywhere, in length too, give unrelated sequences.
    pub fn new(parts: &[u64]) -> Self {
        let key = parts.iter().fold(mix(parts.len() as u64 ^ GOLDEN), |key, &part| {
            mix(key.wrapping_add(GOLDEN) ^ mix(part.wrapping_add(GOLDEN)))
        });
        Self { key, next: 0 }
    }

    /// The next 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.next += 1;
        mix(self.key.wrapping_add(self.next.wrapping_mul(GOLDEN)))
    }

    /// A number in `0..bound`, each equally likely (Lemire's multiplication with rejection). `bound` must not be 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "an empty range has no number to draw");
        let threshold = bound.wrapping_neg() % bound;
        loop {
            let product = u128::from(self.bits()) * u128::from(bound);
            if (product as u64) >= threshold {
                return (product >> 64) as u64;
            }
        }
    }

    /// True with `probability`.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.choice([probability]).is_some()
    }

    /// Which of several things happens, by their probabilities; None of them where those leave something to 1. One draw, of which 53
    /// bits are compared; scaling by a power of two is exact: the same everywhere.
    pub fn choice<const N: usize>(&mut self, probabilities: [f64; N]) -> Option<usize> {
        const SCALE: f64 = (1u64 << 53) as f64;
        let drawn = self.bits() >> 11;
        let mut end = 0.0;
        probabilities.iter().position(|probability| {
            end += probability;
            drawn < (end * SCALE) as u64
        })
    }

    /// Puts `items` into a random order, each equally likely (Fisher-Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_the_published_splitmix64() {
        // First outputs of SplitMix64 from state 1234567 (Vigna's splitmix64.c).
        let mut draws = Draws { key: 1234567, next: 0 };
        assert_eq!(draws.bits(), 6457827717110365317);
        assert_eq!(draws.bits(), 3203168211198807973);
    }

    #[test]
    fn is_pinned() {
        // Other numbers here change every mask of every run: that needs a new format version.
        let mut draws = Draws::new(&[1, 2, 3]);
        assert_eq!([draws.below(1000), draws.below(1000), draws.below(1000)], [728, 124, 988]);
        assert_ne!(Draws::new(&[1, 2]).bits(), Draws::new(&[2, 1]).bits());
        assert_ne!(Draws::new(&[0]).bits(), Draws::new(&[0, 0]).bits());
    }

    #[test]
    fn draws_evenly() {
        let mut draws = Draws::new(&[7]);
        let mut counts = [0u32; 10];
        for _ in 0..100_000 {
            counts[draws.below(10) as usize] += 1;
        }
        // 10,000 each, standard deviation 95: five of them.
        assert!(counts.iter().all(|&count| (9_525..10_475).contains(&count)), "{counts:?}");
        let hits = (0..100_000).filter(|_| draws.chance(0.85)).count();
        assert!((84_435..85_565).contains(&hits), "{hits}");
        assert!(!draws.chance(0.0) && draws.chance(1.0));
        let mut chosen = [0u32; 3];
        for _ in 0..100_000 {
            chosen[draws.choice([0.8, 0.1]).unwrap_or(2)] += 1;
        }
        // Standard deviations 126 and 95.
        let expected = [80_000u32, 10_000, 10_000];
        assert!(chosen.iter().zip(expected).all(|(&found, expected)| found.abs_diff(expected) < 600), "{chosen:?}");
    }
}
