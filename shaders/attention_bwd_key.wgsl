// Attention, backward to keys and values: one key each invocation, over all queries.
//   dv = sum (P M) dO;  dk = sum dS q / sqrt(head_dim);  P, M and dS as in attention_bwd_query.wgsl, which runs first
// Each invocation owns its key's gradient, so that no sum depends on the order of workgroups.
// Pairs with crates/electra-kernels/src/gpu/attention.rs
//#include attention
@group(0) @binding(0) var<storage, read_write> q: array<Part>;    // [batch * seq, stride], only read
@group(0) @binding(1) var<storage, read_write> k: array<Part>;    // the same
@group(0) @binding(2) var<storage, read_write> v: array<Part>;    // the same
@group(0) @binding(3) var<storage, read_write> mask: array<f32>;  // [batch, seq], only read
@group(0) @binding(4) var<storage, read_write> d_o: array<Part>;  // [batch * seq, heads * head_dim], only read
@group(0) @binding(5) var<storage, read_write> rows: array<f32>;  // [2, batch, heads, seq]: log-sums and deltas, only read
@group(0) @binding(6) var<storage, read_write> dk: array<Part>;   // as k
@group(0) @binding(7) var<storage, read_write> dv: array<Part>;   // as v

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
    let own = group % at.blocks * WORKGROUP + lane;
    let first = example * at.seq;
    let column = head * PARTS;
    let place = first + min(own, at.seq - 1u);
    let k_at = place * at.stride + at.k_offset + column;
    let v_at = place * at.stride + at.v_offset + column;
//#for i in 0..PARTS
    let k{{i}} = k[k_at + {{i}}u] * at.scale;
    let v{{i}} = v[v_at + {{i}}u];
    var dk{{i}} = Part();
    var dv{{i}} = Part();
//#end
    let seen = mask[place] > 0.0;
    let rows_at = (example * at.heads + head) * at.seq;
    let deltas_at = rows_at + sizes[0] / at.blocks * at.seq;
//#if DROPOUT
    let key = example_key(example);
//#end
    for (var query = 0u; query < at.seq; query++) {
        let q_at = (first + query) * at.stride + at.q_offset + column;
        let o_at = ((first + query) * at.heads + head) * PARTS;
        var x = 0.0;
        var dp = 0.0;
//#for i in 0..PARTS
        let q{{i}} = q[q_at + {{i}}u];
        let g{{i}} = d_o[o_at + {{i}}u];
        x += part_dot(q{{i}}, k{{i}});
        dp += part_dot(g{{i}}, v{{i}});
//#end
        let p = select(0.0, exp(x - rows[rows_at + query]), seen);
//#if DROPOUT
        let factor = keep(key, head * at.seq + query, at.seq, own);
        let weight = p * factor;
        let ds = p * (dp * factor - rows[deltas_at + query]) * at.scale;
//#else
        let weight = p;
        let ds = p * (dp - rows[deltas_at + query]) * at.scale;
//#end
//#for i in 0..PARTS
        dv{{i}} += weight * g{{i}};
        dk{{i}} += ds * q{{i}};
//#end
    }
    if (own < at.seq) {
//#for i in 0..PARTS
        dk[k_at + {{i}}u] = dk{{i}};
        dv[v_at + {{i}}u] = dv{{i}};
//#end
    }
}
