//! Rows in blocks of a fixed number, on all threads: sums over rows go by them, whatever the number of threads.

use burn_flex::FlexTensor;

use super::buffer::Buffer;
use super::math::vectorised;

/// Rows that are summed together before the sums of blocks are added. Part of the last bits of every bias's gradient.
pub(crate) const ROW_BLOCK: usize = 64;

/// `body(block, a block of rows)` for all blocks of [`ROW_BLOCK`] rows, on all threads.
pub(crate) fn row_blocks<T: Send>(blocks: Vec<T>, body: impl Fn(usize, T) + Sync) {
    #[cfg(not(target_family = "wasm"))]
    {
        use rayon::prelude::*;
        blocks.into_par_iter().enumerate().for_each(|(block, rows)| body(block, rows));
    }
    #[cfg(target_family = "wasm")]
    blocks.into_iter().enumerate().for_each(|(block, rows)| body(block, rows));
}

/// Values of a block of rows.
pub(crate) fn block_length(columns: usize) -> usize {
    (ROW_BLOCK * columns).max(1)
}

/// Sums of a matrix's columns, by blocks of rows.
pub(crate) fn column_sums(matrix: &[f32], columns: usize) -> FlexTensor {
    let rows = matrix.len() / columns.max(1);
    let mut sums = Buffer::new(rows.div_ceil(ROW_BLOCK) * columns);
    let parts = sums.chunks_mut(columns.max(1)).zip(matrix.chunks(block_length(columns))).collect();
    row_blocks(parts, |_, (sums, block): (&mut [f32], &[f32])| {
        sums.fill(0.0);
        add_rows(sums, block);
    });
    total(&sums, columns)
}

/// Sum of the blocks' sums, in their order.
pub(crate) fn total(sums: &[f32], columns: usize) -> FlexTensor {
    let mut result = Buffer::new(columns);
    result.fill(0.0);
    add_rows(&mut result, sums);
    result.into_tensor([columns])
}

vectorised! {
    /// Adds every row of `rows` to `sums`, in their order.
    pub(crate) fn add_rows(sums: &mut [f32], rows: &[f32]) {
        for row in rows.chunks_exact(sums.len()) {
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += *value;
            }
        }
    }
}

vectorised! {
    /// `values *= factor`.
    pub(crate) fn scale(values: &mut [f32], factor: f32) {
        for value in values {
            *value *= factor;
        }
    }
}
