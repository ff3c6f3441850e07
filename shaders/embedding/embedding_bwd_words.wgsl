// The gradient of a table that was looked up: every row is the sum, in the tokens' order, of the gradients of its tokens.
// One invocation per row and 4 columns finds the row's tokens in the sorted ids by bisection: no atomics, one order.
// Pairs with crates/electra-kernels/src/ops/embedding/gpu.rs
//#include launch
@group(0) @binding(0) var<storage, read_write> sorted: array<i32>;   // [2, tokens]: ids, tokens; only read
@group(0) @binding(1) var<storage, read_write> gradient: array<f32>; // [tokens, width], only read
@group(0) @binding(2) var<storage, read_write> result: array<f32>;   // [rows, width]

@compute @workgroup_size({{WORKGROUP}}, 1, 1)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let index = workgroup_number(id, grid) * WORKGROUP + lane;
    let tokens = sizes[1];
    let width = sizes[2];
    let rows = sizes[3];
    // Id of row 0.
    let first_id = sizes[4];
    let blocks = (width + 3u) / 4u;
    let row = index / blocks;
    if (row >= rows) {
        return;
    }
    var low = 0u;
    var high = tokens;
    while (low < high) {
        let middle = (low + high) / 2u;
        if (sorted[middle] < i32(first_id + row)) {
            low = middle + 1u;
        } else {
            high = middle;
        }
    }
    let column = index % blocks * 4u;
//#for i in 0..4
    let column{{i}} = min(column + {{i}}u, width - 1u);
    var sum{{i}} = 0.0;
//#end
    for (var place = low; place < tokens; place++) {
        if (sorted[place] != i32(first_id + row)) {
            break;
        }
        let first = u32(sorted[tokens + place]) * width;
//#for i in 0..4
        sum{{i}} += gradient[first + column{{i}}];
//#end
    }
//#for i in 0..4
    if (column + {{i}}u < width) {
        result[row * width + column + {{i}}u] = sum{{i}};
    }
//#end
}
