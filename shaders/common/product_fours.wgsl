// How the forms that stage tiles read A and B: four values that lie side by side in memory; 0 beyond the matrix and the part.
// Four values of A that lie side by side: of row `row` from `k` on (MODE 2: of `k` from `row` on).
fn four_of_a(at: Sizes, row: u32, k: u32, last: u32) -> vec4<f32> {
//#if VECTOR_A
    if (row < at.m && k < last) {
//#if MODE == 2
        return a[(k * at.a_stride + row) / 4u];
//#else
        return a[(row * at.a_stride + k) / 4u];
//#end
    }
    return vec4<f32>();
//#else
    var four = vec4<f32>();
//#for i in 0..4
//#if MODE == 2
    if (row + {{i}}u < at.m && k < last) {
        four[{{i}}] = a[k * at.a_stride + row + {{i}}u];
    }
//#else
    if (row < at.m && k + {{i}}u < last) {
        four[{{i}}] = a[row * at.a_stride + k + {{i}}u];
    }
//#end
//#end
    return four;
//#end
}

fn four_of_b(at: Sizes, column: u32, k: u32, last: u32) -> vec4<f32> {
//#if VECTOR_B
    if (column < at.n && k < last) {
//#if MODE == 0
        return b[(column * at.k + k) / 4u];
//#else
        return b[(k * at.n + column) / 4u];
//#end
    }
    return vec4<f32>();
//#else
    var four = vec4<f32>();
//#for i in 0..4
//#if MODE == 0
    if (column < at.n && k + {{i}}u < last) {
        four[{{i}}] = b[column * at.k + k + {{i}}u];
    }
//#else
    if (column + {{i}}u < at.n && k < last) {
        four[{{i}}] = b[k * at.n + column + {{i}}u];
    }
//#end
//#end
    return four;
//#end
}
