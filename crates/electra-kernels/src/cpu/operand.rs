//! Operands of the CPU's bodies: Flex's arrays, with or without a place in a graph.

use burn::backend::Flex;
use burn::tensor::{Int, Tensor};
use burn_flex::FlexTensor;

use crate::autodiff::{self, Dense, Differentiable};

pub(crate) type Operand = autodiff::Operand<Flex>;

impl Dense for FlexTensor {
    fn dense(self) -> Self {
        dense(self)
    }
}

/// The operand in a tensor on this device.
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
fn dense(tensor: FlexTensor) -> FlexTensor {
    if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() }
}

/// The values of a dense tensor.
pub(crate) fn values(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().expect("dense and f32")
}
