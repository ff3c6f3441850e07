// The sum of three table rows for every token: word, position, segment.
// CUT: the word table is the first piece of a larger one, and a word beyond it adds nothing here (embeddings_piece.wgsl).
// Pairs with crates/electra-kernels/src/ops/embedding/gpu.rs
//#include launch
@group(0) @binding(0) var<storage, read_write> words: array<f32>;     // [vocab, width], only read
@group(0) @binding(1) var<storage, read_write> positions: array<f32>; // [max_positions, width], only read
@group(0) @binding(2) var<storage, read_write> types: array<f32>;     // [types, width], only read
@group(0) @binding(3) var<storage, read_write> ids: array<i32>;       // [batch, seq], only read
@group(0) @binding(4) var<storage, read_write> type_ids: array<i32>;  // [batch, seq], only read
@group(0) @binding(5) var<storage, read_write> result: array<f32>;    // [batch * seq, width]

@compute @workgroup_size({{WORKGROUP}}, 1, 1)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let index = workgroup_number(id, grid) * WORKGROUP + lane;
    let width = sizes[2];
    if (index >= sizes[1] * width) {
        return;
    }
    let token = index / width;
    let column = index % width;
    // A wrong id must not read outside the table: it reads the last row.
    let word = min(u32(ids[token]), sizes[4] - 1u);
    let kind = min(u32(type_ids[token]), sizes[5] - 1u);
//#if CUT
    let rows = sizes[6];
    let of_word = select(0.0, words[min(word, rows - 1u) * width + column], word < rows);
//#else
    let of_word = words[word * width + column];
//#end
    result[index] = (of_word + types[kind * width + column])
        + positions[token % sizes[3] * width + column];
}
