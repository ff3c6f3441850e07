// A sum of embeddings, and the rows of one more piece of the word table: where a token's word lies in that piece.
// Pairs with crates/electra-kernels/src/ops/embedding/gpu.rs
//#include launch
@group(0) @binding(0) var<storage, read_write> sum: array<f32>;    // [batch * seq, width], only read
@group(0) @binding(1) var<storage, read_write> words: array<f32>;  // [rows of the piece, width], only read
@group(0) @binding(2) var<storage, read_write> ids: array<i32>;    // [batch, seq], only read
@group(0) @binding(3) var<storage, read_write> result: array<f32>; // [batch * seq, width]

@compute @workgroup_size({{WORKGROUP}}, 1, 1)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let index = workgroup_number(id, grid) * WORKGROUP + lane;
    let width = sizes[2];
    if (index >= sizes[1] * width) {
        return;
    }
    let first = sizes[3];
    let rows = sizes[4];
    // A wrong id must not read outside the table: it reads the last row, as where the table is whole.
    let word = min(u32(ids[index / width]), sizes[5] - 1u);
    // Below the first row the difference wraps, and is no row of the piece either.
    let row = min(word - first, rows);
    let value = words[min(row, rows - 1u) * width + index % width];
    result[index] = sum[index] + select(0.0, value, row < rows);
}
