// Matrix product in tiles staged in workgroup memory, for graphics cards: a value is read from memory once a tile and used
// by ROWS or COLUMNS results. Each invocation computes 8 x 8 of them.
//   - The values of the next DEPTH products are read while these are multiplied.
//   - Memory is read in blocks of 4 x 4, four at a time where rows begin at multiples of four: rows of a matrix that lies
//     along k are turned on the way, so that the tiles always lie as they are multiplied, [DEPTH][rows or columns].
// Any size works: what lies beyond a matrix is staged as 0.
// Pairs with crates/electra-kernels/src/gpu/product/mod.rs
//#include product
//#include product_fours

const ROWS: u32 = {{ROWS}}u;
const COLUMNS: u32 = {{COLUMNS}}u;
const DEPTH: u32 = {{DEPTH}}u;

//#if HALF
alias Staged = f16;
//#else
alias Staged = f32;
//#end

// In fours: a four is written by one invocation, since a write to a part of a vector may be one to all of it, and what two
// of them wrote at once would be lost. One more to a row than a tile has, so that the writes of neighbours lie in different
// banks.
const A_ROW: u32 = ROWS / 4u + 1u;
const B_ROW: u32 = COLUMNS / 4u + 1u;
var<workgroup> tile_a: array<vec4<Staged>, DEPTH * A_ROW>;
var<workgroup> tile_b: array<vec4<Staged>, DEPTH * B_ROW>;

// Blocks of 4 x 4 of the tiles: A's first, then B's.
const A_BLOCKS: u32 = ROWS * DEPTH / 16u;
const BLOCKS: u32 = A_BLOCKS + COLUMNS * DEPTH / 16u;

// Where block `index` of A lies in its tile: four rows, four products. Neighbouring invocations read what lies side by side
// in memory.
fn place_of_a(index: u32) -> vec2<u32> {
//#if MODE == 2
    return vec2<u32>(index % (ROWS / 4u), index / (ROWS / 4u));
//#else
    return vec2<u32>(index / (DEPTH / 4u), index % (DEPTH / 4u));
//#end
}

fn place_of_b(index: u32) -> vec2<u32> {
//#if MODE == 0
    return vec2<u32>(index / (DEPTH / 4u), index % (DEPTH / 4u));
//#else
    return vec2<u32>(index % (COLUMNS / 4u), index / (COLUMNS / 4u));
//#end
}

// Block `index` of the tiles that begin at `depth`, a vector for each of its four products; 0 beyond a matrix and the part.
fn read_block(at: Sizes, first_row: u32, first_column: u32, depth: u32, last: u32, index: u32) -> mat4x4<f32> {
    if (index < A_BLOCKS) {
        let place = place_of_a(index);
        let row = first_row + 4u * place.x;
        let k = depth + 4u * place.y;
//#if MODE == 2
        return mat4x4<f32>(four_of_a(at, row, k, last), four_of_a(at, row, k + 1u, last),
            four_of_a(at, row, k + 2u, last), four_of_a(at, row, k + 3u, last));
//#else
        return transpose(mat4x4<f32>(four_of_a(at, row, k, last), four_of_a(at, row + 1u, k, last),
            four_of_a(at, row + 2u, k, last), four_of_a(at, row + 3u, k, last)));
//#end
    }
    let place = place_of_b(index - A_BLOCKS);
    let column = first_column + 4u * place.x;
    let k = depth + 4u * place.y;
//#if MODE == 0
    return transpose(mat4x4<f32>(four_of_b(at, column, k, last), four_of_b(at, column + 1u, k, last),
        four_of_b(at, column + 2u, k, last), four_of_b(at, column + 3u, k, last)));
//#else
    return mat4x4<f32>(four_of_b(at, column, k, last), four_of_b(at, column, k + 1u, last),
        four_of_b(at, column, k + 2u, last), four_of_b(at, column, k + 3u, last));
//#end
}

fn stage_block(index: u32, block: mat4x4<f32>) {
    if (index < A_BLOCKS) {
        let place = place_of_a(index);
//#for i in 0..4
        tile_a[(4u * place.y + {{i}}u) * A_ROW + place.x] = vec4<Staged>(block[{{i}}]);
//#end
    } else {
        let place = place_of_b(index - A_BLOCKS);
//#for i in 0..4
        tile_b[(4u * place.y + {{i}}u) * B_ROW + place.x] = vec4<Staged>(block[{{i}}]);
//#end
    }
}

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
    let first_row = tile / at.column_blocks * ROWS;
    let first_column = tile % at.column_blocks * COLUMNS;
    // Rows 4 y to 4 y + 3 of either half of the tile, and columns likewise.
    let x = lane % (COLUMNS / 8u);
    let y = lane / (COLUMNS / 8u);
//#for i in 0..8
//#for j in 0..2
    var c{{i}}_{{j}} = vec4<f32>();
//#end
//#end
    let first = split * at.part;
    let last = min(at.k, first + at.part);
//#for l in 0..TURNS
    var block{{l}} = mat4x4<f32>();
    if ({{l}}u * WORKGROUP + lane < BLOCKS) {
        block{{l}} = read_block(at, first_row, first_column, first, last, {{l}}u * WORKGROUP + lane);
    }
//#end
    for (var depth = first; depth < last; depth += DEPTH) {
//#for l in 0..TURNS
        if ({{l}}u * WORKGROUP + lane < BLOCKS) {
            stage_block({{l}}u * WORKGROUP + lane, block{{l}});
        }
//#end
        workgroupBarrier();
//#for l in 0..TURNS
        if ({{l}}u * WORKGROUP + lane < BLOCKS) {
            block{{l}} = read_block(at, first_row, first_column, depth + DEPTH, last, {{l}}u * WORKGROUP + lane);
        }
//#end
        for (var k = 0u; k < DEPTH; k++) {
            let a0 = vec4<f32>(tile_a[k * A_ROW + y]);
            let a1 = vec4<f32>(tile_a[k * A_ROW + ROWS / 8u + y]);
            let b0 = vec4<f32>(tile_b[k * B_ROW + x]);
            let b1 = vec4<f32>(tile_b[k * B_ROW + COLUMNS / 8u + x]);
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
    finish_four(at, first_row + {{i / 4}}u * ROWS / 2u + 4u * y + {{i - i / 4 * 4}}u,
        first_column + {{j}}u * COLUMNS / 2u + 4u * x, split, c{{i}}_{{j}});
//#end
//#end
}
