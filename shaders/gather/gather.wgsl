// The hidden states of chosen positions, and their gradients on the way back.
//   FORWARD: result[example, masked position] = x[example, position of the masked position]
//   else: result[token] = sum over the masked positions that chose it, in their order: a position may be chosen twice, or never
// Pairs with crates/electra-kernels/src/ops/gather/gpu.rs
//#include launch
@group(0) @binding(0) var<storage, read_write> x: array<f32>;         // [batch, seq or masked, width], only read
@group(0) @binding(1) var<storage, read_write> positions: array<i32>; // [batch, masked], only read
@group(0) @binding(2) var<storage, read_write> result: array<f32>;    // [batch, masked or seq, width]

@compute @workgroup_size({{WORKGROUP}}, 1, 1)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let index = workgroup_number(id, grid) * WORKGROUP + lane;
    let batch = sizes[1];
    let seq = sizes[2];
    let masked = sizes[3];
    let width = sizes[4];
    let row = index / width;
    let column = index % width;
//#if FORWARD
    if (row >= batch * masked) {
        return;
    }
    let position = min(u32(positions[row]), seq - 1u);
    result[index] = x[(row / masked * seq + position) * width + column];
//#else
    if (row >= batch * seq) {
        return;
    }
    let first = row / seq * masked;
    let own = i32(row % seq);
    var sum = 0.0;
    for (var masked_position = first; masked_position < first + masked; masked_position++) {
        if (positions[masked_position] == own) {
            sum += x[masked_position * width + column];
        }
    }
    result[index] = sum;
//#end
}
