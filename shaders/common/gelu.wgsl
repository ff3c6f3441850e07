// GELU, the exact form: gelu(z) = z Phi(z), gelu'(z) = Phi(z) + z phi(z), Phi the normal distribution and phi its density.
//
// WGSL has no erf. As on the CPU (crates/electra-kernels/src/cpu/math.rs, `normal`): the upper tail over the density falls
// smoothly from sqrt(pi / 2), so one polynomial in 1 / (1 + |z| / 4) fits it, and both results share one exponential.

// Phi(z) and phi(z).
fn normal(z: f32) -> vec2<f32> {
    let t = 1.0 / (1.0 + 0.25 * abs(z));
    var ratio = 0.01456841;
    ratio = fma(ratio, t, -0.05170058);
    ratio = fma(ratio, t, 0.025109712);
    ratio = fma(ratio, t, 0.06455215);
    ratio = fma(ratio, t, -0.018031955);
    ratio = fma(ratio, t, 0.10360867);
    ratio = fma(ratio, t, 0.06595363);
    ratio = fma(ratio, t, 0.09685896);
    ratio = fma(ratio, t, 0.099324);
    ratio = fma(ratio, t, 0.099757);
    let bell = exp(-0.5 * z * z);
    let tail = bell * ratio * t;
    return vec2<f32>(select(1.0 - tail, tail, z < 0.0), bell * 0.3989423);
}

fn gelu(z: f32) -> f32 {
    return z * normal(z).x;
}

fn gelu_slope(z: f32) -> f32 {
    let both = normal(z);
    return both.x + z * both.y;
}
