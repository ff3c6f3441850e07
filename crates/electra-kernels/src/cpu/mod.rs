//! The runtime of the operations' fused bodies for Burn's CPU backend (Flex).
//!
//! Burn's own primitives run one after another over whole tensors, mostly on one thread, and keep every intermediate
//! for the backward pass. The bodies take Flex's arrays as slices instead, forward and backward, and
//! [`fused`](crate::autodiff::fused) makes each a node of Burn's graph. Nothing here knows an operation.
//!
//! Two runs must agree in every bit whatever the number of threads: every value is computed by one thread in one
//! order, and sums over rows go by blocks of a fixed number of rows, added in the blocks' order ([`ROW_BLOCK`]).

pub(crate) mod buffer;
pub(crate) mod mask;
pub(crate) mod math;
#[cfg(any(target_family = "wasm", test))]
mod narrow_product;
mod operand;
pub(crate) mod product;
mod rows;
#[cfg(test)]
pub(crate) mod testing;
pub mod vectors;

pub(crate) use operand::{Operand, constant, ids, operand, values};
pub(crate) use rows::{ROW_BLOCK, add_rows, block_length, column_sums, row_blocks, scale, total};
