//! The operations on the CPU backend, fused: what one operation does with a value it does in one pass, on all cores,
//! in loops that the compiler turns into vector instructions.
//!
//! Burn's own primitives run one after another over whole tensors, mostly on one thread, and keep every intermediate
//! for the backward pass. The functions here take Flex's arrays as slices instead. Each file is one operation, forward
//! and backward; [`fused`] makes it a node of Burn's graph. Devices other than Flex, and precisions other than f32,
//! keep the reference body beside the public function, which is also what the tests here compare with.
//!
//! Two runs must agree in every bit whatever the number of threads: every value is computed by one thread in one
//! order, and sums over rows go by blocks of a fixed number of rows, added in the blocks' order ([`ROW_BLOCK`]).

pub(crate) mod attention;
pub(crate) mod buffer;
pub(crate) mod dropout;
pub(crate) mod embedding;
pub(crate) mod layer_norm;
pub(crate) mod linear;
pub(crate) mod math;
pub(crate) mod mlm;
pub(crate) mod product;
pub(crate) mod rtd;
#[cfg(test)]
pub(crate) mod testing;

use burn::backend::{DispatchDevice, Flex};
use burn::tensor::{Int, Tensor};
use burn_flex::FlexTensor;
use math::vectorised;

use crate::graph;
pub(crate) use crate::graph::{Differentiable, fused};

/// Rows that are summed together before the sums of blocks are added. Part of the last bits of every bias's gradient.
pub(crate) const ROW_BLOCK: usize = 64;

pub(crate) type Operand = graph::Operand<Flex>;

impl graph::Dense for FlexTensor {
    fn dense(self) -> Self {
        dense(self)
    }
}

/// Whether fused bodies can take this tensor.
pub(crate) fn is_cpu<const D: usize>(tensor: &Tensor<D>) -> bool {
    !crate::is_cpu_reference_only() && graph::is_f32_on(tensor, |device| matches!(device, DispatchDevice::Flex(_)))
}

/// The operand in a tensor for which [`is_cpu`] holds.
pub(crate) fn operand<const D: usize>(tensor: Tensor<D>) -> Operand {
    if tensor.is_autodiff() {
        Operand::Tracked(tensor.try_into_primitive::<Differentiable<Flex>>().expect("the device is Flex with autodiff"))
    } else {
        Operand::Plain(tensor.try_into_primitive::<Flex>().expect("the device is Flex"))
    }
}

/// The values of a tensor that takes no gradient.
pub(crate) fn constant<const D: usize>(tensor: &Tensor<D>) -> FlexTensor {
    dense(tensor.clone().inner().try_into_primitive::<Flex>().expect("the device is Flex"))
}

/// Ids on the host, each checked to be below `limit`.
pub(crate) fn ids(name: &str, ids: Tensor<1, Int>, limit: usize) -> Vec<u32> {
    let check = |id: i64| {
        assert!(id >= 0 && (id as usize) < limit, "{name}: id {id}, expected one of 0..{limit}");
        id as u32
    };
    ids.into_data().iter::<i64>().map(check).collect()
}

/// The tensor with its values side by side.
pub(crate) fn dense(tensor: FlexTensor) -> FlexTensor {
    if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() }
}

/// The values of a dense tensor.
pub(crate) fn values(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().expect("dense and f32")
}

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
