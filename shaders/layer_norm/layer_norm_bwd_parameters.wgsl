// Layer normalization, backward to gamma and beta: one column of one part of the rows each invocation.
//   dgamma = sum over rows of dy * xhat;  dbeta = sum over rows of dy
// Part s writes [2, hidden]; sum_parts.wgsl adds the parts in order where there are several.
// Pairs with crates/electra-kernels/src/ops/layer_norm/gpu.rs
//#include launch
@group(0) @binding(0) var<storage, read_write> dy: array<f32>;     // [rows, hidden], only read
@group(0) @binding(1) var<storage, read_write> z: array<f32>;      // [rows, hidden], only read
@group(0) @binding(2) var<storage, read_write> stats: array<f32>;  // [rows, 2], only read
//#if SPLIT
@group(0) @binding(3) var<storage, read_write> parts: array<f32>;  // [parts, 2, hidden]
//#else
@group(0) @binding(3) var<storage, read_write> dgamma: array<f32>; // [hidden]
@group(0) @binding(4) var<storage, read_write> dbeta: array<f32>;  // [hidden]
//#end

@compute @workgroup_size({{WORKGROUP}}, 1, 1)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let group = workgroup_number(id, grid);
    let rows = sizes[1];
    let hidden = sizes[2];
    let blocks = sizes[3];
    let length = sizes[4];
    let part = group / blocks;
    let column = group % blocks * WORKGROUP + lane;
    if (column >= hidden) {
        return;
    }
    var of_gamma = 0.0;
    var of_beta = 0.0;
    let last = min(rows, (part + 1u) * length);
    for (var row = part * length; row < last; row++) {
        let g = dy[row * hidden + column];
        of_gamma += g * (z[row * hidden + column] - stats[2u * row]) * stats[2u * row + 1u];
        of_beta += g;
    }
//#if SPLIT
    parts[part * 2u * hidden + column] = of_gamma;
    parts[(part * 2u + 1u) * hidden + column] = of_beta;
//#else
    dgamma[column] = of_gamma;
    dbeta[column] = of_beta;
//#end
}
