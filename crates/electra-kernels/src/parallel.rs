//! Rows of the host's memory, in parallel where there are threads.

/// Runs `body(row, values)` over the rows of `values`, in parallel where there are threads.
pub(crate) fn parallel_rows(values: &mut [f32], row_len: usize, body: impl Fn(usize, &mut [f32]) + Sync) {
    if row_len == 0 {
        return;
    }
    #[cfg(not(target_family = "wasm"))]
    {
        use rayon::prelude::*;
        values.par_chunks_mut(row_len).enumerate().for_each(|(row, values)| body(row, values));
    }
    #[cfg(target_family = "wasm")]
    values.chunks_mut(row_len).enumerate().for_each(|(row, values)| body(row, values));
}
