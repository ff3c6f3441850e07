// Layer normalization, forward, alone or after a residual connection with dropout. One workgroup per row.
//   z = x + branch * M;  y = (z - mean) * rstd * gamma + beta
// Two passes, not E[z^2] - E[z]^2: that form cancels badly in f32 when |mean| is large.
// Rows are read in parts: vectors of 4 values where `hidden` divides, since a load costs the same on some adapters.
// Pairs with crates/electra-kernels/src/ops/layer_norm/gpu.rs
//#include launch
//#include part
//#include reduce
//#if DROPOUT
//#include noise
//#include noise_part
//#end
@group(0) @binding(0) var<storage, read_write> x: array<Part>;      // [rows, hidden], only read
@group(0) @binding(1) var<storage, read_write> gamma: array<Part>;  // [hidden], only read
@group(0) @binding(2) var<storage, read_write> beta: array<Part>;   // [hidden], only read
@group(0) @binding(3) var<storage, read_write> y: array<Part>;      // [rows, hidden]
@group(0) @binding(4) var<storage, read_write> stats: array<f32>;  // [rows, 2]: mean, 1 / standard deviation
//#if BRANCH
@group(0) @binding(5) var<storage, read_write> branch: array<Part>; // [rows, hidden], only read
@group(0) @binding(6) var<storage, read_write> z: array<Part>;      // [rows, hidden]
//#end

@compute @workgroup_size({{WORKGROUP}}, 1, 1)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let row = workgroup_number(id, grid);
    let hidden = sizes[1];
    let parts = hidden / WIDTH;
    let first = row * parts;
//#if DROPOUT
    let rows_per_example = sizes[3];
    let key = child_key(vec2<u32>(sizes[4], sizes[5]), sizes[8u + row / rows_per_example]);
    let inside = row % rows_per_example * hidden;
//#end
    var sum = 0.0;
    for (var part = lane; part < parts; part += WORKGROUP) {
//#if BRANCH
        var added = branch[first + part];
//#if DROPOUT
        added *= keep_part(key, inside + part * WIDTH, sizes[6], bitcast<f32>(sizes[7]));
//#end
        let value = x[first + part] + added;
        z[first + part] = value;
//#else
        let value = x[first + part];
//#end
        sum += part_sum(value);
    }
    let mean = workgroup_sum(vec2<f32>(sum, 0.0), lane).x / f32(hidden);
    var squares = 0.0;
    for (var part = lane; part < parts; part += WORKGROUP) {
//#if BRANCH
        let centred = z[first + part] - mean;
//#else
        let centred = x[first + part] - mean;
//#end
        squares += part_sum(centred * centred);
    }
    let variance = workgroup_sum(vec2<f32>(squares, 0.0), lane).x / f32(hidden);
    let rstd = 1.0 / sqrt(variance + bitcast<f32>(sizes[2]));
    for (var part = lane; part < parts; part += WORKGROUP) {
//#if BRANCH
        let centred = z[first + part] - mean;
//#else
        let centred = x[first + part] - mean;
//#end
        y[first + part] = centred * rstd * gamma[part] + beta[part];
    }
    if (lane == 0u) {
        stats[2u * row] = mean;
        stats[2u * row + 1u] = rstd;
    }
}
