// Attention, forward: one query each invocation, keys in blocks of 4, softmax as it goes (Milakov and Gimelshein 2018).
//   P = softmax(q . k / sqrt(head_dim)) over the keys that are tokens;  o = (P * M) v,  M = dropout's factors
// `rows` keeps log(sum(exp(score))) of each query for the backward pass. A query without any key gives 0.
// No workgroup memory: all invocations of a workgroup read the same key, which caches broadcast.
// Pairs with crates/electra-kernels/src/gpu/attention.rs
//#include attention
@group(0) @binding(0) var<storage, read_write> q: array<Part>;    // [batch * seq, stride], only read
@group(0) @binding(1) var<storage, read_write> k: array<Part>;    // the same
@group(0) @binding(2) var<storage, read_write> v: array<Part>;    // the same
@group(0) @binding(3) var<storage, read_write> mask: array<f32>;  // [batch, seq], only read
@group(0) @binding(4) var<storage, read_write> o: array<Part>;    // [batch * seq, heads * head_dim]
@group(0) @binding(5) var<storage, read_write> rows: array<f32>;  // [batch, heads, seq]

@compute @workgroup_size({{WORKGROUP}}, 1, 1)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let group = workgroup_number(id, grid);
    if (group >= sizes[0]) {
        return;
    }
    let at = read_sizes();
    let head = group / at.blocks % at.heads;
    let example = group / at.blocks / at.heads;
    let query = group % at.blocks * WORKGROUP + lane;
    let first = example * at.seq;
    let column = head * PARTS;
    let q_at = (first + min(query, at.seq - 1u)) * at.stride + at.q_offset + column;
//#for i in 0..PARTS
    let q{{i}} = q[q_at + {{i}}u] * at.scale;
    var o{{i}} = Part();
//#end
    var top = -1e30;
    var sum = 0.0;
//#if DROPOUT
    let key = example_key(example);
    let row = head * at.seq + query;
//#end
    for (var column_block = 0u; column_block < at.seq; column_block += 4u) {
//#for j in 0..4
        let place{{j}} = first + min(column_block + {{j}}u, at.seq - 1u);
        let k_at{{j}} = place{{j}} * at.stride + at.k_offset + column;
        let seen{{j}} = column_block + {{j}}u < at.seq && mask[place{{j}}] > 0.0;
        var x{{j}} = 0.0;
//#for i in 0..PARTS
        x{{j}} += part_dot(q{{i}}, k[k_at{{j}} + {{i}}u]);
//#end
        x{{j}} = select(-1e30, x{{j}}, seen{{j}});
//#end
        let higher = max(max(top, max(x0, x1)), max(x2, x3));
        let shrink = exp(top - higher);
        top = higher;
//#for j in 0..4
        var p{{j}} = select(0.0, exp(x{{j}} - top), seen{{j}});
//#end
        sum = sum * shrink + ((p0 + p1) + (p2 + p3));
//#for j in 0..4
//#if DROPOUT
        p{{j}} *= keep(key, row, at.seq, column_block + {{j}}u);
//#end
        let v_at{{j}} = place{{j}} * at.stride + at.v_offset + column;
//#end
//#for i in 0..PARTS
        o{{i}} = o{{i}} * shrink + (p0 * v[v_at0 + {{i}}u] + p1 * v[v_at1 + {{i}}u])
            + (p2 * v[v_at2 + {{i}}u] + p3 * v[v_at3 + {{i}}u]);
//#end
    }
    if (query < at.seq) {
        let share = select(0.0, 1.0 / sum, sum > 0.0);
        let o_at = ((first + query) * at.heads + head) * PARTS;
//#for i in 0..PARTS
        o[o_at + {{i}}u] = o{{i}} * share;
//#end
        rows[(example * at.heads + head) * at.seq + query] = select(0.0, top + log(sum), sum > 0.0);
    }
}
