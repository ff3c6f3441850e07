// Matrix product without workgroup memory: ROWS x COLUMNS results each invocation, straight from the matrices.
// For software adapters: there every load is a gather and every barrier suspends all invocations, so what counts is
// results per load. The rows are those of the whole workgroup, the columns are the invocations' own.
// SHARES: a workgroup is one subgroup of 8, and what all need of A is read by one lane each and handed on, since a load is a
// gather even where all lanes read one place.
// Columns are single values in MODE 0 and where B's rows are no multiple of 4 long, else vectors of 4.
// Pairs with crates/electra-kernels/src/gpu/product/mod.rs
//#include product

//#if HALF
//#if VECTOR_A
alias HalfA = vec4<f16>;
//#else
alias HalfA = f16;
//#end
//#if VECTOR_B
alias HalfB = vec4<f16>;
//#else
alias HalfB = f16;
//#end
fn read_a(index: u32) -> ValueA { return ValueA(HalfA(a[index])); }
fn read_b(index: u32) -> ValueB { return ValueB(HalfB(b[index])); }
//#else
fn read_a(index: u32) -> ValueA { return a[index]; }
fn read_b(index: u32) -> ValueB { return b[index]; }
//#end

//#if MODE != 0 && VECTOR_B
alias Column = vec4<f32>;
//#else
alias Column = f32;
//#end

@compute @workgroup_size({{WORKGROUP}}, 1, 1)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let at = read_sizes();
    let group = workgroup_number(id, grid);
    let tiles = at.row_blocks * at.column_blocks;
    if (group < tiles) {
        let first_row = group / at.column_blocks * {{ROWS}}u;
        let first_column = group % at.column_blocks * ({{COLUMNS}}u * WORKGROUP) + lane;
//#if MODE == 0
        let row_length = at.k / {{1 + 3 * VECTOR_A}}u;
//#for j in 0..COLUMNS
        let b_at{{j}} = min(first_column + {{j}}u * WORKGROUP, at.n - 1u) * row_length;
//#end
//#else
        let width = at.n / {{1 + 3 * VECTOR_B}}u;
//#for j in 0..COLUMNS
        let b_at{{j}} = min(first_column + {{j}}u * WORKGROUP, width - 1u);
//#end
//#end
//#if MODE == 1
        let row_length = at.k / {{1 + 3 * VECTOR_A}}u;
//#end
//#if MODE != 2
        let a_stride = at.a_stride / {{1 + 3 * VECTOR_A}}u;
//#if SHARES
//#for i in 0..ROWS / 8
        let own_at{{i}} = min(first_row + {{i * 8}}u + lane, at.m - 1u) * a_stride;
//#end
//#else
//#for i in 0..ROWS
        let a_at{{i}} = min(first_row + {{i}}u, at.m - 1u) * a_stride;
//#end
//#end
//#else
        let a_width = at.m / {{1 + 3 * VECTOR_A}}u;
        let a_stride = at.a_stride / {{1 + 3 * VECTOR_A}}u;
//#if SHARES
//#for i in 0..UNROLL * PER_K / 8
        let place{{i}} = {{i * 8}}u + lane;
        let own_at{{i}} = place{{i}} / {{PER_K}}u * a_stride
            + min(first_row / {{1 + 3 * VECTOR_A}}u + place{{i}} % {{PER_K}}u, a_width - 1u);
//#end
//#else
//#for i in 0..PER_K
        let a_at{{i}} = min(first_row / {{1 + 3 * VECTOR_A}}u + {{i}}u, a_width - 1u);
//#end
//#end
//#end
//#for i in 0..ROWS
//#for j in 0..COLUMNS
        var c{{i}}_{{j}} = Column();
//#end
//#end
//#if MODE == 0
        for (var p = 0u; p < row_length; p++) {
//#if SHARES
//#for i in 0..ROWS / 8
            let own{{i}} = read_a(own_at{{i}} + p);
//#end
//#for i in 0..ROWS
            let a{{i}} = subgroupBroadcast(own{{i / 8}}, {{i - i / 8 * 8}}u);
//#end
//#else
//#for i in 0..ROWS
            let a{{i}} = read_a(a_at{{i}} + p);
//#end
//#end
//#for j in 0..COLUMNS
            let b{{j}} = read_b(b_at{{j}} + p);
//#end
//#for i in 0..ROWS
//#for j in 0..COLUMNS
//#if VECTOR_A
            c{{i}}_{{j}} = fma(a{{i}}.w, b{{j}}.w, fma(a{{i}}.z, b{{j}}.z, fma(a{{i}}.y, b{{j}}.y, fma(a{{i}}.x, b{{j}}.x, c{{i}}_{{j}}))));
//#else
            c{{i}}_{{j}} = fma(a{{i}}, b{{j}}, c{{i}}_{{j}});
//#end
//#end
//#end
        }
//#end
//#if MODE == 1
        // A sum takes all the products of a turn one after another: it is loaded and stored once a turn, not once a product.
        for (var p = 0u; p < row_length; p++) {
//#if SHARES
//#for i in 0..ROWS / 8
            let own{{i}} = read_a(own_at{{i}} + p);
//#end
//#for i in 0..ROWS
            let a{{i}} = subgroupBroadcast(own{{i / 8}}, {{i - i / 8 * 8}}u);
//#end
//#else
//#for i in 0..ROWS
            let a{{i}} = read_a(a_at{{i}} + p);
//#end
//#end
//#for k in 0..1 + 3 * VECTOR_A
//#for j in 0..COLUMNS
            let b{{k}}_{{j}} = read_b((p * {{1 + 3 * VECTOR_A}}u + {{k}}u) * width + b_at{{j}});
//#end
//#end
//#for i in 0..ROWS
//#for j in 0..COLUMNS
//#for k in 0..1 + 3 * VECTOR_A
//#if VECTOR_A
            c{{i}}_{{j}} = fma(Column(a{{i}}[{{k}}]), b{{k}}_{{j}}, c{{i}}_{{j}});
//#else
            c{{i}}_{{j}} = fma(Column(a{{i}}), b{{k}}_{{j}}, c{{i}}_{{j}});
//#end
//#end
//#end
//#end
        }
//#end
//#if MODE == 2
        for (var p = 0u; p < at.k; p += {{UNROLL}}u) {
//#if SHARES
//#for i in 0..UNROLL * PER_K / 8
            let own{{i}} = read_a(p * a_stride + own_at{{i}});
//#end
//#end
//#for k in 0..UNROLL
//#for i in 0..PER_K
//#if SHARES
            let a{{k}}_{{i}} = subgroupBroadcast(own{{(k * PER_K + i) / 8}}, {{k * PER_K + i - (k * PER_K + i) / 8 * 8}}u);
//#else
            let a{{k}}_{{i}} = read_a((p + {{k}}u) * a_stride + a_at{{i}});
//#end
//#end
//#for j in 0..COLUMNS
            let b{{k}}_{{j}} = read_b((p + {{k}}u) * width + b_at{{j}});
//#end
//#end
//#for i in 0..ROWS
//#for j in 0..COLUMNS
//#for k in 0..UNROLL
//#if VECTOR_A
            c{{i}}_{{j}} = fma(Column(a{{k}}_{{i / 4}}[{{i - i / 4 * 4}}]), b{{k}}_{{j}}, c{{i}}_{{j}});
//#else
            c{{i}}_{{j}} = fma(Column(a{{k}}_{{i}}), b{{k}}_{{j}}, c{{i}}_{{j}});
//#end
//#end
//#end
//#end
        }
//#end
//#for i in 0..ROWS
//#for j in 0..COLUMNS
//#if MODE != 0 && VECTOR_B
//#for k in 0..4
        finish(at, first_row + {{i}}u, (first_column + {{j}}u * WORKGROUP) * 4u + {{k}}u, 0u, c{{i}}_{{j}}[{{k}}]);
//#end
//#else
        finish(at, first_row + {{i}}u, first_column + {{j}}u * WORKGROUP, 0u, c{{i}}_{{j}});
//#end
//#end
//#end
    }
//#if SUMS
    else {
        column_sums(at, (group - tiles) * WORKGROUP + lane, 0u);
    }
//#end
}
