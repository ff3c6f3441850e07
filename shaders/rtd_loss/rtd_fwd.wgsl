// Replaced token detection, forward: sum over the tokens of max(d, 0) - d y + log(1 + exp(-|d|)), over their number.
// A single workgroup: one order, whatever the device.
// Pairs with crates/electra-kernels/src/ops/rtd_loss/gpu.rs
//#include launch
//#include reduce
@group(0) @binding(0) var<storage, read_write> logits: array<f32>; // [batch, seq], only read
@group(0) @binding(1) var<storage, read_write> labels: array<f32>; // the same: 1 where replaced
@group(0) @binding(2) var<storage, read_write> mask: array<f32>;   // the same: 0 for padding
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;   // [1]

// log(1 + x), 0 <= x <= 1: WGSL's log(1 + x) loses small x.
fn log1p(x: f32) -> f32 {
    let u = 1.0 + x;
    return select(log(u) * (x / (u - 1.0)), x, u == 1.0);
}

@compute @workgroup_size({{WORKGROUP}}, 1, 1)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    var sum = 0.0;
    for (var index = lane; index < sizes[1]; index += WORKGROUP) {
        let d = logits[index];
        sum += mask[index] * (max(d, 0.0) - d * labels[index] + log1p(exp(-abs(d))));
    }
    let total = workgroup_sum(vec2<f32>(sum, 0.0), lane).x;
    if (lane == 0u) {
        loss[0] = total * bitcast<f32>(sizes[2]);
    }
}
