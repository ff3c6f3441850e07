// Attention, backward to the queries: one query each invocation, over all keys.
//   P = exp(score - rows);  dP = (dO . v) M;  delta = dO . O;  dS = P (dP - delta);  dq = sum dS k / sqrt(head_dim)
// delta is right with dropout too, since O already holds it. It goes behind `rows`, for attention_bwd_key.wgsl.
// Pairs with crates/electra-kernels/src/gpu/attention.rs
//#include attention
@group(0) @binding(0) var<storage, read_write> q: array<Part>;    // [batch * seq, stride], only read
@group(0) @binding(1) var<storage, read_write> k: array<Part>;    // the same
@group(0) @binding(2) var<storage, read_write> v: array<Part>;    // the same
@group(0) @binding(3) var<storage, read_write> mask: array<f32>;  // [batch, seq], only read
@group(0) @binding(4) var<storage, read_write> o: array<Part>;    // [batch * seq, heads * head_dim], only read
@group(0) @binding(5) var<storage, read_write> d_o: array<Part>;  // the same
@group(0) @binding(6) var<storage, read_write> rows: array<f32>;  // [2, batch, heads, seq]: the second half is written
@group(0) @binding(7) var<storage, read_write> dq: array<Part>;   // as q

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
    let place = first + min(query, at.seq - 1u);
    let q_at = place * at.stride + at.q_offset + column;
    let o_at = (place * at.heads + head) * PARTS;
    var delta = 0.0;
//#for i in 0..PARTS
    let q{{i}} = q[q_at + {{i}}u] * at.scale;
    let g{{i}} = d_o[o_at + {{i}}u];
    delta += part_dot(g{{i}}, o[o_at + {{i}}u]);
    var dq{{i}} = Part();
//#end
    let row_at = (example * at.heads + head) * at.seq + min(query, at.seq - 1u);
    let log_sum = rows[row_at];
//#if DROPOUT
    let key = example_key(example);
    let row = head * at.seq + query;
//#end
    for (var other = 0u; other < at.seq; other++) {
        let k_at = (first + other) * at.stride + at.k_offset + column;
        let v_at = (first + other) * at.stride + at.v_offset + column;
        var x = 0.0;
        var dp = 0.0;
//#for i in 0..PARTS
        let k{{i}} = k[k_at + {{i}}u];
        x += part_dot(q{{i}}, k{{i}});
        dp += part_dot(g{{i}}, v[v_at + {{i}}u]);
//#end
//#if DROPOUT
        dp *= keep(key, row, at.seq, other);
//#end
        let p = select(0.0, exp(x - log_sum), mask[first + other] > 0.0);
        let ds = p * (dp - delta) * at.scale;
//#for i in 0..PARTS
        dq{{i}} += ds * k{{i}};
//#end
    }
    if (query < at.seq) {
//#for i in 0..PARTS
        dq[q_at + {{i}}u] = dq{{i}};
//#end
        rows[row_at + sizes[0] / at.blocks * at.seq] = delta;
    }
}
