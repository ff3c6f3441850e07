// values * (factor[0] * share): a gradient that was made in the forward pass meets the gradient of its loss, and is made
// that of a mean.
// Pairs with crates/electra-kernels/src/ops/mlm_loss/gpu.rs
//#include launch
@group(0) @binding(0) var<storage, read_write> values: array<f32>;
@group(0) @binding(1) var<storage, read_write> factor: array<f32>; // [1], only read
@group(0) @binding(2) var<storage, read_write> result: array<f32>;

@compute @workgroup_size({{WORKGROUP}}, 1, 1)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let index = workgroup_number(id, grid) * WORKGROUP + lane;
    if (index < sizes[1]) {
        result[index] = values[index] * (factor[0] * bitcast<f32>(sizes[2]));
    }
}
