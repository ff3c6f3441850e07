// Sums of squares of an arena of gradients, a stretch each workgroup.
// Pairs with crates/electra-kernels/src/ops/adam/gpu.rs
//#include launch
//#include reduce
@group(0) @binding(0) var<storage, read_write> gradients: array<f32>; // [length], only read
@group(0) @binding(1) var<storage, read_write> sums: array<f32>;      // [all workgroups of all arenas]

@compute @workgroup_size({{WORKGROUP}}, 1, 1)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let group = workgroup_number(id, grid);
    let length = sizes[2];
    let last = min(sizes[1], (group + 1u) * length);
    var sum = 0.0;
    for (var index = group * length + lane; index < last; index += WORKGROUP) {
        sum += gradients[index] * gradients[index];
    }
    let total = workgroup_sum(vec2<f32>(sum, 0.0), lane).x;
    if (lane == 0u) {
        sums[sizes[3] + group] = total;
    }
}
