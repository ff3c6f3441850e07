// GELU by itself, over any array: values again in the backward pass, or a gradient led through it.
//   SLOPE: y = dy * gelu'(z);  else y = gelu(z)
// Pairs with crates/electra-kernels/src/gpu/gelu.rs
//#include launch
//#include gelu
@group(0) @binding(0) var<storage, read_write> z: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
//#if SLOPE
@group(0) @binding(2) var<storage, read_write> dy: array<f32>;
//#end

@compute @workgroup_size({{WORKGROUP}}, 1, 1)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let index = workgroup_number(id, grid) * WORKGROUP + lane;
    if (index >= sizes[1]) {
        return;
    }
//#if SLOPE
    y[index] = dy[index] * gelu_slope(z[index]);
//#else
    y[index] = gelu(z[index]);
//#end
}
