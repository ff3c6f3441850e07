// Attention, backward to the queries: ROWS queries each invocation or LANES of them, over all keys.
//   P = exp(score - rows);  dP = (dO . v) M;  delta = dO . O;  dS = P (dP - delta);  dq = sum dS k / sqrt(head_dim)
// delta is right with dropout too, since O already holds it. It goes into `rows`, for attention_bwd_key.wgsl.
// Pairs with crates/electra-kernels/src/ops/attention/gpu.rs
//#include attention
@group(0) @binding({{3 - 2 * JOINED}}) var<storage, read_write> o: array<Part>;    // [batch * queries, heads * head_dim], only read
@group(0) @binding({{4 - 2 * JOINED}}) var<storage, read_write> d_o: array<Part>;  // the same
@group(0) @binding({{5 - 2 * JOINED}}) var<storage, read_write> rows: array<f32>;  // lines of each example: the deltas are written
@group(0) @binding({{6 - 2 * JOINED}}) var<storage, read_write> dq: array<Part>;   // as q

@compute @workgroup_size({{WORKGROUP}}, 1, 1)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let group = workgroup_number(id, grid);
    let at = read_sizes();
    let head = group / at.blocks % at.heads;
    let example = group / at.blocks / at.heads;
    let first = example * at.queries;
    let first_key = example * at.keys;
    let pattern_at = line_at(at, example, 2u * at.heads);
    let column = head * HEAD_PARTS + lane % LANES;
    let rows_first = group % at.blocks * {{ROWS}}u * ROWS_AT_ONCE;
//#for l in 0..ROWS
    let query{{l}} = rows_first + {{l}}u * ROWS_AT_ONCE + lane / LANES;
    let inside{{l}} = min(query{{l}}, at.queries - 1u);
    let q_at{{l}} = (first + inside{{l}}) * at.stride + at.q_offset + column;
    let o_at{{l}} = ((first + inside{{l}}) * at.heads + head) * HEAD_PARTS + lane % LANES;
    var delta{{l}} = 0.0;
//#for i in 0..PARTS
    let q{{l}}_{{i}} = q[q_at{{l}} + {{i}}u * LANES] * at.scale;
    let g{{l}}_{{i}} = d_o[o_at{{l}} + {{i}}u * LANES];
    delta{{l}} += part_dot(g{{l}}_{{i}}, o[o_at{{l}} + {{i}}u * LANES]);
    var dq{{l}}_{{i}} = Part();
//#end
    delta{{l}} = together(delta{{l}});
    let log_sum{{l}} = rows[line_at(at, example, head) + inside{{l}}];
//#if RANKED
    let limit{{l}} = rows[pattern_at + at.keys + inside{{l}}];
//#else
    let limit{{l}} = 0.0;
//#end
//#end
//#if DROPOUT
    let key = example_key(example);
//#for l in 0..ROWS
    let row{{l}} = head * at.queries + query{{l}};
//#end
//#end
    let end = end_of_others(at.keys, rows_first);
    for (var other = first_of_others(rows_first); other < end; other++) {
        let k_at = (first_key + other) * at.stride + at.k_offset + column;
        let v_at = (first_key + other) * at.stride + at.v_offset + column;
        let of_key = rows[pattern_at + other];
//#for l in 0..ROWS
        var x{{l}} = 0.0;
        var dp{{l}} = 0.0;
//#end
//#if SHARES
//#for i in 0..(PARTS + 7) / 8
        let key_own{{i}} = key_part(k_at + min({{8 * i}}u + lane, HEAD_PARTS - 1u));
        let value_own{{i}} = value_part(v_at + min({{8 * i}}u + lane, HEAD_PARTS - 1u));
//#end
//#end
//#for i in 0..PARTS
//#if SHARES
        let k{{i}} = subgroupBroadcast(key_own{{i / 8}}, {{i - i / 8 * 8}}u);
        let v{{i}} = subgroupBroadcast(value_own{{i / 8}}, {{i - i / 8 * 8}}u);
//#else
        let k{{i}} = key_part(k_at + {{i}}u * LANES);
        let v{{i}} = value_part(v_at + {{i}}u * LANES);
//#end
//#for l in 0..ROWS
        x{{l}} += part_dot(q{{l}}_{{i}}, k{{i}});
        dp{{l}} += part_dot(g{{l}}_{{i}}, v{{i}});
//#end
//#end
//#for l in 0..ROWS
        x{{l}} = together(x{{l}});
        dp{{l}} = together(dp{{l}});
//#if DROPOUT
        dp{{l}} *= keep(key, row{{l}}, at.keys, other);
//#end
        let p{{l}} = select(0.0, exp(x{{l}} - log_sum{{l}}), sees(limit{{l}}, of_key));
        let ds{{l}} = p{{l}} * (dp{{l}} - delta{{l}}) * at.scale;
//#for i in 0..PARTS
        dq{{l}}_{{i}} += ds{{l}} * k{{i}};
//#end
//#end
    }
//#for l in 0..ROWS
    if (query{{l}} < at.queries) {
//#for i in 0..PARTS
        dq[q_at{{l}} + {{i}}u * LANES] = dq{{l}}_{{i}};
//#end
        if (lane % LANES == 0u) {
            rows[line_at(at, example, at.heads + head) + query{{l}}] = delta{{l}};
        }
    }
//#end
}
