// GELU by itself, over any array: values again in the backward pass, or a gradient led through it.
//   SLOPE: y = dy * gelu'(z);  else y = gelu(z)
// Pairs with crates/electra-kernels/src/ops/linear_gelu/gpu.rs
//#include launch
//#include gelu
//#include part
@group(0) @binding(0) var<storage, read_write> z: array<Part>;
@group(0) @binding(1) var<storage, read_write> y: array<Part>;
//#if SLOPE
@group(0) @binding(2) var<storage, read_write> dy: array<Part>;
//#end

//#if VECTOR
fn of_part(z: Part) -> Part {
//#if SLOPE
    return Part(gelu_slope(z.x), gelu_slope(z.y), gelu_slope(z.z), gelu_slope(z.w));
//#else
    return Part(gelu(z.x), gelu(z.y), gelu(z.z), gelu(z.w));
//#end
}
//#else
fn of_part(z: Part) -> Part {
//#if SLOPE
    return gelu_slope(z);
//#else
    return gelu(z);
//#end
}
//#end

@compute @workgroup_size({{WORKGROUP}}, 1, 1)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let part = workgroup_number(id, grid) * WORKGROUP + lane;
    if (part >= sizes[1]) {
        return;
    }
//#if SLOPE
    y[part] = dy[part] * of_part(z[part]);
//#else
    y[part] = of_part(z[part]);
//#end
}
