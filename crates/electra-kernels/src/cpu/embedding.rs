//! Table look-up on the CPU. The gradient's rows are dealt out in ranges: each range's thread walks all ids in order
//! and adds the rows that are its own, so that no value is added to by two threads or in another order.

use burn_flex::FlexTensor;

use super::{Operand, buffer::Buffer, fused, row_blocks, values};

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
                    super::add_rows(&mut result[place * width..][..width], row);
                }
            }
        });
        [Some(result.into_tensor([rows, width]))]
    })
    .0
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Int, Tensor, TensorData};

    use crate::cpu::testing::{assert_same_bits, error, host, leaf, plain, random, wide};

    fn run([tokens, rows, width]: [usize; 3], fused: bool) -> Vec<Vec<f32>> {
        let table = leaf(&random(1, rows * width), [rows, width]);
        // The first and the last row, and one row in every other token.
        let ids: Vec<i32> = (0..tokens).map(|t| (if t % 2 == 0 { rows - 1 } else { t * 7 % rows }) as i32).collect();
        let ids = Tensor::<1, Int>::from_data(TensorData::new(ids, [tokens]), &Device::flex().autodiff());
        let body = if fused { crate::embedding::look_up } else { |table: Tensor<2>, ids| table.select(0, ids) };
        let y = body(table.clone(), ids);
        let gradients = (y.clone() * plain(&random(2, tokens * width), [tokens, width])).sum().backward();
        vec![host(y), host(table.grad(&gradients).unwrap())]
    }

    #[test]
    fn agrees_with_the_reference() {
        for sizes in [[1, 1, 1], [7, 2, 37], [65, 300, 8], [500, 256, 16], [300, 1000, 99]] {
            let (found, expected) = (run(sizes, true), run(sizes, false));
            assert_eq!(found[0], expected[0]);
            assert!(error(&found[1], &wide(&expected[1]), 1e-3) < 1e-5, "{sizes:?}");
        }
    }

    #[test]
    fn threads_change_no_bit() {
        assert_same_bits(|| run([2000, 3000, 64], true));
    }

    #[test]
    #[should_panic(expected = "embeddings: id 5, expected one of 0..5")]
    fn an_id_beyond_the_table_is_told() {
        let ids = Tensor::<1, Int>::from_data([0, 5], &Device::flex().autodiff());
        crate::embedding::look_up(leaf(&[0.0; 10], [5, 2]), ids);
    }
}
