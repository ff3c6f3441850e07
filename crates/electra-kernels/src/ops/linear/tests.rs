//! The bodies against f64, the reference and each other; what is shared with the layer that has GELU behind.

pub(in crate::ops) mod cpu {
    use burn::tensor::Tensor;

    use crate::cpu::testing::{assert_same_bits, error, host, leaf, plain, random, wide};

    /// `[tokens, in, out]`: awkward ones, and some that several threads and blocks share.
    pub(in crate::ops) const SIZES: [[usize; 3]; 7] =
        [[1, 1, 1], [3, 5, 37], [7, 37, 8], [65, 16, 99], [130, 37, 1], [300, 64, 131], [640, 128, 256]];

    /// Output and gradients of x, weight and bias.
    pub(in crate::ops) fn run(
        sizes: [usize; 3],
        layer: fn(Tensor<2>, Tensor<2>, Tensor<1>) -> Tensor<2>,
    ) -> Vec<Vec<f32>> {
        let [tokens, inputs, outputs] = sizes;
        let x = leaf(&random(1, tokens * inputs), [tokens, inputs]);
        let weight = leaf(&random(2, outputs * inputs), [outputs, inputs]);
        let bias = leaf(&random(3, outputs), [outputs]);
        let y = layer(x.clone(), weight.clone(), bias.clone());
        let upstream = plain(&random(4, tokens * outputs), [tokens, outputs]);
        let gradients = (y.clone() * upstream).sum().backward();
        let [of_x, of_weight] = [x, weight].map(|tensor| host(tensor.grad(&gradients).unwrap()));
        vec![host(y), of_x, of_weight, host(bias.grad(&gradients).unwrap())]
    }

    /// The same in f64. `curve`: value and slope of what follows the dense layer.
    pub(in crate::ops) fn exact([tokens, inputs, outputs]: [usize; 3], curve: fn(f64) -> (f64, f64)) -> Vec<Vec<f64>> {
        let (x, weight) = (wide(&random(1, tokens * inputs)), wide(&random(2, outputs * inputs)));
        let (bias, upstream) = (wide(&random(3, outputs)), wide(&random(4, tokens * outputs)));
        let mut results = vec![vec![], vec![0.0; x.len()], vec![0.0; weight.len()], vec![0.0; outputs]];
        for token in 0..tokens {
            for output in 0..outputs {
                let sum: f64 = (0..inputs).map(|k| x[token * inputs + k] * weight[output * inputs + k]).sum();
                let (y, slope) = curve(sum + bias[output]);
                results[0].push(y);
                let gradient = upstream[token * outputs + output] * slope;
                results[3][output] += gradient;
                for k in 0..inputs {
                    results[1][token * inputs + k] += gradient * weight[output * inputs + k];
                    results[2][output * inputs + k] += gradient * x[token * inputs + k];
                }
            }
        }
        results
    }

    pub(in crate::ops) fn check(sizes: [usize; 3], found: &[Vec<f32>], expected: &[Vec<f64>]) {
        for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
            let tolerance = if index == 0 { 2e-6 } else { 1e-5 };
            let error = error(found, expected, 1e-3);
            assert!(error < tolerance, "{sizes:?}, result {index}: {error}");
        }
    }

    #[test]
    fn agrees_with_f64_and_with_the_reference() {
        for sizes in SIZES {
            let found = run(sizes, crate::linear);
            check(sizes, &found, &exact(sizes, |z| (z, 1.0)));
            let reference: Vec<_> = run(sizes, crate::ops::linear::reference::linear).iter().map(|x| wide(x)).collect();
            check(sizes, &found, &reference);
        }
    }

    #[test]
    fn threads_change_no_bit() {
        assert_same_bits(|| run([700, 100, 99], crate::linear));
    }
}

#[cfg(not(target_family = "wasm"))]
pub(in crate::ops) mod gpu {
    use burn::tensor::Tensor;

    use crate::check::testing::{assert_differentiates, assert_matches, operands};
    use crate::ops::linear::reference;

    type Dense = fn(Tensor<2>, Tensor<2>, Tensor<1>) -> Tensor<2>;

    pub(in crate::ops) fn check(name: &str, layer: Dense, reference: Dense) {
        for [rows, inputs, outputs] in [[1, 1, 1], [7, 32, 37], [33, 37, 19], [128, 64, 256], [65, 256, 1]] {
            let operands = operands(&[[rows, inputs], [outputs, inputs], [1, outputs]]);
            let body = |layer: Dense| {
                move |operands: Vec<Tensor<2>>| {
                    let [x, weight, bias] = operands.try_into().unwrap();
                    layer(x, weight, bias.reshape([outputs]))
                }
            };
            let what = format!("{name} {rows} x {inputs} -> {outputs}");
            assert_matches(&what, &operands, 3e-6, &body(layer), &body(reference));
            if rows * inputs * outputs < 10_000 {
                assert_differentiates(&what, &operands, &body(reference));
            }
        }
    }

    #[test]
    fn matches_the_reference() {
        check("linear", crate::linear, reference::linear);
    }
}
