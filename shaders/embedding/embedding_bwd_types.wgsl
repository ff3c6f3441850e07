// The gradient of the segment table, which has few rows and many tokens each: parts of the tokens side by side, each
// [rows, width], which sum_parts.wgsl adds in order.
// Pairs with crates/electra-kernels/src/ops/embedding/gpu.rs
//#include launch
@group(0) @binding(0) var<storage, read_write> ids: array<i32>;      // [tokens], only read
@group(0) @binding(1) var<storage, read_write> gradient: array<f32>; // [tokens, width], only read
@group(0) @binding(2) var<storage, read_write> parts: array<f32>;    // [parts, rows, width]

@compute @workgroup_size({{WORKGROUP}}, 1, 1)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let index = workgroup_number(id, grid) * WORKGROUP + lane;
    let tokens = sizes[1];
    let width = sizes[2];
    let length = sizes[3] * width;
    if (index >= sizes[4] * length) {
        return;
    }
    let part = index / length;
    let row = i32(index % length / width);
    let column = index % width;
    let last = min(tokens, (part + 1u) * sizes[5]);
    var sum = 0.0;
    for (var token = part * sizes[5]; token < last; token++) {
        sum += select(0.0, gradient[token * width + column], ids[token] == row);
    }
    parts[index] = sum;
}
