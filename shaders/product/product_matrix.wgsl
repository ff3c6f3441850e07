// Matrix product on cooperative matrices (tensor cores), in half precision: tiles of ROWS x COLUMNS results, staged as f16 in
// workgroup memory 32 products deep. Each subgroup owns a share of OWN_ROWS x OWN_COLUMNS results, in sums of SIZE x SIZE.
//   - The values of the next 32 products are read while these are multiplied.
//   - A tile is staged as its matrix lies in memory, so that reads and writes are of neighbours; loads into cooperative matrices turn it.
//   - How wide a subgroup is may be the driver's choice: a workgroup has a widest one for every share. Where they turn out
//     narrower, the subgroups beyond the last share compute the same once more, into places that nobody reads. So every
//     matrix instruction stands in control flow that is the same for all, and no share is ever left out.
//   - Cooperative matrices have no elements in WGSL: sums go through workgroup memory, 256 of a share at a time, and `finish` takes them
//     from there. They begin as zeros from there, too, since what an empty matrix holds is for each language to say.
// What lies beyond a matrix is staged as 0, so any size works.
// Pairs with crates/electra-kernels/src/gpu/product/mod.rs
//#if !EMULATED
enable wgpu_cooperative_matrix;
//#end
//#include product
//#include product_fours

const ROWS: u32 = {{ROWS}}u;
const COLUMNS: u32 = {{COLUMNS}}u;
const DEPTH: u32 = 32u;
const OWN_ROWS: u32 = {{OWN_ROWS}}u;
const OWN_COLUMNS: u32 = {{OWN_COLUMNS}}u;
const SHARES: u32 = ROWS / OWN_ROWS * (COLUMNS / OWN_COLUMNS);
// Rows of a tile are 8 values longer than they need: 8 rows of 16 bytes, which are read at once, lie in different banks,
// and all begin at multiples of 16 bytes, which Vulkan asks for.
const PAD: u32 = 8u;

//#if MODE == 2
// [DEPTH][ROWS]
const A_LENGTH: u32 = ROWS;
const A_LINES: u32 = DEPTH;
//#else
// [ROWS][DEPTH]
const A_LENGTH: u32 = DEPTH;
const A_LINES: u32 = ROWS;
//#end
//#if MODE == 0
const B_LENGTH: u32 = DEPTH;
const B_LINES: u32 = COLUMNS;
//#else
const B_LENGTH: u32 = COLUMNS;
const B_LINES: u32 = DEPTH;
//#end
const A_STRIDE: u32 = A_LENGTH + PAD;
const B_STRIDE: u32 = B_LENGTH + PAD;
// A strip: SIZE rows of a share's results, 256 in all.
const STRIP: u32 = {{256 / SIZE}}u;
const STRIP_STRIDE: u32 = STRIP + 4u;
const STRIP_LENGTH: u32 = {{SIZE}}u * STRIP_STRIDE;

// FOURS: tiles are written four values at a time. Metal's loads take an array of single ones.
//#if FOURS
var<workgroup> tile_a: array<vec4<f16>, A_LINES * A_STRIDE / 4u>;
var<workgroup> tile_b: array<vec4<f16>, B_LINES * B_STRIDE / 4u>;
//#else
var<workgroup> tile_a: array<f16, A_LINES * A_STRIDE>;
var<workgroup> tile_b: array<f16, B_LINES * B_STRIDE>;
//#end
// A strip for each of the most subgroups that a workgroup can have.
var<workgroup> strips: array<f32, {{STRIPS}}u * STRIP_LENGTH>;

//#if EMULATED
//#include cooperative_matrix_emulated
//#else
//#include cooperative_matrix
//#end

// The four values of A's tile that begins at `depth`, by their number.
fn read_a(at: Sizes, first_row: u32, depth: u32, last: u32, index: u32) -> vec4<f32> {
    let along = index % (A_LENGTH / 4u) * 4u;
    let across = index / (A_LENGTH / 4u);
//#if MODE == 2
    return four_of_a(at, first_row + along, depth + across, last);
//#else
    return four_of_a(at, first_row + across, depth + along, last);
//#end
}

fn stage_a(index: u32, value: vec4<f32>) {
    let to = index / (A_LENGTH / 4u) * A_STRIDE + index % (A_LENGTH / 4u) * 4u;
    let rounded = vec4<f16>(value);
//#if FOURS
    tile_a[to / 4u] = rounded;
//#else
//#for i in 0..4
    tile_a[to + {{i}}u] = rounded[{{i}}];
//#end
//#end
}

// Where results' row `row` and product `k` lie in the tile.
fn place_a(row: u32, k: u32) -> u32 {
//#if MODE == 2
    return k * A_STRIDE + row;
//#else
    return row * A_STRIDE + k;
//#end
}

fn read_b(at: Sizes, first_column: u32, depth: u32, last: u32, index: u32) -> vec4<f32> {
    let along = index % (B_LENGTH / 4u) * 4u;
    let across = index / (B_LENGTH / 4u);
//#if MODE == 0
    return four_of_b(at, first_column + across, depth + along, last);
//#else
    return four_of_b(at, first_column + along, depth + across, last);
//#end
}

fn stage_b(index: u32, value: vec4<f32>) {
    let to = index / (B_LENGTH / 4u) * B_STRIDE + index % (B_LENGTH / 4u) * 4u;
    let rounded = vec4<f16>(value);
//#if FOURS
    tile_b[to / 4u] = rounded;
//#else
//#for i in 0..4
    tile_b[to + {{i}}u] = rounded[{{i}}];
//#end
//#end
}

fn place_b(column: u32, k: u32) -> u32 {
//#if MODE == 0
    return column * B_STRIDE + k;
//#else
    return k * B_STRIDE + column;
//#end
}

// The shares' strips that begin at this row and column of theirs, four results each turn.
fn finish_strips(at: Sizes, first_row: u32, first_column: u32, split: u32, lane: u32) {
    for (var index = lane; index < SHARES * 64u; index += WORKGROUP) {
        let share = index / 64u;
        let row = index % 64u * 4u / STRIP;
        let column = index * 4u % STRIP;
        let begin = share * STRIP_LENGTH + row * STRIP_STRIDE + column;
        finish_four(at, first_row + share / (COLUMNS / OWN_COLUMNS) * OWN_ROWS + row,
            first_column + share % (COLUMNS / OWN_COLUMNS) * OWN_COLUMNS + column, split,
            vec4<f32>(strips[begin], strips[begin + 1u], strips[begin + 2u], strips[begin + 3u]));
    }
}

@compute @workgroup_size({{WORKGROUP}}, 1, 1)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
//#if !EMULATED
        @builtin(subgroup_id) subgroup: u32,
//#end
        @builtin(local_invocation_index) lane: u32) {
//#if EMULATED
    let subgroup = lane / {{SUBGROUP}}u;
    lane_of_subgroup = lane % {{SUBGROUP}}u;
//#end
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
    let own_row = subgroup % SHARES / (COLUMNS / OWN_COLUMNS) * OWN_ROWS;
    let own_column = subgroup % (COLUMNS / OWN_COLUMNS) * OWN_COLUMNS;
    let strip = subgroup % {{STRIPS}}u * STRIP_LENGTH;
    for (var index = lane; index < {{STRIPS}}u * STRIP_LENGTH; index += WORKGROUP) {
        strips[index] = 0.0;
    }
    workgroupBarrier();
//#for i in 0..OWN_ROWS / SIZE
//#for j in 0..OWN_COLUMNS / SIZE
    var c{{i}}_{{j}} = load_c(strip);
//#end
//#end
    let first = split * at.part;
    let last = min(at.k, first + at.part);
//#for i in 0..ROWS * 8 / WORKGROUP
    var a{{i}} = read_a(at, first_row, first, last, {{i}}u * WORKGROUP + lane);
//#end
//#for i in 0..COLUMNS * 8 / WORKGROUP
    var b{{i}} = read_b(at, first_column, first, last, {{i}}u * WORKGROUP + lane);
//#end
    for (var depth = first; depth < last; depth += DEPTH) {
//#for i in 0..ROWS * 8 / WORKGROUP
        stage_a({{i}}u * WORKGROUP + lane, a{{i}});
//#end
//#for i in 0..COLUMNS * 8 / WORKGROUP
        stage_b({{i}}u * WORKGROUP + lane, b{{i}});
//#end
        workgroupBarrier();
//#for i in 0..ROWS * 8 / WORKGROUP
        a{{i}} = read_a(at, first_row, depth + DEPTH, last, {{i}}u * WORKGROUP + lane);
//#end
//#for i in 0..COLUMNS * 8 / WORKGROUP
        b{{i}} = read_b(at, first_column, depth + DEPTH, last, {{i}}u * WORKGROUP + lane);
//#end
        for (var k = 0u; k < DEPTH; k += {{SIZE}}u) {
//#for j in 0..OWN_COLUMNS / SIZE
            let matrix_b{{j}} = load_b(place_b(own_column + {{j * SIZE}}u, k));
//#end
//#for i in 0..OWN_ROWS / SIZE
            let matrix_a{{i}} = load_a(place_a(own_row + {{i * SIZE}}u, k));
//#for j in 0..OWN_COLUMNS / SIZE
            c{{i}}_{{j}} = multiply_add(matrix_a{{i}}, matrix_b{{j}}, c{{i}}_{{j}});
//#end
//#end
        }
        workgroupBarrier();
    }
    // A strip holds 256 / SIZE / SIZE sums side by side.
//#for i in 0..OWN_ROWS / SIZE
//#for j in 0..OWN_COLUMNS * SIZE / 256
//#for l in 0..256 / (SIZE * SIZE)
    store_c(c{{i}}_{{j * (256 / (SIZE * SIZE)) + l}}, strip + {{l * SIZE}}u);
//#end
    workgroupBarrier();
    finish_strips(at, first_row + {{i * SIZE}}u, first_column + {{j}}u * STRIP, split, lane);
    workgroupBarrier();
//#end
//#end
}
