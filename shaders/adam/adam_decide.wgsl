// What this update is to be, decided on the device, so that nobody waits for the gradient's norm: the scale that clips
// it, whether to skip (a loss or a norm that is NaN or infinite), and the corrections of the moments' bias.
//   state: updates made so far, scale, 1 if this update is made, both corrections
//   report: norm before clipping, 1 if the update is made, the loss scale
// SCALED: the gradients are those of the loss times a factor, which falls where they overflow and grows after a long time
// without that (LossScale::after in crates/electra-kernels/src/types/loss_scale.rs). It is a power of two: it changes no digit.
// Pairs with crates/electra-kernels/src/ops/adam/gpu.rs
//#include launch
//#include reduce
@group(0) @binding(0) var<storage, read_write> sums: array<f32>;   // [length], only read
@group(0) @binding(1) var<storage, read_write> loss: array<f32>;   // [1], only read
@group(0) @binding(2) var<storage, read_write> state: array<f32>;  // [5]
@group(0) @binding(3) var<storage, read_write> report: array<f32>; // [3]
//#if SCALED
@group(0) @binding(4) var<storage, read_write> loss_scale: array<f32>; // [2]: factor, steps since it changed
//#end

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
//#if SCALED
    let factor = loss_scale[0];
//#else
    let factor = 1.0;
//#end
    let norm = sqrt(total) / factor;
    let clip = bitcast<f32>(sizes[2]);
    let made = is_finite(total) && is_finite(loss[0]);
    let updates = state[0] + select(0.0, 1.0, made);
    state[0] = updates;
    state[1] = select(1.0, clip / norm, norm > clip) / factor;
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
    report[2] = factor;
//#if SCALED
    // A loss that is NaN or infinite is not the gradients' overflow: a smaller factor would not mend it.
    if (is_finite(loss[0])) {
        let good_steps = loss_scale[1] + 1.0;
        if (!made) {
            loss_scale[0] = max(0.5 * factor, 1.0);
            loss_scale[1] = 0.0;
        } else if (good_steps >= bitcast<f32>(sizes[5])) {
            loss_scale[0] = min(2.0 * factor, bitcast<f32>(sizes[6]));
            loss_scale[1] = 0.0;
        } else {
            loss_scale[1] = good_steps;
        }
    }
//#end
}
