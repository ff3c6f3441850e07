// result[0] = scale * sum of values * weights, by a single workgroup: one order, whatever the device.
// Pairs with crates/electra-kernels/src/ops/mlm_loss/gpu.rs
//#include launch
//#include reduce
@group(0) @binding(0) var<storage, read_write> values: array<f32>;  // [length], only read
@group(0) @binding(1) var<storage, read_write> weights: array<f32>; // [length], only read
@group(0) @binding(2) var<storage, read_write> result: array<f32>;  // [1]

@compute @workgroup_size({{WORKGROUP}}, 1, 1)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    var sum = 0.0;
    for (var index = lane; index < sizes[1]; index += WORKGROUP) {
        sum += values[index] * weights[index];
    }
    let total = workgroup_sum(vec2<f32>(sum, 0.0), lane).x;
    if (lane == 0u) {
        result[0] = total * bitcast<f32>(sizes[2]);
    }
}
