//! Dropout's mask inside other loops, and dropout alone.

use burn_flex::FlexTensor;

use super::{Operand, buffer::Buffer, fused, math::vectorised, row_blocks, values};
use crate::{dropout::Dropout, noise::NoiseKey};

/// A dropout site that owns its data, so that the backward pass can make the same mask again.
#[derive(Debug, Clone)]
pub(crate) struct Mask {
    pub(crate) rule: Rule,
    key: NoiseKey,
    examples: Vec<u32>,
}

/// What every element of a site shares.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    threshold: u32,
    pub(crate) scale: f32,
}

impl Rule {
    /// 0 or 1 / (1 - p) for an element of an example.
    #[inline(always)]
    pub(crate) fn factor(self, key: NoiseKey, index: u32) -> f32 {
        if key.bits(index) >= self.threshold { self.scale } else { 0.0 }
    }
}

impl Mask {
    /// `None` where nothing is dropped.
    pub(crate) fn new(dropout: Option<&Dropout<'_>>) -> Option<Self> {
        let dropout = dropout.filter(|dropout| dropout.probability > 0.0)?;
        let rule = Rule { threshold: dropout.threshold(), scale: dropout.scale() };
        Some(Self { rule, key: dropout.key, examples: dropout.examples.to_vec() })
    }

    pub(crate) fn examples(&self) -> usize {
        self.examples.len()
    }

    /// The key of the example in this place of the batch.
    pub(crate) fn key(&self, example: usize) -> NoiseKey {
        self.key.child(u64::from(self.examples[example]))
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::testing::{assert_same_bits, host, leaf, plain, random};

    #[test]
    fn is_the_reference_bit_by_bit_forward_and_backward() {
        let examples = [3, 0, 12];
        for (probability, shape) in [(0.1, [3, 1, 1]), (0.5, [3, 7, 37]), (0.9, [3, 200, 64])] {
            let site = Dropout { probability, key: NoiseKey::new(1), examples: &examples };
            let length = shape.iter().product();
            let run = |fused: bool| {
                let x = leaf(&random(1, length), shape);
                let y = if fused {
                    crate::dropout(x.clone(), Some(&site))
                } else {
                    crate::dropout::reference(x.clone(), &site)
                };
                let gradients = (y.clone() * plain(&random(2, length), shape)).sum().backward();
                // The operand is still held: it must not have been changed in place.
                assert_eq!(host(x.clone()), random(1, length));
                vec![host(y), host(x.grad(&gradients).unwrap())]
            };
            assert_eq!(run(true), run(false));
            assert_same_bits(|| run(true));
        }
    }
}
