// Log-probabilities of given tokens, backward: rows of logits become the gradient of their negative log-likelihoods.
//   dz = w (exp(z - top) / sum - [v = target]),  w: the gradient of the row's result, of either sign
// `softmax` keeps top and sum of each row from the forward pass (mlm_rows.wgsl), so that a value an invocation will do, and the
// columns of a piece of the table know nothing of the others.
// Pairs with crates/electra-kernels/src/ops/token_log_probabilities/gpu.rs
//#include launch
@group(0) @binding(0) var<storage, read_write> logits: array<f32>;        // [rows of this chunk, columns of this piece]
@group(0) @binding(1) var<storage, read_write> targets: array<i32>;       // [all rows], only read
@group(0) @binding(2) var<storage, read_write> softmax: array<vec2<f32>>; // [all rows], only read
@group(0) @binding(3) var<storage, read_write> upstream: array<f32>;      // [all rows], only read

@compute @workgroup_size({{WORKGROUP}}, 1, 1)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let index = workgroup_number(id, grid) * WORKGROUP + lane;
    let columns = sizes[2];
    if (index < sizes[1]) {
        let row = sizes[3] + index / columns;
        let of_row = softmax[row];
        let is_target = sizes[4] + index % columns == u32(targets[row]);
        let share = exp(logits[index] - of_row.x) / of_row.y - select(0.0, 1.0, is_target);
        logits[index] = share * upstream[row];
    }
}
