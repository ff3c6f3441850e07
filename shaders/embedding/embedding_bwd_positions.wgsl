// The gradient of the position table: the sum over the batch, and 0 beyond the sequence's length.
// Pairs with crates/electra-kernels/src/ops/embedding/gpu.rs
//#include launch
@group(0) @binding(0) var<storage, read_write> gradient: array<f32>; // [batch * seq, width], only read
@group(0) @binding(1) var<storage, read_write> result: array<f32>;   // [rows, width]

@compute @workgroup_size({{WORKGROUP}}, 1, 1)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let index = workgroup_number(id, grid) * WORKGROUP + lane;
    let batch = sizes[1];
    let length = sizes[2]; // seq * width
    if (index >= sizes[3]) {
        return;
    }
    var sum = 0.0;
    if (index < length) {
        for (var example = 0u; example < batch; example++) {
            sum += gradient[example * length + index];
        }
    }
    result[index] = sum;
}
