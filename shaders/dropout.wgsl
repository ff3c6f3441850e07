// Dropout alone: y = x * M. The backward pass is the same, with dy in the place of x.
// Pairs with crates/electra-kernels/src/gpu/dropout.rs
//#include launch
//#include noise
@group(0) @binding(0) var<storage, read_write> x: array<f32>; // [examples, per_example], only read
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size({{WORKGROUP}}, 1, 1)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let index = workgroup_number(id, grid) * WORKGROUP + lane;
    if (index >= sizes[1]) {
        return;
    }
    let per_example = sizes[2];
    let key = child_key(vec2<u32>(sizes[3], sizes[4]), sizes[7u + index / per_example]);
    y[index] = x[index] * keep_factor(key, index % per_example, sizes[5], bitcast<f32>(sizes[6]));
}
