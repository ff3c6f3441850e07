// A stable sort of token ids by counting: an id's place is the number of smaller ids, and of equal ones before it.
//   sorted[place] = id;  sorted[tokens + place] = token
// tokens^2 comparisons, all of them the same loads for a workgroup, are little beside a training step, and need neither
// atomics nor a number of launches that grows with the tokens.
// Pairs with crates/electra-kernels/src/ops/embedding/gpu.rs
//#include launch
@group(0) @binding(0) var<storage, read_write> ids: array<i32>;    // [tokens], only read
@group(0) @binding(1) var<storage, read_write> sorted: array<i32>; // [2, tokens]

@compute @workgroup_size({{WORKGROUP}}, 1, 1)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let token = workgroup_number(id, grid) * WORKGROUP + lane;
    let tokens = sizes[1];
    let own = ids[min(token, tokens - 1u)];
    var place = 0u;
    for (var four = 0u; four < tokens; four += 4u) {
//#for i in 0..4
        {
            let other = four + {{i}}u;
            let id = ids[min(other, tokens - 1u)];
            place += select(0u, 1u, other < tokens && (id < own || (id == own && other < token)));
        }
//#end
    }
    if (token < tokens) {
        sorted[place] = own;
        sorted[tokens + place] = i32(token);
    }
}
