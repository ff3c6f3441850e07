//! Matrix products on slices, by the `gemm` crate, which is also what Burn's CPU backend multiplies with; in WebAssembly by
//! our own loops, which take a quarter of its time there (docs/PERFORMANCE.md).
//!
//! Called directly, gemm takes a head's columns out of a `[tokens, hidden]` matrix, transposes for free and writes where
//! the result belongs. It splits the result among threads, never the sum over the inner dimension, so that the number
//! of threads changes no bit (the tests of every operation hold it to that).

#[cfg(any(target_family = "wasm", test))]
use super::narrow_product::{self, Out, Side};

/// A matrix inside a slice.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    pub(crate) fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        Self::strided(values, rows, columns, columns)
    }

    /// Rows begin `row_stride` values apart.
    pub(crate) fn strided(values: &'a [f32], rows: usize, columns: usize, row_stride: usize) -> Self {
        assert!(reaches(rows, columns, row_stride, 1) <= values.len(), "matrix: beyond its slice");
        Self { values, rows, columns, row_stride, column_stride: 1 }
    }

    pub(crate) fn rows(self) -> usize {
        self.rows
    }

    pub(crate) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

fn reaches(rows: usize, columns: usize, row_stride: usize, column_stride: usize) -> usize {
    if rows == 0 || columns == 0 { 0 } else { (rows - 1) * row_stride + (columns - 1) * column_stride + 1 }
}

/// Who computes a product.
#[derive(Clone, Copy)]
pub(crate) enum Threads {
    /// The calling thread: where many products run side by side.
    This,
    All,
}

/// `out = a b`, all of `out`, dense.
pub(crate) fn product(out: &mut [f32], a: Matrix<'_>, b: Matrix<'_>) {
    assert_eq!(out.len(), a.rows * b.columns, "product: result");
    // SAFETY: the result is a dense matrix of exactly this length.
    unsafe { product_into(out.as_mut_ptr(), b.columns, 1.0, a, b, Threads::All) }
}

/// As [`product`], added to what is in `out`.
pub(crate) fn product_onto(out: &mut [f32], a: Matrix<'_>, b: Matrix<'_>) {
    assert_eq!(out.len(), a.rows * b.columns, "product: result");
    // SAFETY: as above.
    unsafe { multiply(out.as_mut_ptr(), b.columns, true, 1.0, a, b, Threads::All) }
}

/// As [`product`] times `scale`, on the calling thread.
pub(crate) fn product_here(out: &mut [f32], scale: f32, a: Matrix<'_>, b: Matrix<'_>) {
    assert_eq!(out.len(), a.rows * b.columns, "product: result");
    // SAFETY: as above.
    unsafe { product_into(out.as_mut_ptr(), b.columns, scale, a, b, Threads::This) }
}

/// `out = scale a b` into rows that begin `row_stride` values apart.
///
/// # Safety
/// `out` must be valid for writes of `[a.rows, b.columns]` values with that stride, and nobody else may touch them.
pub(crate) unsafe fn product_into(
    out: *mut f32,
    row_stride: usize,
    scale: f32,
    a: Matrix<'_>,
    b: Matrix<'_>,
    threads: Threads,
) {
    // SAFETY: the caller answers for the result.
    unsafe { multiply(out, row_stride, false, scale, a, b, threads) }
}

/// As [`product_into`]; `onto`: added to what is there, which must have values.
unsafe fn multiply(
    out: *mut f32,
    row_stride: usize,
    onto: bool,
    scale: f32,
    a: Matrix<'_>,
    b: Matrix<'_>,
    threads: Threads,
) {
    assert_eq!(a.columns, b.rows, "product: inner dimension");
    #[cfg(target_family = "wasm")]
    {
        // A page's worker has one thread.
        let _ = threads;
        // SAFETY: as below.
        unsafe { narrow(Out { start: out, row_stride, onto, scale }, a, b) }
    }
    #[cfg(not(target_family = "wasm"))]
    {
        // Below this a thread's wake-up costs more than it brings; Burn's own threshold.
        const WORTH_THREADS: usize = 192 * 192 * 192;
        let parallelism = match threads {
            Threads::All if a.rows * a.columns * b.columns >= WORTH_THREADS => gemm::Parallelism::Rayon(0),
            _ => gemm::Parallelism::None,
        };
        // SAFETY: `Matrix` checked the operands, the caller answers for the result.
        unsafe {
            gemm::gemm(
                a.rows,
                b.columns,
                a.columns,
                out,
                1,
                row_stride as isize,
                onto,
                a.values.as_ptr(),
                a.column_stride as isize,
                a.row_stride as isize,
                b.values.as_ptr(),
                b.column_stride as isize,
                b.row_stride as isize,
                if onto { 1.0 } else { 0.0 },
                scale,
                false,
                false,
                false,
                parallelism,
            );
        }
    }
}

/// `out = scale a b` by our own loops.
///
/// # Safety
/// As for [`product_into`].
#[cfg(any(target_family = "wasm", test))]
unsafe fn narrow(out: Out, a: Matrix<'_>, b: Matrix<'_>) {
    let rows = Side { start: a.values.as_ptr(), count: a.rows, stride: a.row_stride, inner_stride: a.column_stride };
    let columns =
        Side { start: b.values.as_ptr(), count: b.columns, stride: b.column_stride, inner_stride: b.row_stride };
    // SAFETY: `Matrix` checked the operands, the caller answers for the result.
    unsafe { narrow_product::multiply(out, rows, columns, a.columns) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strides_transposes_and_columns_of_a_larger_matrix() {
        // Columns 2..5 of a [4, 6] matrix, times a transposed [2, 3], into columns 1..3 of a [4, 5] one.
        let large: Vec<f32> = (0..24).map(|x| x as f32).collect();
        let small: Vec<f32> = (0..6).map(|x| x as f32 - 2.0).collect();
        let mut out = vec![f32::NAN; 20];
        let (a, b) = (Matrix::strided(&large[2..], 4, 3, 6), Matrix::new(&small, 2, 3).transposed());
        // SAFETY: rows of 2 values at 1, 6, 11 and 16, of 20.
        unsafe { product_into(out.as_mut_ptr().add(1), 5, 0.5, a, b, Threads::This) };
        let mut narrow_out = vec![f32::NAN; 20];
        let start = Out { start: narrow_out[1..].as_mut_ptr(), row_stride: 5, onto: false, scale: 0.5 };
        // SAFETY: as above.
        unsafe { narrow(start, a, b) };
        for out in [out, narrow_out] {
            for row in 0..4 {
                for column in 0..5 {
                    let found = out[row * 5 + column];
                    if (1..3).contains(&column) {
                        let expected: f32 = (0..3).map(|k| large[row * 6 + 2 + k] * small[(column - 1) * 3 + k]).sum();
                        assert_eq!(found, expected * 0.5);
                    } else {
                        assert!(found.is_nan());
                    }
                }
            }
        }
    }
}
