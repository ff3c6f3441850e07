//! Dropout's mask inside other loops, and dropout alone.

use burn_flex::FlexTensor;

use crate::autodiff::fused;
use crate::cpu::mask::{Mask, Rule};
use crate::cpu::{Operand, buffer::Buffer, math::vectorised, row_blocks, values};
use crate::noise::NoiseKey;

/// `x`, of any shape, times the mask.
pub(crate) fn dropout(x: Operand, mask: Mask) -> Operand {
    let forward = |[x]: [FlexTensor; 1], _| (masked(x, &mask), mask.clone(), ());
    fused([x], forward, |mask, gradient, _| [Some(masked(gradient, &mask))]).0
}

/// In place where nobody else holds the values.
fn masked(mut x: FlexTensor, mask: &Mask) -> FlexTensor {
    let length = values(&x).len();
    let whole = x.layout().start_offset() == 0 && x.bytes().len() == 4 * length;
    if !(whole && x.is_unique()) {
        let mut copy = Buffer::new(length);
        copy.copy_from_slice(values(&x));
        let shape = x.layout().shape().clone();
        x = copy.into_tensor([length]).reshape(shape);
    }
    let per_example = length / mask.examples();
    const CHUNK: usize = 1 << 13;
    let mut chunks = Vec::new();
    for (example, values) in x.storage_mut::<f32>().chunks_mut(per_example).enumerate() {
        chunks.extend(values.chunks_mut(CHUNK).enumerate().map(|(chunk, values)| (example, chunk * CHUNK, values)));
    }
    row_blocks(chunks, |_, (example, first, values)| mask_values(values, mask.rule, mask.key(example), first as u32));
    x
}

vectorised! {
    /// Multiplies consecutive elements of an example, from number `first`, by their factors.
    pub(crate) fn mask_values(values: &mut [f32], rule: Rule, key: NoiseKey, first: u32) {
        for (offset, value) in values.iter_mut().enumerate() {
            *value *= rule.factor(key, first.wrapping_add(offset as u32));
        }
    }
}
