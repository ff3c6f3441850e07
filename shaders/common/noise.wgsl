// Noise without state, bit for bit that of crates/electra-kernels/src/noise.rs.
// Keys are 64 bits wide, as (low, high): WGSL has no such integers, so they are multiplied in halves. A key is made
// once a row; per element it is 32-bit arithmetic alone.

// The product's 64 bits of two 32-bit numbers.
fn multiply_wide(a: u32, b: u32) -> vec2<u32> {
    let a0 = a & 0xffffu;
    let a1 = a >> 16u;
    let b0 = b & 0xffffu;
    let b1 = b >> 16u;
    let low = a0 * b0;
    let middle = a1 * b0 + (low >> 16u);
    let other = a0 * b1 + (middle & 0xffffu);
    return vec2<u32>((other << 16u) | (low & 0xffffu), a1 * b1 + (middle >> 16u) + (other >> 16u));
}

fn multiply64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    var product = multiply_wide(a.x, b.x);
    product.y += a.x * b.y + a.y * b.x;
    return product;
}

fn add64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let low = a.x + b.x;
    return vec2<u32>(low, a.y + b.y + select(0u, 1u, low < a.x));
}

// x ^ (x >> bits), 0 < bits < 32.
fn fold64(x: vec2<u32>, bits: u32) -> vec2<u32> {
    return vec2<u32>(x.x ^ ((x.x >> bits) | (x.y << (32u - bits))), x.y ^ (x.y >> bits));
}

fn split_mix(key: vec2<u32>) -> vec2<u32> {
    var x = multiply64(fold64(key, 30u), vec2<u32>(0x1ce4e5b9u, 0xbf58476du));
    x = multiply64(fold64(x, 27u), vec2<u32>(0x133111ebu, 0x94d049bbu));
    return fold64(x, 31u);
}

// NoiseKey::child
fn child_key(key: vec2<u32>, part: u32) -> vec2<u32> {
    let golden = vec2<u32>(0x7f4a7c15u, 0x9e3779b9u);
    return split_mix(key ^ split_mix(add64(multiply64(vec2<u32>(part, 0u), golden), golden)));
}

fn mix32(value: u32) -> u32 {
    var x = (value ^ (value >> 16u)) * 0x7feb352du;
    x = (x ^ (x >> 15u)) * 0x846ca68bu;
    return x ^ (x >> 16u);
}

// NoiseKey::bits
fn noise_bits(key: vec2<u32>, index: u32) -> u32 {
    return mix32(mix32(index ^ key.x) + key.y);
}

// Dropout's factor: 0 or 1 / (1 - p).
fn keep_factor(key: vec2<u32>, index: u32, threshold: u32, scale: f32) -> f32 {
    return select(0.0, scale, noise_bits(key, index) >= threshold);
}
