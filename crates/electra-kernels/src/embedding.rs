//! Row look-up in a table. The gradient adds every row's gradient into its id's row, id 0 ([PAD]) included:
//! the reference has no padding index.

use burn::tensor::{Int, Tensor};

use crate::cpu;

/// `table`: `[rows, width]`; `ids`: `[tokens]`, each below `rows`. Returns `[tokens, width]`.
///
/// # Panics
/// If an id is not below `rows` (where ids are on the CPU; a GPU does not look).
pub fn embedding(table: Tensor<2>, ids: Tensor<1, Int>) -> Tensor<2> {
    if cpu::is_cpu(&table) {
        let ids = cpu::ids("embedding", ids, table.dims()[0]);
        return cpu::embedding::embedding(cpu::operand(table), ids).into_tensor();
    }
    reference(table, ids)
}

/// The function above in primitives.
#[doc(hidden)]
pub fn reference(table: Tensor<2>, ids: Tensor<1, Int>) -> Tensor<2> {
    table.select(0, ids)
}
