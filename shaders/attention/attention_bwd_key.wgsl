// Attention, backward to keys and values: ROWS keys each invocation or LANES of them, over all queries.
//   dv = sum (P M) dO;  dk = sum dS q / sqrt(head_dim);  P, M and dS as in attention_bwd_query.wgsl, which runs first
// Whoever has a key owns its gradient, so that no sum depends on the order of workgroups.
// Pairs with crates/electra-kernels/src/ops/attention/gpu.rs
//#include attention
@group(0) @binding({{3 - 2 * JOINED}}) var<storage, read_write> d_o: array<Part>;  // [batch * queries, heads * head_dim], only read
@group(0) @binding({{4 - 2 * JOINED}}) var<storage, read_write> rows: array<f32>;  // lines of each example, only read
@group(0) @binding({{5 - 2 * JOINED}}) var<storage, read_write> dk: array<Part>; // as k; JOINED: as q
//#if !JOINED
@group(0) @binding(6) var<storage, read_write> dv: array<Part>;   // as v
//#end

@compute @workgroup_size({{WORKGROUP}}, 1, 1)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let group = workgroup_number(id, grid);
    let at = read_sizes();
    let head = group / at.blocks % at.heads;
    let example = group / at.blocks / at.heads;
    let first = example * at.queries;
    let pattern_at = line_at(at, example, 2u * at.heads);
    let column = head * HEAD_PARTS + lane % LANES;
    let rows_first = group % at.blocks * {{ROWS}}u * ROWS_AT_ONCE;
//#for l in 0..ROWS
    let own{{l}} = rows_first + {{l}}u * ROWS_AT_ONCE + lane / LANES;
    let place{{l}} = min(own{{l}}, at.keys - 1u);
    let k_at{{l}} = (example * at.keys + place{{l}}) * at.stride + at.k_offset + column;
    let v_at{{l}} = (example * at.keys + place{{l}}) * at.stride + at.v_offset + column;
//#for i in 0..PARTS
    let k{{l}}_{{i}} = key_part(k_at{{l}} + {{i}}u * LANES) * at.scale;
    let v{{l}}_{{i}} = value_part(v_at{{l}} + {{i}}u * LANES);
    var dk{{l}}_{{i}} = Part();
    var dv{{l}}_{{i}} = Part();
//#end
    let of_key{{l}} = rows[pattern_at + place{{l}}];
//#end
    let log_sums_at = line_at(at, example, head);
    let deltas_at = line_at(at, example, at.heads + head);
//#if RANKED
    let limits_at = pattern_at + at.keys;
//#else
    let limit = 0.0;
//#end
//#if SHARES
    // What the lanes read of each query, and hand on.
//#if RANKED
    let row_at = select(select(limits_at, deltas_at, lane == 1u), log_sums_at, lane == 0u);
//#else
    let row_at = select(deltas_at, log_sums_at, lane == 0u);
//#end
//#end
//#if DROPOUT
    let key = example_key(example);
//#end
    let end = end_of_others(at.queries, rows_first);
    for (var query = first_of_others(rows_first); query < end; query++) {
        let q_at = (first + query) * at.stride + at.q_offset + column;
        let o_at = ((first + query) * at.heads + head) * HEAD_PARTS + lane % LANES;
//#if SHARES
        let row_own = rows[row_at + query];
        let log_sum = subgroupBroadcast(row_own, 0u);
        let delta = subgroupBroadcast(row_own, 1u);
//#if RANKED
        let limit = subgroupBroadcast(row_own, 2u);
//#end
//#else
        let log_sum = rows[log_sums_at + query];
        let delta = rows[deltas_at + query];
//#if RANKED
        let limit = rows[limits_at + query];
//#end
//#end
//#for l in 0..ROWS
        var x{{l}} = 0.0;
        var dp{{l}} = 0.0;
//#end
//#if SHARES
//#for i in 0..(PARTS + 7) / 8
        let query_own{{i}} = q[q_at + min({{8 * i}}u + lane, HEAD_PARTS - 1u)];
        let gradient_own{{i}} = d_o[o_at + min({{8 * i}}u + lane, HEAD_PARTS - 1u)];
//#end
//#end
//#for i in 0..PARTS
//#if SHARES
        let q{{i}} = subgroupBroadcast(query_own{{i / 8}}, {{i - i / 8 * 8}}u);
        let g{{i}} = subgroupBroadcast(gradient_own{{i / 8}}, {{i - i / 8 * 8}}u);
//#else
        let q{{i}} = q[q_at + {{i}}u * LANES];
        let g{{i}} = d_o[o_at + {{i}}u * LANES];
//#end
//#for l in 0..ROWS
        x{{l}} += part_dot(q{{i}}, k{{l}}_{{i}});
        dp{{l}} += part_dot(g{{i}}, v{{l}}_{{i}});
//#end
//#end
//#for l in 0..ROWS
        x{{l}} = together(x{{l}});
        dp{{l}} = together(dp{{l}});
        let p{{l}} = select(0.0, exp(x{{l}} - log_sum), sees(limit, of_key{{l}}));
//#if DROPOUT
        let factor{{l}} = keep(key, head * at.queries + query, at.keys, own{{l}});
        let weight{{l}} = p{{l}} * factor{{l}};
        let ds{{l}} = p{{l}} * (dp{{l}} * factor{{l}} - delta) * at.scale;
//#else
        let weight{{l}} = p{{l}};
        let ds{{l}} = p{{l}} * (dp{{l}} - delta) * at.scale;
//#end
//#for i in 0..PARTS
        dv{{l}}_{{i}} += weight{{l}} * g{{i}};
        dk{{l}}_{{i}} += ds{{l}} * q{{i}};
//#end
//#end
    }
//#for l in 0..ROWS
    if (own{{l}} < at.keys) {
//#for i in 0..PARTS
        dk[k_at{{l}} + {{i}}u * LANES] = dk{{l}}_{{i}};
//#if JOINED
        dk[v_at{{l}} + {{i}}u * LANES] = dv{{l}}_{{i}};
//#else
        dv[v_at{{l}} + {{i}}u * LANES] = dv{{l}}_{{i}};
//#end
//#end
    }
//#end
}
