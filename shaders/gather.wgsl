// The hidden states of chosen positions, and their gradients on the way back.
//   FORWARD: result[example, slot] = x[example, position of the slot]
//   else: result[token] = sum over the slots that chose it, in their order: a position may be chosen twice, or never
// Pairs with crates/electra-kernels/src/gpu/gather.rs
//#include launch
@group(0) @binding(0) var<storage, read_write> x: array<f32>;         // [batch, seq or slots, width], only read
@group(0) @binding(1) var<storage, read_write> positions: array<i32>; // [batch, slots], only read
@group(0) @binding(2) var<storage, read_write> result: array<f32>;    // [batch, slots or seq, width]

@compute @workgroup_size({{WORKGROUP}}, 1, 1)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let index = workgroup_number(id, grid) * WORKGROUP + lane;
    let batch = sizes[1];
    let seq = sizes[2];
    let slots = sizes[3];
    let width = sizes[4];
    let row = index / width;
    let column = index % width;
//#if FORWARD
    if (row >= batch * slots) {
        return;
    }
    let position = min(u32(positions[row]), seq - 1u);
    result[index] = x[(row / slots * seq + position) * width + column];
//#else
    if (row >= batch * seq) {
        return;
    }
    let first = row / seq * slots;
    let own = i32(row % seq);
    var sum = 0.0;
    for (var slot = first; slot < first + slots; slot++) {
        if (positions[slot] == own) {
            sum += x[slot * width + column];
        }
    }
    result[index] = sum;
//#end
}
