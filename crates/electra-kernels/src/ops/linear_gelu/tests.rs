//! The bodies against f64, the reference and each other.

mod cpu {
    use burn::tensor::Tensor;

    use crate::cpu::testing::{assert_same_bits, erfc, error, host, leaf, random, wide};
    use crate::ops::linear::tests::cpu::{SIZES, check, exact, run};
    use crate::ops::linear_gelu::reference;

    fn exact_gelu(z: f64) -> (f64, f64) {
        let cumulative = 0.5 * erfc(-z * std::f64::consts::FRAC_1_SQRT_2);
        (z * cumulative, cumulative + z * (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt())
    }

    #[test]
    fn agrees_with_f64_and_with_the_reference() {
        for sizes in SIZES {
            let found = run(sizes, crate::linear_gelu);
            check(sizes, &found, &exact(sizes, exact_gelu));
            let reference: Vec<_> = run(sizes, reference::linear_gelu).iter().map(|x| wide(x)).collect();
            check(sizes, &found, &reference);
        }
    }

    #[test]
    fn without_a_graph_the_values_are_the_same() {
        let [tokens, inputs, outputs] = [65, 37, 24];
        let device = burn::tensor::Device::flex();
        let tensor = |seed, shape: [usize; 2]| {
            Tensor::<2>::from_data(burn::tensor::TensorData::new(random(seed, shape[0] * shape[1]), shape), &device)
        };
        let bias = Tensor::<1>::from_data(random(3, outputs).as_slice(), &device);
        let found = host(crate::linear_gelu(tensor(1, [tokens, inputs]), tensor(2, [outputs, inputs]), bias));
        assert_eq!(found, run([tokens, inputs, outputs], crate::linear_gelu)[0]);
    }

    #[test]
    fn a_transposed_or_sliced_operand_is_read_as_it_is() {
        let x = leaf(&random(1, 40 * 24), [24, 40]);
        let weight = leaf(&random(2, 50 * 30), [50, 30]);
        let bias = leaf(&random(3, 16), [16]);
        let gradients = |layer: fn(Tensor<2>, Tensor<2>, Tensor<1>) -> Tensor<2>| {
            let y = layer(x.clone().transpose(), weight.clone().slice([8..24, 3..27]), bias.clone());
            let gradients = (y.clone() * y.clone()).sum().backward();
            [host(y), host(x.grad(&gradients).unwrap()), host(weight.grad(&gradients).unwrap())]
        };
        for (found, expected) in gradients(crate::linear_gelu).iter().zip(gradients(reference::linear_gelu)) {
            assert!(error(found, &wide(&expected), 1e-3) < 1e-5);
        }
    }

    #[test]
    fn large_values_stay_numbers() {
        let x = leaf(&[1e4, -1e4, 1e18, -1e18], [4, 1]);
        let (weight, bias) = (leaf(&[1.0], [1, 1]), leaf(&[0.0], [1]));
        let y = crate::linear_gelu(x.clone(), weight, bias);
        let gradients = y.clone().sum().backward();
        assert_eq!(host(y), [1e4, 0.0, 1e18, 0.0]);
        assert_eq!(host(x.grad(&gradients).unwrap()), [1.0, 0.0, 1.0, 0.0]);
    }

    #[test]
    fn threads_change_no_bit() {
        assert_same_bits(|| run([640, 128, 256], crate::linear_gelu));
    }
}

#[cfg(not(target_family = "wasm"))]
mod gpu {
    use crate::ops::linear::tests::gpu::check;
    use crate::ops::linear_gelu::reference;

    #[test]
    fn matches_the_reference() {
        check("linear_gelu", crate::linear_gelu, reference::linear_gelu);
    }
}
