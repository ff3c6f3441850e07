//! The bodies against the formula, and the norm.

mod cpu {
    use std::slice::from_ref;

    use burn::tensor::{Device, TensorData};

    use burn::tensor::Tensor;

    use crate::noise::NoiseKey;
    use crate::ops::adam::cpu::CHUNK;
    use crate::ops::adam::{
        AdamTensors, AdamUpdate, adam_update, add_gradients, device_sums, reference, sum_of_squares,
    };

    fn tensor(seed: u64, len: usize) -> Tensor<1> {
        let key = NoiseKey::new(seed);
        let values: Vec<f32> = (0..len).map(|i| key.uniform_f64(i as u64, 0) as f32 - 0.5).collect();
        Tensor::from_data(TensorData::new(values, [len]), &Device::flex())
    }

    fn values(tensor: Tensor<1>) -> Vec<f32> {
        tensor.into_data().try_to_vec::<f32>().unwrap()
    }

    const UPDATE: AdamUpdate = AdamUpdate {
        learning_rate: 0.01,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-6,
        weight_decay: 0.01,
        gradient_scale: 0.3,
        bias_corrections: [1.0, 1.0],
    };

    #[test]
    fn the_fused_body_is_the_formula_at_awkward_sizes() {
        for len in [1, 7, 8, CHUNK - 1, CHUNK, 2 * CHUNK + 3] {
            for bias_corrections in [[1.0, 1.0], [10.0, 1000.0]] {
                let update = AdamUpdate { bias_corrections, ..UPDATE };
                let start = || AdamTensors { parameter: tensor(1, len), m: tensor(2, len), v: tensor(3, len).abs() };
                let expected = reference::update(start(), tensor(4, len), &update);
                let found = adam_update(start(), tensor(4, len), &update);
                for (found, expected) in
                    [(found.parameter, expected.parameter), (found.m, expected.m), (found.v, expected.v)]
                {
                    for (found, expected) in values(found).into_iter().zip(values(expected)) {
                        assert!((found - expected).abs() <= 1e-6 * expected.abs().max(1.0), "{found} != {expected}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_no_gradient_has_reached_stays_and_the_rest_has_the_formulas_bits() {
        let len = 1000;
        let zeros = |from: usize, tensor: Tensor<1>| {
            let values: Vec<f32> =
                values(tensor).into_iter().enumerate().map(|(i, x)| if i < from { 0.0 } else { x }).collect();
            Tensor::<1>::from_data(TensorData::new(values, [len]), &Device::flex())
        };
        for from in [0, 255, 256, 600, 1000] {
            let update = AdamUpdate { weight_decay: 0.0, ..UPDATE };
            let start = |parameter| AdamTensors {
                parameter,
                m: zeros(from, tensor(2, len)),
                v: zeros(from, tensor(3, len).abs()),
            };
            let gradient = || zeros(from, tensor(4, len));
            let found = values(adam_update(start(tensor(1, len)), gradient(), &update).parameter);
            // A stretch with one moment that is not zero is computed, whatever is beside it.
            let all = AdamUpdate { weight_decay: f64::from(f32::from_bits(1)), ..update };
            let computed = values(adam_update(start(tensor(1, len)), gradient(), &all).parameter);
            assert_eq!(found, computed, "zeros up to {from}");
            assert_eq!(found[..from], values(tensor(1, len))[..from]);
        }
    }

    #[test]
    fn gradients_add_up_in_place_unless_others_hold_them() {
        for len in [1, CHUNK + 1] {
            let (sum, more) = (tensor(1, len), tensor(2, len));
            let expected: Vec<f32> = values(sum.clone()).iter().zip(values(more.clone())).map(|(a, b)| a + b).collect();
            assert_eq!(values(add_gradients(sum.clone(), more.clone())), expected);
            assert_eq!(values(sum.clone()), values(tensor(1, len)), "held");
            assert_eq!(values(add_gradients(sum, more)), expected);
        }
    }

    #[test]
    fn tensors_that_others_hold_stay_as_they_were() {
        let held = tensor(1, 100);
        let before = values(held.clone());
        let state = AdamTensors { parameter: held.clone(), m: held.clone(), v: held.clone().abs() };
        let after = adam_update(state, held.clone(), &UPDATE);
        assert_eq!(values(held), before);
        assert_ne!(values(after.parameter), before);
    }

    #[test]
    fn a_slice_of_a_larger_tensor_counts_its_own_values_alone() {
        let whole = Tensor::<1>::from_data([100.0f32, 3.0, 4.0, 100.0], &Device::flex());
        let slice = whole.slice(1..3);
        assert_eq!(sum_of_squares(&[slice.clone(), slice]), Ok(50.0));
    }

    #[test]
    fn the_norm_is_exact_to_rounding_and_repeats() {
        let big = tensor(5, 5_000_000);
        // In stretches: one running sum over so many values is itself off by 1e-12.
        let square_sum = |values: &[f32]| values.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>();
        let expected: f64 = values(big.clone()).chunks(1000).map(square_sum).sum();
        let first = sum_of_squares(from_ref(&big)).unwrap();
        assert!((first / expected - 1.0).abs() < 1e-12);
        for _ in 0..20 {
            assert_eq!(sum_of_squares(from_ref(&big)).unwrap().to_bits(), first.to_bits());
        }
        let parts = [tensor(5, 999), tensor(6, 1)];
        let on_device: f64 = device_sums(&parts).into_data().iter::<f64>().sum();
        assert!((sum_of_squares(&parts).unwrap() / on_device - 1.0).abs() < 1e-5);
    }
}
