// Puts the generator's samples in the originals' places, and says where a token now differs.
// Masked positions of weight 0 are unused. Where several chose one position (`paper_exact` only) their ids are averaged, rounded
// down, as in the reference's scatter_update.
// Pairs with crates/electra-kernels/src/ops/corrupt/gpu.rs
//#include launch
@group(0) @binding(0) var<storage, read_write> original: array<i32>;    // [batch, seq], only read
@group(0) @binding(1) var<storage, read_write> positions: array<i32>;   // [batch, masked], only read
@group(0) @binding(2) var<storage, read_write> weights: array<f32>;     // [batch, masked], only read
@group(0) @binding(3) var<storage, read_write> samples: array<i32>;     // [batch, masked], only read
@group(0) @binding(4) var<storage, read_write> corrupted: array<i32>;   // [batch, seq]
@group(0) @binding(5) var<storage, read_write> is_replaced: array<f32>; // [batch, seq]

@compute @workgroup_size({{WORKGROUP}}, 1, 1)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let token = workgroup_number(id, grid) * WORKGROUP + lane;
    let seq = sizes[2];
    let masked = sizes[3];
    if (token >= sizes[1] * seq) {
        return;
    }
    let first = token / seq * masked;
    let own = i32(token % seq);
    var sum = 0;
    var count = 0;
    for (var masked_position = first; masked_position < first + masked; masked_position++) {
        if (positions[masked_position] == own && weights[masked_position] > 0.0) {
            sum += samples[masked_position];
            count++;
        }
    }
    let was = original[token];
    let now = select(was, sum / max(count, 1), count > 0);
    corrupted[token] = now;
    is_replaced[token] = select(0.0, 1.0, now != was);
}
