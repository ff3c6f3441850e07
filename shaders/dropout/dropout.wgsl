// Dropout alone: y = x * M. The backward pass is the same, with dy in the place of x.
// A workgroup stays within one example, so that an invocation makes the example's key once for 8 values.
// Pairs with crates/electra-kernels/src/ops/dropout/gpu.rs
//#include launch
//#include noise
@group(0) @binding(0) var<storage, read_write> x: array<f32>; // [examples, per_example], only read
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size({{WORKGROUP}}, 1, 1)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let group = workgroup_number(id, grid);
    let per_example = sizes[1];
    let blocks = sizes[2];
    let example = group / blocks;
    let key = child_key(vec2<u32>(sizes[3], sizes[4]), sizes[7u + example]);
    let first = group % blocks * WORKGROUP * 8u + lane;
//#for i in 0..8
    {
        let index = first + {{i}}u * WORKGROUP;
        if (index < per_example) {
            let at = example * per_example + index;
            y[at] = x[at] * keep_factor(key, index, sizes[5], bitcast<f32>(sizes[6]));
        }
    }
//#end
}
