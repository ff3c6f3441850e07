// Attention, forward: ROWS queries each invocation or LANES of them, keys in blocks of 4, softmax as it goes (Milakov and Gimelshein 2018).
//   P = softmax(q . k / sqrt(head_dim)) over the keys that the query sees;  o = (P * M) v,  M = dropout's factors
// RANKED: a query sees the keys whose rank is not above its limit; else all that are tokens. One that sees none gives 0.
// `rows` keeps log(sum(exp(score))) of each query, and the pattern, for the backward pass.
// No workgroup memory: all invocations of a workgroup read the same key, which caches broadcast.
// Pairs with crates/electra-kernels/src/ops/attention/gpu.rs
//#include attention
@group(0) @binding({{3 - 2 * JOINED}}) var<storage, read_write> pattern: array<f32>; // [batch, pattern_length], only read
@group(0) @binding({{4 - 2 * JOINED}}) var<storage, read_write> o: array<Part>;    // [batch * queries, heads * head_dim]
@group(0) @binding({{5 - 2 * JOINED}}) var<storage, read_write> rows: array<f32>;  // lines of each example: the deltas are not written

@compute @workgroup_size({{WORKGROUP}}, 1, 1)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let group = workgroup_number(id, grid);
    let at = read_sizes();
    let head = group / at.blocks % at.heads;
    let example = group / at.blocks / at.heads;
    let first = example * at.queries;
    let first_key = example * at.keys;
    let pattern_at = example * pattern_length(at);
    let column = head * HEAD_PARTS + lane % LANES;
    let rows_first = group % at.blocks * {{ROWS}}u * ROWS_AT_ONCE;
//#for l in 0..ROWS
    let query{{l}} = rows_first + {{l}}u * ROWS_AT_ONCE + lane / LANES;
    let inside{{l}} = min(query{{l}}, at.queries - 1u);
    let q_at{{l}} = (first + inside{{l}}) * at.stride + at.q_offset + column;
//#for i in 0..PARTS
    let q{{l}}_{{i}} = q[q_at{{l}} + {{i}}u * LANES] * at.scale;
    var o{{l}}_{{i}} = Part();
//#end
//#if RANKED
    let limit{{l}} = pattern[pattern_at + at.keys + inside{{l}}];
//#else
    let limit{{l}} = 0.0;
//#end
    var top{{l}} = -1e30;
    var sum{{l}} = 0.0;
//#end
//#if DROPOUT
    let key = example_key(example);
//#for l in 0..ROWS
    let row{{l}} = head * at.queries + query{{l}};
//#end
//#end
    let end = end_of_others(at.keys, rows_first);
    for (var column_block = first_of_others(rows_first); column_block < end; column_block += 4u) {
//#if SHARES
        let pattern_own = pattern[pattern_at + min(column_block + lane, at.keys - 1u)];
//#end
//#for j in 0..4
        let place{{j}} = min(column_block + {{j}}u, at.keys - 1u);
        let k_at{{j}} = (first_key + place{{j}}) * at.stride + at.k_offset + column;
        let v_at{{j}} = (first_key + place{{j}}) * at.stride + at.v_offset + column;
//#if SHARES
        let of_key{{j}} = subgroupBroadcast(pattern_own, {{j}}u);
//#else
        let of_key{{j}} = pattern[pattern_at + place{{j}}];
//#end
//#for l in 0..ROWS
        let seen{{l}}_{{j}} = column_block + {{j}}u < at.keys && sees(limit{{l}}, of_key{{j}});
        var x{{l}}_{{j}} = 0.0;
//#end
//#if SHARES
//#for i in 0..(PARTS + 7) / 8
        let key_own{{j}}_{{i}} = key_part(k_at{{j}} + min({{8 * i}}u + lane, HEAD_PARTS - 1u));
        let value_own{{j}}_{{i}} = value_part(v_at{{j}} + min({{8 * i}}u + lane, HEAD_PARTS - 1u));
//#end
//#end
//#for i in 0..PARTS
//#if SHARES
        let k{{j}}_{{i}} = subgroupBroadcast(key_own{{j}}_{{i / 8}}, {{i - i / 8 * 8}}u);
//#else
        let k{{j}}_{{i}} = key_part(k_at{{j}} + {{i}}u * LANES);
//#end
//#for l in 0..ROWS
        x{{l}}_{{j}} += part_dot(q{{l}}_{{i}}, k{{j}}_{{i}});
//#end
//#end
//#end
//#for l in 0..ROWS
//#for j in 0..4
        x{{l}}_{{j}} = select(-1e30, together(x{{l}}_{{j}}), seen{{l}}_{{j}});
//#end
        let higher{{l}} = max(max(top{{l}}, max(x{{l}}_0, x{{l}}_1)), max(x{{l}}_2, x{{l}}_3));
        let shrink{{l}} = exp(top{{l}} - higher{{l}});
        top{{l}} = higher{{l}};
//#for j in 0..4
        var p{{l}}_{{j}} = select(0.0, exp(x{{l}}_{{j}} - top{{l}}), seen{{l}}_{{j}});
//#end
        sum{{l}} = sum{{l}} * shrink{{l}} + ((p{{l}}_0 + p{{l}}_1) + (p{{l}}_2 + p{{l}}_3));
//#if DROPOUT
//#for j in 0..4
        p{{l}}_{{j}} *= keep(key, row{{l}}, at.keys, column_block + {{j}}u);
//#end
//#end
//#end
//#for i in 0..PARTS
//#for j in 0..4
//#if SHARES
        let v{{j}}_{{i}} = subgroupBroadcast(value_own{{j}}_{{i / 8}}, {{i - i / 8 * 8}}u);
//#else
        let v{{j}}_{{i}} = value_part(v_at{{j}} + {{i}}u * LANES);
//#end
//#end
//#for l in 0..ROWS
        o{{l}}_{{i}} = o{{l}}_{{i}} * shrink{{l}} + (p{{l}}_0 * v0_{{i}} + p{{l}}_1 * v1_{{i}})
            + (p{{l}}_2 * v2_{{i}} + p{{l}}_3 * v3_{{i}});
//#end
//#end
    }
//#for l in 0..ROWS
    if (query{{l}} < at.queries) {
        let share = select(0.0, 1.0 / sum{{l}}, sum{{l}} > 0.0);
        let o_at = ((first + query{{l}}) * at.heads + head) * HEAD_PARTS + lane % LANES;
//#for i in 0..PARTS
        o[o_at + {{i}}u * LANES] = o{{l}}_{{i}} * share;
//#end
        if (lane % LANES == 0u) {
            rows[line_at(at, example, head) + query{{l}}] = select(0.0, top{{l}} + log(sum{{l}}), sum{{l}} > 0.0);
            if (head == 0u) {
                for (var place = query{{l}}; place < pattern_length(at); place += at.queries) {
                    rows[line_at(at, example, 2u * at.heads) + place] = pattern[pattern_at + place];
                }
            }
        }
    }
//#end
}
