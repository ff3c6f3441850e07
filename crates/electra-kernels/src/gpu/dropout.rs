//! Dropout alone, on graphics adapters.

use burn_wgpu::CubeTensor;

use super::{
    Noise, Operand, empty_like,
    launch::Launch,
    shader::{Shader, shader},
};
use crate::graph::fused;

static DROPOUT: Shader = shader!("dropout");

/// `x`, of any shape, times the mask.
pub(crate) fn dropout(x: Operand, noise: Noise) -> Operand {
    let forward = |[x]: [CubeTensor; 1], _| (masked(&x, &noise), noise.clone(), ());
    fused([x], forward, |noise, gradient, _| [Some(masked(&gradient, &noise))]).0
}

fn masked(x: &CubeTensor, noise: &Noise) -> CubeTensor {
    let per_example = x.meta.shape().num_elements() / noise.examples.len();
    let blocks = per_example.div_ceil(64 * 8);
    let y = empty_like(x);
    Launch::new(&DROPOUT)
        .buffer(x)
        .buffer(&y)
        .size(per_example)
        .size(blocks)
        .words(&noise.words)
        .words(&noise.examples)
        .run(64, blocks * noise.examples.len());
    y
}

#[cfg(all(test, not(target_family = "wasm")))]
mod tests {
    use burn::tensor::Tensor;

    use crate::gpu::testing::{assert_matches, operands};
    use crate::{Dropout, noise::NoiseKey};

    #[test]
    fn masks_are_the_references_bit_by_bit() {
        let examples = [3, 0, u32::MAX];
        for (probability, per_example) in [(0.1, 1), (0.5, 7 * 37), (0.9, 513), (0.1, 4096)] {
            let site = Dropout { probability, key: NoiseKey::new(1), examples: &examples };
            let operands = operands(&[[3, per_example]]);
            let body = |operands: Vec<Tensor<2>>| crate::dropout(operands[0].clone(), Some(&site));
            let oracle = |operands: Vec<Tensor<2>>| crate::dropout::reference(operands[0].clone(), &site);
            // One multiplication: nothing but its rounding.
            assert_matches(&format!("dropout {probability} of {per_example}"), &operands, 1e-7, &body, &oracle);
        }
    }
}
