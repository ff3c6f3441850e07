// Gumbel noise from 32 bits, as `gumbel` of crates/electra-kernels/src/noise.rs: -ln(-ln(u + 1e-9) + 1e-9), u of 24 bits.
//
// WGSL lets `log` be off by 2^-21 between 1/2 and 2. Near u = 1, where -ln(u) is a few times 2^-24, that could make the inner
// logarithm 0 or negative: noise of 20.7, which is drawn whatever the logits say, or none. So the upper half of u does without
// it: with t = 1 - u, which f32 holds exactly, -ln(1 - t) = 2 artanh(s), s = t / (2 - t) <= 1/3, a series of positive terms.
fn gumbel(bits: u32) -> f32 {
    let count = bits >> 8u;
    let u = f32(count) * (1.0 / 16777216.0);
    let t = f32(16777216u - count) * (1.0 / 16777216.0);
    let s = t / (2.0 - t);
    let square = s * s;
    var rest = 1.0 / 15.0;
    rest = fma(rest, square, 1.0 / 13.0);
    rest = fma(rest, square, 1.0 / 11.0);
    rest = fma(rest, square, 1.0 / 9.0);
    rest = fma(rest, square, 1.0 / 7.0);
    rest = fma(rest, square, 1.0 / 5.0);
    rest = fma(rest, square, 1.0 / 3.0);
    let series = 2.0 * fma(s * square, rest, s);
    let exponential = select(-log(u + 1e-9), series, count >= 8388608u);
    return -log(exponential + 1e-9);
}
