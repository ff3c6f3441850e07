// Adds the parts of a product whose k was cut: result[i] = sum over s of parts[s][i], s ascending.
// Pairs with crates/electra-kernels/src/gpu/product/mod.rs
//#include launch
@group(0) @binding(0) var<storage, read_write> parts: array<f32>;
@group(0) @binding(1) var<storage, read_write> result: array<f32>;
//#if SUMS
@group(0) @binding(2) var<storage, read_write> sums: array<f32>;
//#end

@compute @workgroup_size({{WORKGROUP}}, 1, 1)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let index = workgroup_number(id, grid) * WORKGROUP + lane;
    let length = sizes[1];
    let whole = length + sizes[2];
    if (index >= whole) {
        return;
    }
    var sum = 0.0;
    for (var part = 0u; part < sizes[3]; part++) {
        sum += parts[part * whole + index];
    }
    if (index < length) {
//#if ACCUMULATE
        sum += result[index];
//#end
        result[index] = sum;
    }
//#if SUMS
    else {
//#if ACCUMULATE
        sum += sums[index - length];
//#end
        sums[index - length] = sum;
    }
//#end
}
