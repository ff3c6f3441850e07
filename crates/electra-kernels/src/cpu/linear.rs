//! Dense layers on the CPU: one product, then one pass that adds the bias and, with GELU, applies it.
//!
//! GELU's derivative falls out of the same exponential as its value, so the forward pass keeps the derivative in place
//! of z: backward is one multiplication, done in the pass that sums the bias's gradient.

use burn_flex::FlexTensor;

use super::{
    Operand, ROW_BLOCK, add_rows,
    buffer::Buffer,
    fused,
    math::{normal, vectorised},
    product::{Matrix, product},
    row_blocks, values,
};

/// `x W^T + b`.
pub(crate) fn linear(x: Operand, weight: Operand, bias: Operand) -> Operand {
    let forward = |[x, weight, bias]: [FlexTensor; 3], _| {
        let [rows, inputs, outputs] = sizes(&x, &weight);
        let mut y = times_transposed(&x, &weight);
        let blocks = y.chunks_mut(block_length(outputs)).collect();
        row_blocks(blocks, |_, block| add_bias(block, values(&bias)));
        let _ = inputs;
        (y.into_tensor([rows, outputs]), (x, weight), ())
    };
    fused([x, weight, bias], forward, |(x, weight), gradient, wanted| {
        let [_, _, outputs] = sizes(&x, &weight);
        let bias = wanted[2].then(|| column_sums(values(&gradient), outputs));
        let [x, weight] = operand_gradients(x, weight, &gradient, wanted);
        [x, weight, bias]
    })
    .0
}

/// `gelu(x W^T + b)`.
pub(crate) fn gelu_linear(x: Operand, weight: Operand, bias: Operand) -> Operand {
    let forward = |[x, weight, bias]: [FlexTensor; 3], tracked: bool| {
        let [rows, _, outputs] = sizes(&x, &weight);
        let mut y = times_transposed(&x, &weight);
        let mut slope = Buffer::new(if tracked { y.len() } else { 0 });
        let length = block_length(outputs);
        if tracked {
            let blocks = y.chunks_mut(length).zip(slope.chunks_mut(length)).collect();
            row_blocks(blocks, |_, (y, slope)| gelu_with_slope(y, slope, values(&bias)));
        } else {
            row_blocks(y.chunks_mut(length).collect(), |_, y| gelu(y, values(&bias)));
        }
        let slope = if tracked { slope.into_tensor([rows, outputs]) } else { slope.into_tensor([0]) };
        (y.into_tensor([rows, outputs]), (x, weight, slope), ())
    };
    fused([x, weight, bias], forward, |(x, weight, mut slope), gradient, wanted| {
        let [rows, _, outputs] = sizes(&x, &weight);
        // slope becomes the gradient of z.
        let blocks = rows.div_ceil(ROW_BLOCK);
        let mut sums = Buffer::new(blocks * outputs);
        let length = block_length(outputs);
        let slopes = slope.storage_mut::<f32>().chunks_mut(length);
        let parts = slopes.zip(values(&gradient).chunks(length)).zip(sums.chunks_mut(outputs)).collect();
        row_blocks(parts, |_, ((slope, gradient), sums)| multiply_and_sum(slope, gradient, sums));
        drop(gradient);
        let bias = wanted[2].then(|| total(&sums, outputs));
        let [x, weight] = operand_gradients(x, weight, &slope, wanted);
        [x, weight, bias]
    })
    .0
}

/// Rows, inputs and outputs of a layer.
fn sizes(x: &FlexTensor, weight: &FlexTensor) -> [usize; 3] {
    let (x, weight) = (x.layout().shape(), weight.layout().shape());
    [x[0], x[1], weight[0]]
}

fn block_length(columns: usize) -> usize {
    (ROW_BLOCK * columns).max(1)
}

fn times_transposed(x: &FlexTensor, weight: &FlexTensor) -> Buffer {
    let [rows, inputs, outputs] = sizes(x, weight);
    let mut y = Buffer::new(rows * outputs);
    product(&mut y, Matrix::new(values(x), rows, inputs), Matrix::new(values(weight), outputs, inputs).transposed());
    y
}

/// `dX = dZ W` and `dW = dZ^T X`, the latter in the weight's own layout.
fn operand_gradients(
    x: FlexTensor,
    weight: FlexTensor,
    gradient: &FlexTensor,
    wanted: [bool; 3],
) -> [Option<FlexTensor>; 2] {
    let [rows, inputs, outputs] = sizes(&x, &weight);
    let gradient = Matrix::new(values(gradient), rows, outputs);
    let of_x = wanted[0].then(|| {
        let mut result = Buffer::new(rows * inputs);
        product(&mut result, gradient, Matrix::new(values(&weight), outputs, inputs));
        result.into_tensor([rows, inputs])
    });
    let of_weight = wanted[1].then(|| {
        let mut result = Buffer::new(outputs * inputs);
        product(&mut result, gradient.transposed(), Matrix::new(values(&x), rows, inputs));
        result.into_tensor([outputs, inputs])
    });
    [of_x, of_weight]
}

/// Sums of a matrix's columns, by blocks of rows.
pub(crate) fn column_sums(matrix: &[f32], columns: usize) -> FlexTensor {
    let rows = matrix.len() / columns.max(1);
    let mut sums = Buffer::new(rows.div_ceil(ROW_BLOCK) * columns);
    let parts = sums.chunks_mut(columns.max(1)).zip(matrix.chunks(block_length(columns))).collect();
    row_blocks(parts, |_, (sums, block): (&mut [f32], &[f32])| {
        sums.fill(0.0);
        add_rows(sums, block);
    });
    total(&sums, columns)
}

/// Sum of the blocks' sums, in their order.
pub(crate) fn total(sums: &[f32], columns: usize) -> FlexTensor {
    let mut result = Buffer::new(columns);
    result.fill(0.0);
    add_rows(&mut result, sums);
    result.into_tensor([columns])
}

vectorised! {
    fn add_bias(rows: &mut [f32], bias: &[f32]) {
        for row in rows.chunks_exact_mut(bias.len()) {
            for (value, bias) in row.iter_mut().zip(bias) {
                *value += *bias;
            }
        }
    }
}

vectorised! {
    fn gelu(rows: &mut [f32], bias: &[f32]) {
        for row in rows.chunks_exact_mut(bias.len()) {
            for (value, bias) in row.iter_mut().zip(bias) {
                let z = *value + *bias;
                *value = z * normal(z).0;
            }
        }
    }
}

vectorised! {
    fn gelu_with_slope(rows: &mut [f32], slopes: &mut [f32], bias: &[f32]) {
        for (row, slopes) in rows.chunks_exact_mut(bias.len()).zip(slopes.chunks_exact_mut(bias.len())) {
            for ((value, slope), bias) in row.iter_mut().zip(slopes).zip(bias) {
                let z = *value + *bias;
                let (cumulative, density) = normal(z);
                *value = z * cumulative;
                *slope = cumulative + z * density;
            }
        }
    }
}

vectorised! {
    /// `slopes *= gradients`, and `sums` = the sums of its columns.
    fn multiply_and_sum(slopes: &mut [f32], gradients: &[f32], sums: &mut [f32]) {
        sums.fill(0.0);
        for (slopes, gradients) in slopes.chunks_exact_mut(sums.len()).zip(gradients.chunks_exact(sums.len())) {
            for ((slope, gradient), sum) in slopes.iter_mut().zip(gradients).zip(sums.iter_mut()) {
                *slope *= *gradient;
                *sum += *slope;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tensor;

    use crate::cpu::testing::{assert_same_bits, erfc, error, host, leaf, plain, random, wide};

    /// `[tokens, in, out]`: awkward ones, and some that several threads and blocks share.
    const SIZES: [[usize; 3]; 7] =
        [[1, 1, 1], [3, 5, 37], [7, 37, 8], [65, 16, 99], [130, 37, 1], [300, 64, 131], [640, 128, 256]];

    /// Output and gradients of x, weight and bias.
    fn run(sizes: [usize; 3], layer: fn(Tensor<2>, Tensor<2>, Tensor<1>) -> Tensor<2>) -> Vec<Vec<f32>> {
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
    fn exact([tokens, inputs, outputs]: [usize; 3], curve: fn(f64) -> (f64, f64)) -> Vec<Vec<f64>> {
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

    fn exact_gelu(z: f64) -> (f64, f64) {
        let cumulative = 0.5 * erfc(-z * std::f64::consts::FRAC_1_SQRT_2);
        (z * cumulative, cumulative + z * (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt())
    }

    fn check(sizes: [usize; 3], found: &[Vec<f32>], expected: &[Vec<f64>]) {
        for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
            let tolerance = if index == 0 { 2e-6 } else { 1e-5 };
            let error = error(found, expected, 1e-3);
            assert!(error < tolerance, "{sizes:?}, result {index}: {error}");
        }
    }

    #[test]
    fn dense_layers_agree_with_f64_and_with_the_reference() {
        for sizes in SIZES {
            let found = run(sizes, crate::linear);
            check(sizes, &found, &exact(sizes, |z| (z, 1.0)));
            let reference: Vec<_> = run(sizes, crate::linear::reference).iter().map(|x| wide(x)).collect();
            check(sizes, &found, &reference);
        }
    }

    #[test]
    fn gelu_layers_agree_with_f64_and_with_the_reference() {
        for sizes in SIZES {
            let found = run(sizes, crate::gelu_linear);
            check(sizes, &found, &exact(sizes, exact_gelu));
            let reference: Vec<_> = run(sizes, crate::gelu::reference).iter().map(|x| wide(x)).collect();
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
        let found = host(crate::gelu_linear(tensor(1, [tokens, inputs]), tensor(2, [outputs, inputs]), bias));
        assert_eq!(found, run([tokens, inputs, outputs], crate::gelu_linear)[0]);
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
        for (found, expected) in gradients(crate::gelu_linear).iter().zip(gradients(crate::gelu::reference)) {
            assert!(error(found, &wide(&expected), 1e-3) < 1e-5);
        }
    }

    #[test]
    fn threads_change_no_bit() {
        assert_same_bits(|| run([640, 128, 256], crate::gelu_linear));
        assert_same_bits(|| run([700, 100, 99], crate::linear));
    }

    #[test]
    fn large_values_stay_numbers() {
        let x = leaf(&[1e4, -1e4, 1e18, -1e18], [4, 1]);
        let (weight, bias) = (leaf(&[1.0], [1, 1]), leaf(&[0.0], [1]));
        let y = crate::gelu_linear(x.clone(), weight, bias);
        let gradients = y.clone().sum().backward();
        assert_eq!(host(y), [1e4, 0.0, 1e18, 0.0]);
        assert_eq!(host(x.grad(&gradients).unwrap()), [1.0, 0.0, 1.0, 0.0]);
    }
}
