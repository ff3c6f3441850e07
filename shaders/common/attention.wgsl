// What the three attention kernels share: how a head's rows lie, and the sizes.
// JOINED: q, k and v are columns of one matrix, the result of one projection, and so are their gradients. `stride` values
// lie between rows, and head 0 of each begins at its offset.
//#include launch
//#if DROPOUT
//#include noise
//#end
//#if VECTOR
alias Part = vec4<f32>;
fn part_dot(a: Part, b: Part) -> f32 { return dot(a, b); }
//#else
alias Part = f32;
fn part_dot(a: Part, b: Part) -> f32 { return a * b; }
//#end

//#if JOINED
@group(0) @binding(0) var<storage, read_write> q: array<Part>; // [batch * queries, stride], only read: q, k and v, of as many keys
fn key_part(index: u32) -> Part { return q[index]; }
fn value_part(index: u32) -> Part { return q[index]; }
//#else
@group(0) @binding(0) var<storage, read_write> q: array<Part>; // [batch * queries, stride], only read
@group(0) @binding(1) var<storage, read_write> k: array<Part>; // [batch * keys, stride], only read
@group(0) @binding(2) var<storage, read_write> v: array<Part>; // the same
fn key_part(index: u32) -> Part { return k[index]; }
fn value_part(index: u32) -> Part { return v[index]; }
//#end

// SHARES: a workgroup is one subgroup of 8, and what all lanes need of a row is read by one each and handed on, since on a
// software adapter a load is a gather even where all lanes read one place.
//
// LANES invocations side by side have a row together: each every LANES-th part of it, PARTS in all, so that the rows of wide
// heads fit the registers; dot products are added up through the subgroup, and all have them.
const LANES: u32 = {{LANES}}u;
const HEAD_PARTS: u32 = {{PARTS * LANES}}u;
const ROWS_AT_ONCE: u32 = WORKGROUP / LANES;

fn together(x: f32) -> f32 {
    var sum = x;
//#if LANES > 1
    sum += subgroupShuffleXor(sum, 1u);
//#end
//#if LANES > 2
    sum += subgroupShuffleXor(sum, 2u);
//#end
//#if LANES > 4
    sum += subgroupShuffleXor(sum, 4u);
//#end
    return sum;
}

struct Sizes {
    queries: u32,
    keys: u32,
    heads: u32,
    stride: u32,
    q_offset: u32,
    k_offset: u32,
    v_offset: u32,
    // Row blocks of a head.
    blocks: u32,
    scale: f32,
}

// Lengths are in parts.
fn read_sizes() -> Sizes {
    return Sizes(sizes[1], sizes[2], sizes[3], sizes[4], sizes[5], sizes[6], sizes[7], sizes[8], bitcast<f32>(sizes[9]));
}

// What an example's queries see: the mask of its keys, or RANKED the ranks of its keys and behind them the limits of its
// queries. Padding's rank is above every limit.
fn pattern_length(at: Sizes) -> u32 {
//#if RANKED
    return at.keys + at.queries;
//#else
    return at.keys;
//#end
}

// `of_key`: its rank, or 1 for a token. Without RANKED there are no limits, and whatever stands for one is not looked at.
fn sees(limit: f32, of_key: f32) -> bool {
//#if RANKED
    return of_key <= limit;
//#else
    return of_key > 0.0;
//#end
}

// SKIPS_BEFORE, SKIPS_AFTER: where all are ranked by place, what lies before the first of a workgroup's rows, or after the last, has
// nothing to do with them, and is left out. Keys go by fours.
fn first_of_others(rows_first: u32) -> u32 {
//#if SKIPS_BEFORE
    return rows_first / 4u * 4u;
//#else
    return 0u;
//#end
}

fn end_of_others(others: u32, rows_first: u32) -> u32 {
//#if SKIPS_AFTER
    return min(others, rows_first + {{ROWS}}u * ROWS_AT_ONCE);
//#else
    return others;
//#end
}

// Where a line of `rows` begins. Of each example the log-sums of its heads, their deltas, `queries` values each, and the
// pattern, which lies there too so that the backward kernels have no more buffers than WebGPU promises.
fn line_at(at: Sizes, example: u32, line: u32) -> u32 {
    return example * (2u * at.heads * at.queries + pattern_length(at)) + line * at.queries;
}

//#if DROPOUT
fn example_key(example: u32) -> vec2<u32> {
    return child_key(vec2<u32>(sizes[10], sizes[11]), sizes[14u + example]);
}

// `row` = (head * queries + query), the key's place last, as the reference body counts an example's elements.
fn keep(key: vec2<u32>, row: u32, keys: u32, column: u32) -> f32 {
    return keep_factor(key, row * keys + column, sizes[12], bitcast<f32>(sizes[13]));
}
//#end
