//! The bodies against f64, the reference and each other.

mod cpu {
    use crate::noise::NoiseKey;
    use crate::{
        Dropout,
        cpu::testing::{assert_same_bits, error, host, leaf, plain, random, wide},
    };

    const EPSILON: f64 = 1e-12;
    /// `[examples, tokens of each, hidden]`
    const SIZES: [[usize; 3]; 6] = [[1, 1, 2], [2, 7, 37], [3, 16, 16], [1, 65, 99], [4, 33, 128], [5, 40, 256]];

    fn site(probability: f64, examples: &[u32]) -> Dropout<'_> {
        Dropout { probability, key: NoiseKey::new(9).child(2), examples }
    }

    /// Output and the gradients of x, branch, gamma and beta.
    fn run([batch, seq, hidden]: [usize; 3], probability: f64, fused: bool) -> Vec<Vec<f32>> {
        let tokens = batch * seq;
        let examples: Vec<u32> = (0..batch as u32).map(|example| 100 + 3 * example).collect();
        let dropout = site(probability, &examples);
        let x = leaf(&random(1, tokens * hidden), [tokens, hidden]);
        let branch = leaf(&random(2, tokens * hidden), [tokens, hidden]);
        let (gamma, beta) = (leaf(&random(3, hidden), [hidden]), leaf(&random(4, hidden), [hidden]));
        let y = if fused {
            crate::add_layer_norm(x.clone(), branch.clone(), Some(&dropout), gamma.clone(), beta.clone(), EPSILON)
        } else {
            let branch = crate::ops::dropout::reference::dropped(branch.clone(), &dropout);
            crate::ops::layer_norm::reference::layer_norm(x.clone() + branch, gamma.clone(), beta.clone(), EPSILON)
        };
        let upstream = plain(&random(5, tokens * hidden), [tokens, hidden]);
        let gradients = (y.clone() * upstream).sum().backward();
        let [of_x, of_branch] = [x, branch].map(|tensor| host(tensor.grad(&gradients).unwrap()));
        let [of_gamma, of_beta] = [gamma, beta].map(|tensor| host(tensor.grad(&gradients).unwrap()));
        vec![host(y), of_x, of_branch, of_gamma, of_beta]
    }

    /// The same in f64, the mask as the public function `Dropout::factors` gives it.
    fn exact([batch, seq, hidden]: [usize; 3], probability: f64) -> Vec<Vec<f64>> {
        let tokens = batch * seq;
        let examples: Vec<u32> = (0..batch as u32).map(|example| 100 + 3 * example).collect();
        let factors = wide(&site(probability, &examples).factors(seq * hidden));
        let inputs: Vec<Vec<f64>> = (1..=5)
            .map(|seed| wide(&random(seed, if seed == 3 || seed == 4 { hidden } else { tokens * hidden })))
            .collect();
        let [x, branch, gamma, beta, upstream] = <[Vec<f64>; 5]>::try_from(inputs).unwrap();
        let mut results = vec![vec![], vec![], vec![], vec![0.0; hidden], vec![0.0; hidden]];
        for token in 0..tokens {
            let at = |column: usize| token * hidden + column;
            let z: Vec<f64> = (0..hidden).map(|c| x[at(c)] + branch[at(c)] * factors[at(c)]).collect();
            let n = hidden as f64;
            let mean = z.iter().sum::<f64>() / n;
            let variance = z.iter().map(|z| (z - mean).powi(2)).sum::<f64>() / n;
            let normal: Vec<f64> = z.iter().map(|z| (z - mean) / (variance + EPSILON).sqrt()).collect();
            let g: Vec<f64> = (0..hidden).map(|c| upstream[at(c)] * gamma[c]).collect();
            let mean_g = g.iter().sum::<f64>() / n;
            let mean_gx = g.iter().zip(&normal).map(|(g, x)| g * x).sum::<f64>() / n;
            for c in 0..hidden {
                results[0].push(normal[c] * gamma[c] + beta[c]);
                let dz = (g[c] - mean_g - normal[c] * mean_gx) / (variance + EPSILON).sqrt();
                results[1].push(dz);
                results[2].push(dz * factors[at(c)]);
                results[3][c] += upstream[at(c)] * normal[c];
                results[4][c] += upstream[at(c)];
            }
        }
        results
    }

    #[test]
    fn agrees_with_f64_and_with_the_reference() {
        for sizes in SIZES {
            for probability in [0.0, 0.1, 0.5] {
                let found = run(sizes, probability, true);
                let reference: Vec<_> = run(sizes, probability, false).iter().map(|x| wide(x)).collect();
                for expected in [exact(sizes, probability), reference] {
                    for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
                        // Two columns: the gradient is a difference of nearly equal numbers.
                        let tolerance = if sizes[2] == 2 { 1e-3 } else { [2e-6, 1e-5][usize::from(index > 0)] };
                        let error = error(found, expected, 1e-3);
                        assert!(error < tolerance, "{sizes:?} {probability}, result {index}: {error}");
                    }
                }
            }
        }
    }

    #[test]
    fn alone_it_is_the_sum_with_nothing() {
        let (x, gamma, beta) = (random(1, 70 * 37), random(3, 37), random(4, 37));
        let results = |alone: bool| {
            let (x, gamma, beta) = (leaf(&x, [70, 37]), leaf(&gamma, [37]), leaf(&beta, [37]));
            let y = if alone {
                crate::layer_norm(x.clone(), gamma.clone(), beta.clone(), EPSILON)
            } else {
                let nothing = plain(&[0.0; 70 * 37], [70, 37]);
                crate::add_layer_norm(x.clone(), nothing, None, gamma.clone(), beta.clone(), EPSILON)
            };
            let gradients = (y.clone() * y.clone()).sum().backward();
            [host(y), host(x.grad(&gradients).unwrap()), host(gamma.grad(&gradients).unwrap())]
        };
        assert_eq!(results(true), results(false));
    }

    #[test]
    fn threads_change_no_bit() {
        assert_same_bits(|| run([8, 128, 128], 0.1, true));
    }

    #[test]
    fn a_large_mean_does_not_cancel_the_variance() {
        let x: Vec<f32> = (0..64).map(|index| 4096.0 + (index % 2) as f32).collect();
        let y = crate::layer_norm(plain(&x, [1, 64]), plain(&[1.0; 64], [64]), plain(&[0.0; 64], [64]), EPSILON);
        assert!(host(y).iter().all(|y| (y.abs() - 1.0).abs() < 1e-5));
    }
}

#[cfg(not(target_family = "wasm"))]
mod gpu {
    use burn::tensor::Tensor;

    use crate::check::testing::{assert_differentiates, assert_matches, operands};
    use crate::ops::dropout::reference::dropped;
    use crate::{Dropout, noise::NoiseKey};

    const EPSILON: f64 = 1e-12;

    #[test]
    fn alone_it_matches_the_reference() {
        for [rows, hidden] in [[1, 2], [3, 7], [5, 8], [2, 63], [130, 64], [9, 65], [4, 256], [1, 1024]] {
            let operands = operands(&[[rows, hidden], [1, hidden], [1, hidden]]);
            type Norm = fn(Tensor<2>, Tensor<1>, Tensor<1>, f64) -> Tensor<2>;
            let body = |norm: Norm| {
                move |operands: Vec<Tensor<2>>| {
                    let [x, gamma, beta] = operands.try_into().unwrap();
                    norm(x, gamma.reshape([hidden]), beta.reshape([hidden]), EPSILON)
                }
            };
            let what = format!("layer_norm {rows} x {hidden}");
            assert_matches(
                &what,
                &operands,
                1e-5,
                &body(crate::layer_norm),
                &body(crate::ops::layer_norm::reference::layer_norm),
            );
            if hidden == 7 {
                assert_differentiates(&what, &operands, &body(crate::ops::layer_norm::reference::layer_norm));
            }
        }
    }

    #[test]
    fn after_a_residual_with_dropout_it_matches_the_reference() {
        for (examples, per_example, hidden) in [(1, 1, 5), (2, 3, 8), (3, 43, 37), (2, 64, 128)] {
            let numbers: Vec<u32> = (0..examples as u32).map(|i| i * 77 + 3).collect();
            let rows = examples * per_example;
            let operands = operands(&[[rows, hidden], [rows, hidden], [1, hidden], [1, hidden]]);
            for probability in [0.0, 0.1, 0.5] {
                let site = Dropout { probability, key: NoiseKey::new(5).child(1), examples: &numbers };
                let body = |operands: Vec<Tensor<2>>| {
                    let [x, branch, gamma, beta] = operands.try_into().unwrap();
                    let (gamma, beta) = (gamma.reshape([hidden]), beta.reshape([hidden]));
                    crate::add_layer_norm(x, branch, Some(&site), gamma, beta, EPSILON)
                };
                let oracle = |operands: Vec<Tensor<2>>| {
                    let [x, branch, gamma, beta] = operands.try_into().unwrap();
                    let (gamma, beta) = (gamma.reshape([hidden]), beta.reshape([hidden]));
                    let branch = if probability > 0.0 { dropped(branch, &site) } else { branch };
                    crate::ops::layer_norm::reference::layer_norm(x + branch, gamma, beta, EPSILON)
                };
                let what = format!("add_layer_norm {examples} x {per_example} x {hidden}, dropout {probability}");
                assert_matches(&what, &operands, 1e-5, &body, &oracle);
            }
        }
    }

    #[test]
    fn a_far_mean_costs_no_precision() {
        // E[x^2] - E[x]^2 would lose all digits here.
        let mut operands = operands(&[[3, 64], [1, 64], [1, 64]]);
        operands[0].0.iter_mut().for_each(|x| *x = 4096.0 + (*x * 256.0).round() / 64.0);
        let body = |operands: Vec<Tensor<2>>| {
            let [x, gamma, beta] = operands.try_into().unwrap();
            crate::layer_norm(x, gamma.reshape([64]), beta.reshape([64]), EPSILON)
        };
        let oracle = |operands: Vec<Tensor<2>>| {
            let [x, gamma, beta] = operands.try_into().unwrap();
            crate::ops::layer_norm::reference::layer_norm(x, gamma.reshape([64]), beta.reshape([64]), EPSILON)
        };
        assert_matches("a far mean", &operands, 1e-4, &body, &oracle);
    }
}
