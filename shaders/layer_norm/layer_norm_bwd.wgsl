// Layer normalization, backward to its input and to the branch before it. One workgroup per row.
//   g = dy * gamma;  xhat = (z - mean) * rstd;  dz = rstd * (g - mean(g) - xhat * mean(g * xhat));  d_branch = dz * M
// Pairs with crates/electra-kernels/src/ops/layer_norm/gpu.rs
//#include launch
//#include part
//#include reduce
//#if DROPOUT
//#include noise
//#include noise_part
//#end
@group(0) @binding(0) var<storage, read_write> dy: array<Part>;     // [rows, hidden], only read
@group(0) @binding(1) var<storage, read_write> z: array<Part>;      // [rows, hidden], only read
@group(0) @binding(2) var<storage, read_write> gamma: array<Part>;  // [hidden], only read
@group(0) @binding(3) var<storage, read_write> stats: array<f32>;  // [rows, 2], only read
@group(0) @binding(4) var<storage, read_write> dz: array<Part>;     // [rows, hidden]
//#if DROPOUT
@group(0) @binding(5) var<storage, read_write> d_branch: array<Part>; // [rows, hidden]
//#end

@compute @workgroup_size({{WORKGROUP}}, 1, 1)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let row = workgroup_number(id, grid);
    let hidden = sizes[1];
    let parts = hidden / WIDTH;
    let first = row * parts;
    let mean = stats[2u * row];
    let rstd = stats[2u * row + 1u];
    var sums = vec2<f32>();
    for (var part = lane; part < parts; part += WORKGROUP) {
        let g = dy[first + part] * gamma[part];
        sums += vec2<f32>(part_sum(g), part_sum(g * (z[first + part] - mean)) * rstd);
    }
    let means = workgroup_sum(sums, lane) / f32(hidden);
//#if DROPOUT
    let rows_per_example = sizes[3];
    let key = child_key(vec2<u32>(sizes[4], sizes[5]), sizes[8u + row / rows_per_example]);
    let inside = row % rows_per_example * hidden;
//#end
    for (var part = lane; part < parts; part += WORKGROUP) {
        let g = dy[first + part] * gamma[part];
        let value = rstd * (g - means.x - (z[first + part] - mean) * (rstd * means.y));
        dz[first + part] = value;
//#if DROPOUT
        d_branch[first + part] = value * keep_part(key, inside + part * WIDTH, sizes[6], bitcast<f32>(sizes[7]));
//#end
    }
}
