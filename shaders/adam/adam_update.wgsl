// One update of Adam with decoupled weight decay, in place, over an arena of parameters.
//   m' = beta1 m + (1 - beta1) g;  v' = beta2 v + (1 - beta2) g^2,  g the clipped gradient
//   p' = p - rate (c1 m' / (sqrt(c2 v') + epsilon) + decay p)
// Four values each invocation. Blocks of 64 values share their rules: the factor of the learning rate and the decay; a factor below 0 leaves a block
// alone, moments included, as the reference leaves variables without a gradient.
// Pairs with crates/electra-kernels/src/ops/adam/gpu.rs
//#include launch
@group(0) @binding(0) var<storage, read_write> parameters: array<vec4<f32>>; // [length / 4]
@group(0) @binding(1) var<storage, read_write> m: array<vec4<f32>>;          // the same
@group(0) @binding(2) var<storage, read_write> v: array<vec4<f32>>;          // the same
@group(0) @binding(3) var<storage, read_write> gradients: array<vec4<f32>>;  // the same, only read
@group(0) @binding(4) var<storage, read_write> rules: array<vec2<f32>>;      // [length / 64], only read
@group(0) @binding(5) var<storage, read_write> state: array<f32>;            // of adam_decide.wgsl, only read

@compute @workgroup_size({{WORKGROUP}}, 1, 1)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let index = workgroup_number(id, grid) * WORKGROUP + lane;
    if (index >= sizes[1] || state[2] == 0.0) {
        return;
    }
    let rule = rules[index / 16u];
    if (rule.x < 0.0) {
        return;
    }
    let rate = bitcast<f32>(sizes[2]) * rule.x;
    let beta1 = bitcast<f32>(sizes[3]);
    let beta2 = bitcast<f32>(sizes[4]);
    let g = gradients[index] * state[1];
    let first = beta1 * m[index] + bitcast<f32>(sizes[5]) * g;
    let second = beta2 * v[index] + bitcast<f32>(sizes[6]) * (g * g);
    m[index] = first;
    v[index] = second;
    let p = parameters[index];
    let step = state[3] * first / (sqrt(state[4] * second) + bitcast<f32>(sizes[7])) + rule.y * p;
    parameters[index] = p - rate * step;
}
