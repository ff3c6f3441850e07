// What the forms of the matrix product share: bindings, sizes, and what becomes of a sum of products.
//   MODE 0: A [m, k], B [n, k]    (y = x W^T)
//   MODE 1: A [m, k], B [k, n]    (dx = dy W)
//   MODE 2: A [k, m], B [k, n]    (dW = dy^T x)
// Epilogues, in this order: + bias[column]; keep z, then GELU; * GELU'(z); + what the result held before.
// SUMS (MODE 2): beside the product, sums[row] = sum over k of A, the bias's gradient, by workgroups of its own.
// VECTOR_RESULT: the result is written four values at a time, and what follows a sum works on four.
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
alias ValueA = vec4<f32>;
//#else
alias ValueA = f32;
//#end
//#if VECTOR_B
alias ValueB = vec4<f32>;
//#else
alias ValueB = f32;
//#end
//#if VECTOR_RESULT
alias Value = vec4<f32>;
const WIDTH: u32 = 4u;
//#else
alias Value = f32;
const WIDTH: u32 = 1u;
//#end
@group(0) @binding(0) var<storage, read_write> a: array<ValueA>;
@group(0) @binding(1) var<storage, read_write> b: array<ValueB>;
@group(0) @binding(2) var<storage, read_write> result: array<Value>;
//#if BIAS
@group(0) @binding(3) var<storage, read_write> bias: array<Value>;
//#end
//#if KEEP || SLOPE
@group(0) @binding({{3 + BIAS}}) var<storage, read_write> z: array<Value>;
//#end
//#if SUMS && SPLIT == 1
@group(0) @binding({{3 + BIAS}}) var<storage, read_write> sums: array<Value>;
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

// A result, or WIDTH of them side by side.
fn finish(at: Sizes, row: u32, column: u32, split: u32, sum: Value) {
    if (row >= at.m || column >= at.n) {
        return;
    }
//#if SPLIT > 1
    result[(split * (at.m * at.n + {{SUMS}}u * at.m) + row * at.n + column) / WIDTH] = sum;
//#else
    let index = (row * at.result_stride + column) / WIDTH;
    var value = sum;
//#if BIAS
    value += bias[column / WIDTH];
//#end
//#if KEEP
    z[index] = value;
//#end
//#if GELU
//#if VECTOR_RESULT
    value = vec4<f32>(gelu(value.x), gelu(value.y), gelu(value.z), gelu(value.w));
//#else
    value = gelu(value);
//#end
//#end
//#if SLOPE
//#if VECTOR_RESULT
    let before = z[index];
    value *= vec4<f32>(gelu_slope(before.x), gelu_slope(before.y), gelu_slope(before.z), gelu_slope(before.w));
//#else
    value *= gelu_slope(z[index]);
//#end
//#end
//#if ACCUMULATE
    value += result[index];
//#end
    result[index] = value;
//#end
}

// Four results side by side.
fn finish_four(at: Sizes, row: u32, column: u32, split: u32, sums: vec4<f32>) {
//#if VECTOR_RESULT
    finish(at, row, column, split, sums);
//#else
//#for i in 0..4
    finish(at, row, column + {{i}}u, split, sums[{{i}}]);
//#end
//#end
}

//#if SUMS
// Sums of A's columns: WIDTH of them side by side each invocation.
fn column_sums(at: Sizes, index: u32, split: u32) {
    let column = WIDTH * index;
    if (column >= at.m) {
        return;
    }
    let last = min(at.k, (split + 1u) * at.part);
    var sum = Value();
    for (var k = split * at.part; k < last; k++) {
        let position = k * at.a_stride + column;
//#if VECTOR_A && VECTOR_RESULT
        sum += a[position / 4u];
//#else
//#if VECTOR_A
        sum += a[position / 4u][position % 4u];
//#else
//#if VECTOR_RESULT
        sum += vec4<f32>(a[position], a[position + 1u], a[position + 2u], a[position + 3u]);
//#else
        sum += a[position];
//#end
//#end
//#end
    }
//#if SPLIT > 1
    result[(split * (at.m * at.n + at.m) + at.m * at.n + column) / WIDTH] = sum;
//#else
//#if ACCUMULATE
    sum += sums[index];
//#end
    sums[index] = sum;
//#end
}
//#end
