//! Table look-up on the CPU. The gradient's rows are dealt out in ranges: each range's thread walks all ids in order
//! and adds the rows that are its own, so that no value is added to by two threads or in another order.

use burn_flex::FlexTensor;

use crate::autodiff::fused;
use crate::cpu::{Operand, add_rows, buffer::Buffer, row_blocks, values};

/// Rows of the table in one range, at most.
const RANGE: usize = 256;

/// `ids` are below the table's rows (checked by the caller).
pub(crate) fn embedding(table: Operand, ids: Vec<u32>) -> Operand {
    let forward = |[table]: [FlexTensor; 1], _| {
        let [rows, width] = [table.layout().shape()[0], table.layout().shape()[1]];
        let table = values(&table);
        let mut output = Buffer::new(ids.len() * width);
        const TOKENS: usize = 64;
        let blocks = output.chunks_mut((TOKENS * width).max(1)).zip(ids.chunks(TOKENS)).collect();
        row_blocks(blocks, |_, (output, ids): (&mut [f32], &[u32])| {
            for (row, &id) in output.chunks_exact_mut(width).zip(ids) {
                row.copy_from_slice(&table[id as usize * width..][..width]);
            }
        });
        (output.into_tensor([ids.len(), width]), (rows, ids), ())
    };
    fused([table], forward, |(rows, ids), gradient, _| {
        let width = gradient.layout().shape()[1];
        let gradient = values(&gradient);
        let mut result = Buffer::new(rows * width);
        let ranges = result.chunks_mut((RANGE * width).max(1)).collect();
        row_blocks(ranges, |range, result: &mut [f32]| {
            result.fill(0.0);
            for (row, &id) in gradient.chunks_exact(width).zip(&ids) {
                let place = (id as usize).wrapping_sub(range * RANGE);
                if place < RANGE {
                    add_rows(&mut result[place * width..][..width], row);
                }
            }
        });
        [Some(result.into_tensor([rows, width]))]
    })
    .0
}
