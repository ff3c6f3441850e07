// What this update is to be, decided on the device, so that nobody waits for the gradient's norm: the scale that clips
// it, whether to skip (a loss or a norm that is no number), and the corrections of the moments' bias.
//   state: updates made so far, scale, 1 if this update is made, both corrections
//   report: norm before clipping, 1 if the update is made
// Pairs with crates/electra-kernels/src/gpu/adam.rs
//#include launch
//#include reduce
@group(0) @binding(0) var<storage, read_write> sums: array<f32>;   // [length], only read
@group(0) @binding(1) var<storage, read_write> loss: array<f32>;   // [1], only read
@group(0) @binding(2) var<storage, read_write> state: array<f32>;  // [5]
@group(0) @binding(3) var<storage, read_write> report: array<f32>; // [2]

// By its bits: a compiler may take x == x for true.
fn is_finite(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u;
}

@compute @workgroup_size({{WORKGROUP}}, 1, 1)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    var sum = 0.0;
    for (var index = lane; index < sizes[1]; index += WORKGROUP) {
        sum += sums[index];
    }
    let total = workgroup_sum(vec2<f32>(sum, 0.0), lane).x;
    if (lane != 0u) {
        return;
    }
    let norm = sqrt(total);
    let clip = bitcast<f32>(sizes[2]);
    let made = is_finite(total) && is_finite(loss[0]);
    let updates = state[0] + select(0.0, 1.0, made);
    state[0] = updates;
    state[1] = select(1.0, clip / norm, norm > clip);
    state[2] = select(0.0, 1.0, made);
//#if CORRECT
    state[3] = 1.0 / (1.0 - pow(bitcast<f32>(sizes[3]), updates));
    state[4] = 1.0 / (1.0 - pow(bitcast<f32>(sizes[4]), updates));
//#else
    state[3] = 1.0;
    state[4] = 1.0;
//#end
    report[0] = norm;
    report[1] = select(0.0, 1.0, made);
}
