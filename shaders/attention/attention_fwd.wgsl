// Attention, forward: ROWS queries each invocation or LANES of them, keys in blocks of 4, softmax as it goes (Milakov and Gimelshein 2018).
//   P = softmax(q . k / sqrt(head_dim)) over the keys that are tokens;  o = (P * M) v,  M = dropout's factors
// `rows` keeps log(sum(exp(score))) of each query, and the mask, for the backward pass. A query without any key gives 0.
// No workgroup memory: all invocations of a workgroup read the same key, which caches broadcast.
// Pairs with crates/electra-kernels/src/ops/attention/gpu.rs
//#include attention
@group(0) @binding({{3 - 2 * JOINED}}) var<storage, read_write> mask: array<f32>;  // [batch, seq], only read
@group(0) @binding({{4 - 2 * JOINED}}) var<storage, read_write> o: array<Part>;    // [batch * seq, heads * head_dim]
@group(0) @binding({{5 - 2 * JOINED}}) var<storage, read_write> rows: array<f32>;  // [batch, 2 * heads + 1, seq]: the deltas are not written

@compute @workgroup_size({{WORKGROUP}}, 1, 1)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let group = workgroup_number(id, grid);
    let at = read_sizes();
    let head = group / at.blocks % at.heads;
    let example = group / at.blocks / at.heads;
    let first = example * at.seq;
    let column = head * HEAD_PARTS + lane % LANES;
//#for l in 0..ROWS
    let query{{l}} = (group % at.blocks * {{ROWS}}u + {{l}}u) * ROWS_AT_ONCE + lane / LANES;
    let q_at{{l}} = (first + min(query{{l}}, at.seq - 1u)) * at.stride + at.q_offset + column;
//#for i in 0..PARTS
    let q{{l}}_{{i}} = q[q_at{{l}} + {{i}}u * LANES] * at.scale;
    var o{{l}}_{{i}} = Part();
//#end
    var top{{l}} = -1e30;
    var sum{{l}} = 0.0;
//#end
//#if DROPOUT
    let key = example_key(example);
//#for l in 0..ROWS
    let row{{l}} = head * at.seq + query{{l}};
//#end
//#end
    for (var column_block = 0u; column_block < at.seq; column_block += 4u) {
//#if SHARES
        let mask_own = mask[first + min(column_block + lane, at.seq - 1u)];
//#end
//#for j in 0..4
        let place{{j}} = first + min(column_block + {{j}}u, at.seq - 1u);
        let k_at{{j}} = place{{j}} * at.stride + at.k_offset + column;
        let v_at{{j}} = place{{j}} * at.stride + at.v_offset + column;
//#if SHARES
        let mask{{j}} = subgroupBroadcast(mask_own, {{j}}u);
//#else
        let mask{{j}} = mask[place{{j}}];
//#end
        let seen{{j}} = column_block + {{j}}u < at.seq && mask{{j}} > 0.0;
//#for l in 0..ROWS
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
        x{{l}}_{{j}} = select(-1e30, together(x{{l}}_{{j}}), seen{{j}});
//#end
        let higher{{l}} = max(max(top{{l}}, max(x{{l}}_0, x{{l}}_1)), max(x{{l}}_2, x{{l}}_3));
        let shrink{{l}} = exp(top{{l}} - higher{{l}});
        top{{l}} = higher{{l}};
//#for j in 0..4
        var p{{l}}_{{j}} = select(0.0, exp(x{{l}}_{{j}} - top{{l}}), seen{{j}});
//#end
        sum{{l}} = sum{{l}} * shrink{{l}} + ((p{{l}}_0 + p{{l}}_1) + (p{{l}}_2 + p{{l}}_3));
//#if DROPOUT
//#for j in 0..4
        p{{l}}_{{j}} *= keep(key, row{{l}}, at.seq, column_block + {{j}}u);
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
    if (query{{l}} < at.seq) {
        let share = select(0.0, 1.0 / sum{{l}}, sum{{l}} > 0.0);
        let o_at = ((first + query{{l}}) * at.heads + head) * HEAD_PARTS + lane % LANES;
//#for i in 0..PARTS
        o[o_at + {{i}}u * LANES] = o{{l}}_{{i}} * share;
//#end
        if (lane % LANES == 0u) {
            rows[line_at(at, example, head) + query{{l}}] = select(0.0, top{{l}} + log(sum{{l}}), sum{{l}} > 0.0);
            if (head == 0u) {
                rows[line_at(at, example, 2u * at.heads) + query{{l}}] = mask[first + query{{l}}];
            }
        }
    }
//#end
}
