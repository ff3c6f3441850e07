//! Random numbers without state: a hash of where a number is used.
//!
//! Dropout masks, Gumbel noise and first weights must be equal in two equal runs, after a resume, and
//! whatever the micro-batches, the threads or the device. So none of them is *drawn*: each is a hash of a key
//! (seed, step, network, layer, site, number of the example in the global batch) and of an index. A key is
//! folded once on the host in 64 bits; what runs per element is 32-bit arithmetic that WGSL has too.

/// Where in the computation a stream of random numbers belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NoiseKey(u64);

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

impl NoiseKey {
    /// The root of all keys of a run.
    pub const fn new(seed: u64) -> Self {
        Self(split_mix(seed.wrapping_add(GOLDEN)))
    }

    /// The key of one part (a step, a network, a layer, a site, an example) of what `self` stands for.
    #[must_use]
    pub const fn child(self, part: u64) -> Self {
        Self(split_mix(self.0 ^ split_mix(part.wrapping_mul(GOLDEN).wrapping_add(GOLDEN))))
    }

    /// As `child`, for a part that has a name: FNV-1a of its bytes.
    #[must_use]
    pub fn child_str(self, part: &str) -> Self {
        let hash = part.bytes().fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
        });
        self.child(hash)
    }

    /// The key as two words for a shader.
    pub const fn words(self) -> [u32; 2] {
        [self.0 as u32, (self.0 >> 32) as u32]
    }

    /// 32 uniform bits for element `index`. 32-bit integer arithmetic only: the same in Rust and in WGSL.
    #[inline(always)]
    pub const fn bits(self, index: u32) -> u32 {
        let [low, high] = self.words();
        mix32(mix32(index ^ low).wrapping_add(high))
    }

    /// Uniform in [0, 1), of 53 bits, for the host only (first weights). `draw` tells repeated draws apart.
    pub fn uniform_f64(self, index: u64, draw: u64) -> f64 {
        (self.child(index).child(draw).0 >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }
}

/// SplitMix64's output function (Steele, Lea and Flood 2014).
const fn split_mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// A bijective 32-bit mixer with low bias (Wellons's "lowbias32").
#[inline(always)]
const fn mix32(mut x: u32) -> u32 {
    x = (x ^ (x >> 16)).wrapping_mul(0x7FEB_352D);
    x = (x ^ (x >> 15)).wrapping_mul(0x846C_A68B);
    x ^ (x >> 16)
}

/// Gumbel noise from 32 bits: `-ln(-ln(u + 1e-9) + 1e-9)`, u uniform in [0, 1) of 24 bits.
/// Reference: `sample_from_softmax` in google-research/electra.
#[inline(always)]
pub fn gumbel(bits: u32) -> f32 {
    let uniform = (bits >> 8) as f32 * (1.0 / 16_777_216.0);
    -(-(uniform + 1e-9).ln() + 1e-9).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_uniform_and_keys_independent() {
        let key = NoiseKey::new(7).child(3).child_str("attention");
        let n = 1u32 << 16;
        let mean = |key: NoiseKey| (0..n).map(|i| f64::from(key.bits(i))).sum::<f64>() / f64::from(n) / 4294967296.0;
        // A mean of 65,536 uniforms has standard deviation .0011: five of them.
        assert!((mean(key) - 0.5).abs() < 0.0057);
        let sibling = key.child(1);
        let differing: u32 = (0..n).map(|i| (key.bits(i) ^ sibling.bits(i)).count_ones()).sum();
        assert!((f64::from(differing) / f64::from(n) - 16.0).abs() < 0.06);
    }

    #[test]
    fn gumbel_has_its_mean_and_variance() {
        let key = NoiseKey::new(1);
        let n = 1 << 18;
        let values: Vec<f64> = (0..n).map(|i| f64::from(gumbel(key.bits(i)))).collect();
        let mean = values.iter().sum::<f64>() / f64::from(n);
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / f64::from(n);
        assert!((mean - 0.577_216).abs() < 0.0125, "{mean}");
        assert!((variance - 1.644_934).abs() < 0.04, "{variance}");
    }

    #[test]
    fn the_stream_is_pinned() {
        // A change here changes every run: exact resume across versions depends on these.
        let key = NoiseKey::new(42).child(1);
        assert_eq!([key.bits(0), key.bits(1), key.bits(u32::MAX)], PINNED);
    }
    const PINNED: [u32; 3] = [3_218_887_054, 195_444_887, 3_951_137_032];
}
