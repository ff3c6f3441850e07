//! Elementary functions of f32 without branches or tables, for loops that become vector instructions, and the macro
//! that compiles such a loop for the vector widths of the machine at hand.
//!
//! The standard library's `exp` and `ln` are calls, one value at a time. Multiplications and additions stay separate
//! operations: without fused ones the same bits come out of SSE2, AVX2, AVX-512 and WebAssembly.

/// Running values of a reduction: one would be bound by the latency of an addition, and its order is part of the result.
pub(crate) const LANES: usize = 16;

/// Defines a function whose body is compiled for AVX-512, for AVX2 and for the target's baseline (SSE2, NEON, WebAssembly's
/// vectors: .cargo/config.toml); the widest that the machine has runs.
macro_rules! vectorised {
    ($(#[$meta:meta])* $visibility:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        $visibility fn $name($($argument: $type),*) $(-> $result)? {
            #[allow(clippy::too_many_arguments)]
            #[inline(always)]
            fn body($($argument: $type),*) $(-> $result)? $body
            #[cfg(target_arch = "x86_64")]
            {
                #[allow(clippy::too_many_arguments)]
                #[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2")]
                fn avx512($($argument: $type),*) $(-> $result)? {
                    body($($argument),*)
                }
                #[allow(clippy::too_many_arguments)]
                #[target_feature(enable = "avx2")]
                fn avx2($($argument: $type),*) $(-> $result)? {
                    body($($argument),*)
                }
                if is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512cd")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                {
                    // SAFETY: the machine has these instructions.
                    return unsafe { avx512($($argument),*) };
                }
                if is_x86_feature_detected!("avx2") {
                    // SAFETY: the machine has these instructions.
                    return unsafe { avx2($($argument),*) };
                }
            }
            body($($argument),*)
        }
    };
}
pub(crate) use vectorised;

// 1.5 * 2^23: adding it rounds to an integer, which then sits in the low bits.
const ROUND: f32 = 12_582_912.0;
// ln 2 in two parts: the first has few enough bits for exact products with small integers.
const LN_2_HIGH: f32 = 0.693_359_4;
const LN_2_LOW: f32 = -2.121_944_4e-4;

/// `e^x` for x below 88, within 2e-7 of the value; 0 below -87. NaN stays NaN.
/// Range reduction and polynomial: Cephes, `expf`.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    let bounded = if x < -87.0 { -87.0 } else { x };
    let bounded = if bounded > 88.0 { 88.0 } else { bounded };
    let shifted = bounded * std::f32::consts::LOG2_E + ROUND;
    let power = shifted - ROUND;
    let r = bounded - power * LN_2_HIGH - power * LN_2_LOW;
    let mut y = 1.987_569_1e-4;
    for coefficient in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        y = y * r + coefficient;
    }
    let y = y * (r * r) + r + 1.0;
    let scale = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3F80_0000));
    if x < -87.0 { 0.0 } else { y * scale }
}

/// `ln x` for normal x > 0, within 1e-7 of the value or of its neighbours in f32, near 1 too. Cephes, `logf`.
#[inline(always)]
pub(crate) fn ln(x: f32) -> f32 {
    // Bits of sqrt(1/2): the fraction goes from there to sqrt 2.
    const HALF_ROOT: u32 = 0x3F35_04F3;
    let bits = x.to_bits().wrapping_sub(HALF_ROOT);
    let power = (bits as i32 >> 23) as f32;
    let f = f32::from_bits((bits & 0x007F_FFFF).wrapping_add(HALF_ROOT)) - 1.0;
    let square = f * f;
    let mut y = 7.037_684e-2;
    for coefficient in [
        -1.151_461e-1,
        1.167_699_9e-1,
        -1.242_014_1e-1,
        1.424_932_3e-1,
        -1.666_805_8e-1,
        2.000_071_5e-1,
        -2.499_999_4e-1,
        0.333_333_3,
    ] {
        y = y * f + coefficient;
    }
    let y = y * f * square + power * LN_2_LOW - 0.5 * square;
    f + y + power * LN_2_HIGH
}

/// `noise::gumbel` for loops.
#[inline(always)]
pub(crate) fn gumbel(bits: u32) -> f32 {
    // Through i32: 24 bits fit, and every vector instruction set converts signed integers.
    let uniform = (bits >> 8) as i32 as f32 * (1.0 / 16_777_216.0);
    -ln(-ln(uniform + 1e-9) + 1e-9)
}

/// Cumulative distribution of the standard normal, within 2e-7 (near 0; times z within 1e-7), and its density, at `z`.
///
/// The upper tail over the density falls smoothly from sqrt(pi/2), so one polynomial in `1 / (1 + |z| / 4)` fits it
/// (relative error 1e-8 up to 13, where the density vanishes), and both results share one exponential.
#[inline(always)]
pub(crate) fn normal(z: f32) -> (f32, f32) {
    let size = z.abs();
    let t = 1.0 / (1.0 + 0.25 * size);
    let mut ratio = TAIL[9];
    for &coefficient in TAIL[..9].iter().rev() {
        ratio = ratio * t + coefficient;
    }
    let bell = exp(-0.5 * (z * z));
    let tail = bell * (ratio * t);
    const INVERSE_ROOT_TAU: f32 = 0.398_942_3;
    (if z < 0.0 { tail } else { 1.0 - tail }, bell * INVERSE_ROOT_TAU)
}

/// Tail of the standard normal times `e^(z^2/2)`, as `t` times a polynomial of degree 9 in `t`, lowest first:
/// interpolation at the Chebyshev nodes for |z| from 0 to 13, computed from f64's `erfc`.
const TAIL: [f32; 10] = [
    0.099757,
    0.099324,
    0.09685896,
    0.06595363,
    0.10360867,
    -0.018031955,
    0.06455215,
    0.025109712,
    -0.05170058,
    0.01456841,
];

/// Sum of lanes in a fixed order.
#[inline(always)]
pub(crate) fn lanes_sum(lanes: &[f32; LANES]) -> f32 {
    let mut half = [0.0; LANES / 2];
    for (lane, value) in half.iter_mut().enumerate() {
        *value = lanes[lane] + lanes[lane + LANES / 2];
    }
    let quarter = [half[0] + half[4], half[1] + half[5], half[2] + half[6], half[3] + half[7]];
    (quarter[0] + quarter[2]) + (quarter[1] + quarter[3])
}

/// Sum of `term(index)` for all indices below `length`. `term` must be simple: sums are unrolled by lanes, and only
/// short bodies become vector instructions then.
#[inline(always)]
pub(crate) fn sum(length: usize, term: impl Fn(usize) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let whole = length / LANES * LANES;
    for first in (0..whole).step_by(LANES) {
        for (lane, sum) in lanes.iter_mut().enumerate() {
            *sum += term(first + lane);
        }
    }
    for index in whole..length {
        lanes[index - whole] += term(index);
    }
    lanes_sum(&lanes)
}

/// The highest value; NaN is passed over.
#[inline(always)]
pub(crate) fn highest(values: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = if *value > *lane { *value } else { *lane };
        }
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |highest, &value| if value > highest { value } else { highest })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise;

    #[test]
    fn exp_is_accurate_and_keeps_nan() {
        for step in -870_000..880_000 {
            let x = step as f32 * 1e-4;
            let expected = f64::from(x).exp();
            assert!((f64::from(exp(x)) / expected - 1.0).abs() < 2e-7, "{x}: {} {expected}", exp(x));
        }
        assert_eq!([exp(0.0), exp(-88.0), exp(-1e30), exp(f32::NEG_INFINITY)], [1.0, 0.0, 0.0, 0.0]);
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn ln_is_accurate_also_near_one() {
        for step in 1..3_900_000u32 {
            let x = f32::from_bits(step * 537);
            if x < f32::MIN_POSITIVE {
                continue;
            }
            let expected = f64::from(x).ln();
            let error = (f64::from(ln(x)) - expected).abs();
            assert!(error <= 1.2e-7 * expected.abs(), "{x}: {} {expected}", ln(x));
        }
        assert_eq!(ln(1.0), 0.0);
    }

    #[test]
    fn normal_is_accurate() {
        for step in -140_000i32..140_000 {
            let z = step as f32 * 1e-4;
            let (cumulative, density) = normal(z);
            let exact = 0.5 * crate::cpu::testing::erfc(-f64::from(z) * std::f64::consts::FRAC_1_SQRT_2);
            let error = (f64::from(cumulative) - exact).abs();
            assert!(error < 2e-7, "{z}: {cumulative} {exact}");
            // What GELU sees: exact to the rounding of values of its size.
            assert!(error * f64::from(z).abs() < 1e-7 * f64::from(z).abs().max(1.0), "{z}: {cumulative} {exact}");
            let exact = (-0.5 * f64::from(z).powi(2)).exp() / std::f64::consts::TAU.sqrt();
            assert!((f64::from(density) - exact).abs() < 5e-8, "{z}: {density} {exact}");
        }
    }

    #[test]
    fn gumbel_is_the_noise_of_the_reference() {
        let key = noise::NoiseKey::new(3);
        let edges = [0, 255, 256, 511, 512, u32::MAX, u32::MAX - 255, u32::MAX - 256];
        for bits in edges.into_iter().chain((0..2_000_000).map(|index| key.bits(index))) {
            let (found, expected) = (gumbel(bits), noise::gumbel(bits));
            assert!((found - expected).abs() <= 3e-7 * expected.abs().max(1.0), "{bits}: {found} {expected}");
        }
    }

    #[test]
    fn lanes_are_summed_each_once() {
        let lanes: [f32; LANES] = std::array::from_fn(|lane| (1 << lane) as f32);
        assert_eq!(lanes_sum(&lanes), 65535.0);
    }
}
