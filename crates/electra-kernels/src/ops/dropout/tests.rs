//! The masks of all bodies, bit by bit.

mod cpu {
    use crate::cpu::testing::{assert_same_bits, host, leaf, plain, random};
    use crate::noise::NoiseKey;
    use crate::types::dropout::Dropout;

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
                    crate::ops::dropout::reference::dropped(x.clone(), &site)
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

#[cfg(not(target_family = "wasm"))]
mod gpu {
    use burn::tensor::Tensor;

    use crate::check::testing::{assert_matches, operands};
    use crate::{Dropout, noise::NoiseKey};

    #[test]
    fn masks_are_the_references_bit_by_bit() {
        let examples = [3, 0, u32::MAX];
        for (probability, per_example) in [(0.1, 1), (0.5, 7 * 37), (0.9, 513), (0.1, 4096)] {
            let site = Dropout { probability, key: NoiseKey::new(1), examples: &examples };
            let operands = operands(&[[3, per_example]]);
            let body = |operands: Vec<Tensor<2>>| crate::dropout(operands[0].clone(), Some(&site));
            let oracle = |operands: Vec<Tensor<2>>| crate::ops::dropout::reference::dropped(operands[0].clone(), &site);
            // One multiplication: nothing but its rounding.
            assert_matches(&format!("dropout {probability} of {per_example}"), &operands, 1e-7, &body, &oracle);
        }
    }
}
