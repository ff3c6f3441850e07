// Cooperative matrices (tensor cores) as product_matrix.wgsl uses them: what a whole subgroup does together.
// cooperative_matrix_emulated.wgsl has the same functions in plain WGSL, for tests on adapters without them.
// `coopLoadT` and `coopStoreT` take rows that lie side by side (row-major), `coopLoad` columns: naga's writers of SPIR-V
// (RowMajorKHR) and of MSL (no transposition) agree in that. naga has no arrays of such matrices, nor their elements.
// Pairs with crates/electra-kernels/src/gpu/product/mod.rs
alias MatrixA = coop_mat{{SIZE}}x{{SIZE}}<f16, A>;
alias MatrixB = coop_mat{{SIZE}}x{{SIZE}}<f16, B>;
alias MatrixC = coop_mat{{SIZE}}x{{SIZE}}<f32, C>;

fn load_a(at: u32) -> MatrixA {
//#if MODE == 2
    return coopLoad<MatrixA>(&tile_a[at / {{1 + 3 * FOURS}}u], A_STRIDE / {{1 + 3 * FOURS}}u);
//#else
    return coopLoadT<MatrixA>(&tile_a[at / {{1 + 3 * FOURS}}u], A_STRIDE / {{1 + 3 * FOURS}}u);
//#end
}

fn load_b(at: u32) -> MatrixB {
//#if MODE == 0
    return coopLoad<MatrixB>(&tile_b[at / {{1 + 3 * FOURS}}u], B_STRIDE / {{1 + 3 * FOURS}}u);
//#else
    return coopLoadT<MatrixB>(&tile_b[at / {{1 + 3 * FOURS}}u], B_STRIDE / {{1 + 3 * FOURS}}u);
//#end
}

fn load_c(at: u32) -> MatrixC {
    return coopLoadT<MatrixC>(&strips[at], STRIP_STRIDE);
}

fn multiply_add(a: MatrixA, b: MatrixB, c: MatrixC) -> MatrixC {
    return coopMultiplyAdd(a, b, c);
}

fn store_c(c: MatrixC, at: u32) {
    coopStoreT(c, &strips[at], STRIP_STRIDE);
}
