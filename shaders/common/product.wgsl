// What both forms of the matrix product share: bindings, sizes, and what becomes of a sum of products.
//   MODE 0: A [m, k], B [n, k]    (y = x W^T)
//   MODE 1: A [m, k], B [k, n]    (dx = dy W)
//   MODE 2: A [k, m], B [k, n]    (dW = dy^T x)
// Epilogues, in this order: + bias[column]; keep z, then GELU; * GELU'(z); + what the result held before.
// SUMS (MODE 2): beside the product, sums[row] = sum over k of A, the bias's gradient, by workgroups of its own.
// HALF: what is read of A and B is rounded to f16; sums stay f32.
// SPLIT > 1: k is cut into SPLIT parts, part s writes its own [m, n] and [m]; sum_parts.wgsl adds them in order.
//#if HALF
enable f16;
//#end
//#include launch
//#if GELU || SLOPE
//#include gelu
//#end
//#if VECTOR_A
alias A = vec4<f32>;
//#else
alias A = f32;
//#end
//#if VECTOR_B
alias B = vec4<f32>;
//#else
alias B = f32;
//#end
@group(0) @binding(0) var<storage, read_write> a: array<A>;
@group(0) @binding(1) var<storage, read_write> b: array<B>;
@group(0) @binding(2) var<storage, read_write> result: array<f32>;
//#if BIAS
@group(0) @binding(3) var<storage, read_write> bias: array<f32>;
//#end
//#if KEEP || SLOPE
@group(0) @binding({{3 + BIAS}}) var<storage, read_write> z: array<f32>;
//#end
//#if SUMS && SPLIT == 1
@group(0) @binding({{3 + BIAS}}) var<storage, read_write> sums: array<f32>;
//#end

struct Sizes {
    m: u32,
    n: u32,
    k: u32,
    // Blocks of rows and of columns, and the length of a part of k.
    row_blocks: u32,
    column_blocks: u32,
    part: u32,
    // How far apart the rows of A lie, and those of the result.
    a_stride: u32,
    result_stride: u32,
}

fn read_sizes() -> Sizes {
    return Sizes(sizes[1], sizes[2], sizes[3], sizes[4], sizes[5], sizes[6], sizes[7], sizes[8]);
}

fn finish(at: Sizes, row: u32, column: u32, split: u32, sum: f32) {
    if (row >= at.m || column >= at.n) {
        return;
    }
//#if SPLIT > 1
    result[split * (at.m * at.n + {{SUMS}}u * at.m) + row * at.n + column] = sum;
//#else
    let index = row * at.result_stride + column;
    var value = sum;
//#if BIAS
    value += bias[column];
//#end
//#if KEEP
    z[index] = value;
//#end
//#if GELU
    value = gelu(value);
//#end
//#if SLOPE
    value *= gelu_slope(z[index]);
//#end
//#if ACCUMULATE
    value += result[index];
//#end
    result[index] = value;
//#end
}

//#if SUMS
// Sums of A's columns: one column each invocation.
fn column_sums(at: Sizes, column: u32, split: u32) {
    if (column >= at.m) {
        return;
    }
    let last = min(at.k, (split + 1u) * at.part);
    var sum = 0.0;
    for (var k = split * at.part; k < last; k++) {
//#if VECTOR_A
        let index = k * at.a_stride + column;
        sum += a[index / 4u][index % 4u];
//#else
        sum += a[k * at.a_stride + column];
//#end
    }
//#if SPLIT > 1
    result[split * (at.m * at.n + at.m) + at.m * at.n + column] = sum;
//#else
//#if ACCUMULATE
    sum += sums[column];
//#end
    sums[column] = sum;
//#end
}
//#end
