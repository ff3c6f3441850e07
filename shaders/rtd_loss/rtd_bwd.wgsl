// Replaced token detection, backward: dd = upstream * mask * (sigmoid(d) - y) / number of tokens.
// Pairs with crates/electra-kernels/src/ops/rtd_loss/gpu.rs
//#include launch
@group(0) @binding(0) var<storage, read_write> logits: array<f32>;   // [batch, seq], only read
@group(0) @binding(1) var<storage, read_write> labels: array<f32>;   // the same
@group(0) @binding(2) var<storage, read_write> mask: array<f32>;     // the same
@group(0) @binding(3) var<storage, read_write> upstream: array<f32>; // [1], only read
@group(0) @binding(4) var<storage, read_write> result: array<f32>;   // [batch, seq]

@compute @workgroup_size({{WORKGROUP}}, 1, 1)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let index = workgroup_number(id, grid) * WORKGROUP + lane;
    if (index >= sizes[1]) {
        return;
    }
    let d = logits[index];
    // exp of a negative number: overflows for no logit.
    let small = exp(-abs(d));
    let sigmoid = select(small, 1.0, d >= 0.0) / (1.0 + small);
    result[index] = upstream[0] * mask[index] * (sigmoid - labels[index]) * bitcast<f32>(sizes[2]);
}
