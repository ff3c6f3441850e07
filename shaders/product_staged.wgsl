// Matrix product in tiles of 64 x 64 results, staged in workgroup memory 16 products deep: 64 invocations, 8 x 8 results
// each. For graphics cards: a value is read from memory once a tile and used 64 times.
// Any size works: what lies beyond a matrix is staged as 0.
// Pairs with crates/electra-kernels/src/gpu/product.rs
//#include product

const TILE: u32 = 64u;
const DEPTH: u32 = 16u;

//#if HALF
alias Staged = f16;
//#else
alias Staged = f32;
//#end

// [DEPTH][ROW], rows of A and columns of B in fours: a four is written by one invocation, since a write to a part of a vector
// may be one to all of it, and what two of them wrote at once would be lost. One more to a row than a tile has, so that the
// writes of neighbours lie in different banks.
const ROW: u32 = TILE / 4u + 1u;
var<workgroup> tile_a: array<vec4<Staged>, DEPTH * ROW>;
var<workgroup> tile_b: array<vec4<Staged>, DEPTH * ROW>;

@compute @workgroup_size({{WORKGROUP}}, 1, 1)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let at = read_sizes();
    let group = workgroup_number(id, grid);
    let tiles = at.row_blocks * at.column_blocks;
    let split = group % {{SPLIT}}u;
    let tile = group / {{SPLIT}}u;
//#if SUMS
    if (tile >= tiles) {
        column_sums(at, (tile - tiles) * WORKGROUP + lane, split);
        return;
    }
//#end
    let first_row = tile / at.column_blocks * TILE;
    let first_column = tile % at.column_blocks * TILE;
    let x = lane % 8u;
    let y = lane / 8u;
//#for i in 0..8
//#for j in 0..2
    var c{{i}}_{{j}} = vec4<f32>();
//#end
//#end
    let last = min(at.k, (split + 1u) * at.part);
    for (var depth = split * at.part; depth < last; depth += DEPTH) {
        // Neighbouring invocations read neighbouring values: along k where that is how a matrix lies, else across.
        for (var turn = 0u; turn < 4u; turn++) {
            let index = turn * WORKGROUP + lane;
//#if MODE == 2
            let a_four = index % (TILE / 4u);
            let a_depth = index / (TILE / 4u);
            let a_from = (depth + a_depth) * at.a_stride + first_row + 4u * a_four;
            let a_step = 1u;
//#else
            let a_four = index / DEPTH;
            let a_depth = index % DEPTH;
            let a_from = (first_row + 4u * a_four) * at.a_stride + depth + a_depth;
            let a_step = at.a_stride;
//#end
            var of_a = vec4<Staged>();
//#for i in 0..4
            if (first_row + 4u * a_four + {{i}}u < at.m && depth + a_depth < last) {
                of_a[{{i}}] = Staged(a[a_from + {{i}}u * a_step]);
            }
//#end
            tile_a[a_depth * ROW + a_four] = of_a;
//#if MODE == 0
            let b_four = index / DEPTH;
            let b_depth = index % DEPTH;
            let b_from = (first_column + 4u * b_four) * at.k + depth + b_depth;
            let b_step = at.k;
//#else
            let b_four = index % (TILE / 4u);
            let b_depth = index / (TILE / 4u);
            let b_from = (depth + b_depth) * at.n + first_column + 4u * b_four;
            let b_step = 1u;
//#end
            var of_b = vec4<Staged>();
//#for i in 0..4
            if (first_column + 4u * b_four + {{i}}u < at.n && depth + b_depth < last) {
                of_b[{{i}}] = Staged(b[b_from + {{i}}u * b_step]);
            }
//#end
            tile_b[b_depth * ROW + b_four] = of_b;
        }
        workgroupBarrier();
        for (var k = 0u; k < DEPTH; k++) {
            let a0 = vec4<f32>(tile_a[k * ROW + 2u * y]);
            let a1 = vec4<f32>(tile_a[k * ROW + 2u * y + 1u]);
            let b0 = vec4<f32>(tile_b[k * ROW + x]);
            let b1 = vec4<f32>(tile_b[k * ROW + 8u + x]);
//#for i in 0..8
//#for j in 0..2
            c{{i}}_{{j}} = fma(vec4<f32>(a{{i / 4}}[{{i - i / 4 * 4}}]), b{{j}}, c{{i}}_{{j}});
//#end
//#end
        }
        workgroupBarrier();
    }
//#for i in 0..8
//#for j in 0..2
//#for k in 0..4
    finish(at, first_row + 8u * y + {{i}}u, first_column + {{32 * j + k}}u + 4u * x, split, c{{i}}_{{j}}[{{k}}]);
//#end
//#end
//#end
}
