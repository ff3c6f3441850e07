// Matrix product on matrix units (tensor cores), in half precision: tiles of 64 x 64 results, staged as f16 in workgroup
// memory 32 products deep. Four subgroups own a quarter of 32 x 32 results each, in sums of SIZE x SIZE.
//   - The values of the next 32 products are read while the units work on these.
//   - A tile is staged as its matrix lies in memory, so that reads and writes are of neighbours; loads into the units turn it.
//   - How wide a subgroup is may be the driver's choice: a workgroup has 4 of the widest. Where they turn out narrower, the
//     subgroups beyond the fourth compute the same once more, into places that nobody reads. So every matrix instruction
//     stands in control flow that is the same for all, and no quarter is ever left out.
//   - Units have no elements in WGSL: sums go through workgroup memory, 256 of a quarter at a time, and `finish` takes them
//     from there. They begin as zeros from there, too, since what an empty matrix holds is for each language to say.
// What lies beyond a matrix is staged as 0, so any size works. 15 KiB of workgroup memory where subgroups have one width,
// of the 16 KiB that every adapter has.
// Pairs with crates/electra-kernels/src/gpu/product.rs
//#if !EMULATED
enable wgpu_cooperative_matrix;
//#end
//#include product

const TILE: u32 = 64u;
const DEPTH: u32 = 32u;
const QUARTER: u32 = 32u;
// Rows of a tile are 8 values longer than they need: 80 or 144 bytes, so that 8 rows of 16 bytes, which units read at
// once, lie in different banks, and all begin at multiples of 16 bytes, which Vulkan asks for.
const PAD: u32 = 8u;

const A_WIDTH: u32 = {{1 + 3 * VECTOR_A}}u;
const B_WIDTH: u32 = {{1 + 3 * VECTOR_B}}u;
//#if MODE == 2
// [DEPTH][TILE]
const A_ROW: u32 = TILE;
const A_ROWS: u32 = DEPTH;
//#else
// [TILE][DEPTH]
const A_ROW: u32 = DEPTH;
const A_ROWS: u32 = TILE;
//#end
//#if MODE == 0
const B_ROW: u32 = DEPTH;
const B_ROWS: u32 = TILE;
//#else
const B_ROW: u32 = TILE;
const B_ROWS: u32 = DEPTH;
//#end
const A_STRIDE: u32 = A_ROW + PAD;
const B_STRIDE: u32 = B_ROW + PAD;
// A strip: SIZE rows of a quarter's results, 256 in all.
const STRIP: u32 = {{256 / SIZE}}u;
const STRIP_STRIDE: u32 = STRIP + 4u;
const STRIP_LENGTH: u32 = {{SIZE}}u * STRIP_STRIDE;

var<workgroup> tile_a: array<f16, A_ROWS * A_STRIDE>;
var<workgroup> tile_b: array<f16, B_ROWS * B_STRIDE>;
// A strip for each of the most subgroups that a workgroup can have.
var<workgroup> strips: array<f32, {{STRIPS}}u * STRIP_LENGTH>;

//#if EMULATED
//#include matrix_emulated
//#else
//#include matrix_units
//#end

// Value `index` of the tile of A that begins at `depth`, or four; 0 beyond the matrix and the part.
fn read_a(at: Sizes, first_row: u32, depth: u32, last: u32, index: u32) -> ValueA {
    let along = index % (A_ROW / A_WIDTH) * A_WIDTH;
    let across = index / (A_ROW / A_WIDTH);
//#if MODE == 2
    let row = first_row + along;
    let k = depth + across;
    let position = k * at.a_stride + row;
//#else
    let row = first_row + across;
    let k = depth + along;
    let position = row * at.a_stride + k;
//#end
    if (row >= at.m || k >= last) {
        return ValueA();
    }
    return a[position / A_WIDTH];
}

fn stage_a(index: u32, value: ValueA) {
    let to = index / (A_ROW / A_WIDTH) * A_STRIDE + index % (A_ROW / A_WIDTH) * A_WIDTH;
//#if VECTOR_A
    let rounded = vec4<f16>(value);
//#for i in 0..4
    tile_a[to + {{i}}u] = rounded[{{i}}];
//#end
//#else
    tile_a[to] = f16(value);
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

fn read_b(at: Sizes, first_column: u32, depth: u32, last: u32, index: u32) -> ValueB {
    let along = index % (B_ROW / B_WIDTH) * B_WIDTH;
    let across = index / (B_ROW / B_WIDTH);
//#if MODE == 0
    let column = first_column + across;
    let k = depth + along;
    let position = column * at.k + k;
//#else
    let column = first_column + along;
    let k = depth + across;
    let position = k * at.n + column;
//#end
    if (column >= at.n || k >= last) {
        return ValueB();
    }
    return b[position / B_WIDTH];
}

fn stage_b(index: u32, value: ValueB) {
    let to = index / (B_ROW / B_WIDTH) * B_STRIDE + index % (B_ROW / B_WIDTH) * B_WIDTH;
//#if VECTOR_B
    let rounded = vec4<f16>(value);
//#for i in 0..4
    tile_b[to + {{i}}u] = rounded[{{i}}];
//#end
//#else
    tile_b[to] = f16(value);
//#end
}

fn place_b(column: u32, k: u32) -> u32 {
//#if MODE == 0
    return column * B_STRIDE + k;
//#else
    return k * B_STRIDE + column;
//#end
}

// The four quarters' strips that begin at this row and column of theirs.
fn finish_strips(at: Sizes, first_row: u32, first_column: u32, split: u32, lane: u32) {
    for (var index = lane; index < 1024u; index += WORKGROUP) {
        let quarter = index / 256u;
        let row = index % 256u / STRIP;
        let column = index % STRIP;
        let sum = strips[quarter * STRIP_LENGTH + row * STRIP_STRIDE + column];
        finish(at, first_row + quarter / 2u * QUARTER + row, first_column + quarter % 2u * QUARTER + column, split, sum);
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
    let first_row = tile / at.column_blocks * TILE;
    let first_column = tile % at.column_blocks * TILE;
    let quarter_row = subgroup % 4u / 2u * QUARTER;
    let quarter_column = subgroup % 2u * QUARTER;
    let strip = subgroup % {{STRIPS}}u * STRIP_LENGTH;
    for (var index = lane; index < {{STRIPS}}u * STRIP_LENGTH; index += WORKGROUP) {
        strips[index] = 0.0;
    }
    workgroupBarrier();
//#for i in 0..32 / SIZE
//#for j in 0..32 / SIZE
    var c{{i}}_{{j}} = load_c(strip);
//#end
//#end
    let first = split * at.part;
    let last = min(at.k, first + at.part);
//#for i in 0..2048 / (WORKGROUP * (1 + 3 * VECTOR_A))
    var a{{i}} = read_a(at, first_row, first, last, {{i}}u * WORKGROUP + lane);
//#end
//#for i in 0..2048 / (WORKGROUP * (1 + 3 * VECTOR_B))
    var b{{i}} = read_b(at, first_column, first, last, {{i}}u * WORKGROUP + lane);
//#end
    for (var depth = first; depth < last; depth += DEPTH) {
//#for i in 0..2048 / (WORKGROUP * (1 + 3 * VECTOR_A))
        stage_a({{i}}u * WORKGROUP + lane, a{{i}});
//#end
//#for i in 0..2048 / (WORKGROUP * (1 + 3 * VECTOR_B))
        stage_b({{i}}u * WORKGROUP + lane, b{{i}});
//#end
        workgroupBarrier();
//#for i in 0..2048 / (WORKGROUP * (1 + 3 * VECTOR_A))
        a{{i}} = read_a(at, first_row, depth + DEPTH, last, {{i}}u * WORKGROUP + lane);
//#end
//#for i in 0..2048 / (WORKGROUP * (1 + 3 * VECTOR_B))
        b{{i}} = read_b(at, first_column, depth + DEPTH, last, {{i}}u * WORKGROUP + lane);
//#end
        for (var k = 0u; k < DEPTH; k += {{SIZE}}u) {
//#for i in 0..32 / SIZE
            let unit_a{{i}} = load_a(place_a(quarter_row + {{i * SIZE}}u, k));
//#end
//#for j in 0..32 / SIZE
            let unit_b{{j}} = load_b(place_b(quarter_column + {{j * SIZE}}u, k));
//#end
//#for i in 0..32 / SIZE
//#for j in 0..32 / SIZE
            c{{i}}_{{j}} = multiply_add(unit_a{{i}}, unit_b{{j}}, c{{i}}_{{j}});
//#end
//#end
        }
        workgroupBarrier();
    }
//#for i in 0..32 / SIZE
//#for j in 0..SIZE / 8
//#for k in 0..256 / (SIZE * SIZE)
    store_c(c{{i}}_{{j * (256 / (SIZE * SIZE)) + k}}, strip + {{k * SIZE}}u);
//#end
    workgroupBarrier();
    finish_strips(at, first_row + {{i * SIZE}}u, first_column + {{j}}u * STRIP, split, lane);
    workgroupBarrier();
//#end
//#end
}
