//! The bodies against f64, the reference and each other.

use burn::tensor::{Int, Tensor, TensorData};

use crate::Table;

/// `[rows, embedding, vocab]`
const SIZES: [[usize; 3]; 6] = [[1, 1, 1], [2, 3, 5], [4, 8, 16], [10, 16, 99], [35, 37, 1000], [140, 8, 2048]];
/// 1 MB of logits a row: 64 rows fill a chunk's bytes.
const IN_CHUNKS: [usize; 3] = [70, 4, 262_144];

/// The first and the last id among them.
fn target(row: usize, vocab: usize) -> usize {
    (row * 31 + vocab - 1) % vocab
}

fn targets(like: &Tensor<2>, vocab: usize) -> Tensor<1, Int> {
    let [rows, _] = like.dims();
    let targets: Vec<i32> = (0..rows).map(|row| target(row, vocab) as i32).collect();
    Tensor::from_data(TensorData::new(targets, [rows]), &like.device())
}

type Body = fn(Tensor<2>, Table, Tensor<1>, Tensor<1, Int>) -> Tensor<1>;
const OPERATION: Body = |hidden, table, bias, targets| crate::token_log_probabilities(hidden, table, bias, targets);
const REFERENCE: Body =
    |hidden, table, bias, targets| super::reference::token_log_probabilities(hidden, table, bias, targets);

mod cpu {
    use super::*;
    use crate::cpu::testing::{assert_same_bits, error, host, leaf, plain, random, wide};

    /// Gradients of the results: of both signs, and none for every third row.
    fn upstream(rows: usize) -> Vec<f32> {
        random(4, rows).iter().enumerate().map(|(row, x)| if row % 3 == 2 { 0.0 } else { *x }).collect()
    }

    /// Results and the gradients of hidden, table and bias.
    fn run([rows, width, vocab]: [usize; 3], spread: f32, body: Body) -> Vec<Vec<f32>> {
        let spread: Vec<f32> = random(1, rows * width).iter().map(|x| x * spread).collect();
        let hidden = leaf(&spread, [rows, width]);
        let (table, bias) = (leaf(&random(2, vocab * width), [vocab, width]), leaf(&random(3, vocab), [vocab]));
        let result = body(hidden.clone(), table.clone().into(), bias.clone(), targets(&hidden, vocab));
        let gradients = (result.clone() * plain(&upstream(rows), [rows])).sum().backward();
        let (of_hidden, of_table) = (hidden.grad(&gradients).unwrap(), table.grad(&gradients).unwrap());
        vec![host(result), host(of_hidden), host(of_table), host(bias.grad(&gradients).unwrap())]
    }

    /// The same in f64.
    fn exact([rows, width, vocab]: [usize; 3], spread: f32) -> Vec<Vec<f64>> {
        let hidden: Vec<f64> = random(1, rows * width).iter().map(|x| f64::from(x * spread)).collect();
        let (table, bias) = (wide(&random(2, vocab * width)), wide(&random(3, vocab)));
        let mut found = [rows, hidden.len(), table.len(), vocab].map(|length| vec![0.0; length]).to_vec();
        for (row, upstream) in wide(&upstream(rows)).into_iter().enumerate() {
            let dot = |id: usize| (0..width).map(|k| hidden[row * width + k] * table[id * width + k]).sum::<f64>();
            let logits: Vec<f64> = (0..vocab).map(|id| dot(id) + bias[id]).collect();
            let highest = logits.iter().fold(f64::MIN, |a, &b| a.max(b));
            let log_sum = highest + logits.iter().map(|z| (z - highest).exp()).sum::<f64>().ln();
            found[0][row] = logits[target(row, vocab)] - log_sum;
            for id in 0..vocab {
                let hit = f64::from(u8::from(id == target(row, vocab)));
                let gradient = upstream * (hit - (logits[id] - log_sum).exp());
                found[3][id] += gradient;
                for k in 0..width {
                    found[1][row * width + k] += gradient * table[id * width + k];
                    found[2][id * width + k] += gradient * hidden[row * width + k];
                }
            }
        }
        found
    }

    #[test]
    fn agrees_with_f64_and_with_the_reference() {
        for sizes in SIZES.into_iter().chain([IN_CHUNKS]) {
            let found = run(sizes, 1.0, OPERATION);
            let reference = run(sizes, 1.0, REFERENCE).iter().map(|x| wide(x)).collect();
            for expected in [exact(sizes, 1.0), reference] {
                for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
                    let tolerance = if index == 0 { 2e-6 } else { 1e-5 };
                    let error = error(found, expected, 1e-2);
                    assert!(error < tolerance, "{sizes:?}, result {index}: {error}");
                }
            }
        }
    }

    #[test]
    fn rows_whose_result_nobody_uses_take_no_gradient() {
        let found = run([6, 8, 50], 1.0, OPERATION);
        for (row, of_hidden) in found[1].chunks_exact(8).enumerate() {
            assert_eq!(of_hidden.iter().all(|&x| x == 0.0), row % 3 == 2, "row {row}");
        }
        assert!(found[0].iter().all(|&x| x < 0.0), "and yet have a result");
    }

    #[test]
    fn extreme_logits_stay_numbers_and_broken_ones_do_not() {
        let sizes = [4, 8, 50];
        let found = run(sizes, 1e6, OPERATION);
        assert!(found.iter().flatten().all(|x| x.is_finite()));
        assert!(error(&found[0], &exact(sizes, 1e6)[0], 1e-2) < 1e-5);
        assert!(run(sizes, f32::NAN, OPERATION)[0].iter().all(|x| x.is_nan()));
    }

    #[test]
    fn without_a_graph_the_values_are_the_same() {
        let [rows, width, vocab] = [10, 16, 99];
        let inputs = |seed, shape: [usize; 2]| plain::<2>(&random(seed, shape[0] * shape[1]), shape).inner();
        let (hidden, table) = (inputs(1, [rows, width]), inputs(2, [vocab, width]));
        let targets = targets(&hidden, vocab);
        let bias = inputs(3, [1, vocab]).reshape([vocab]);
        let found = crate::token_log_probabilities(hidden, table, bias, targets);
        assert_eq!(host(found), run([rows, width, vocab], 1.0, OPERATION)[0]);
    }

    #[test]
    fn threads_change_no_bit() {
        assert_same_bits(|| run([80, 64, 3000], 1.0, OPERATION));
    }
}

#[cfg(not(target_family = "wasm"))]
mod gpu {
    use super::*;
    use crate::check::testing::{assert_differentiates, assert_matches, operands};

    /// `operands`: hidden, the table's pieces, bias.
    fn run(body: Body, mut operands: Vec<Tensor<2>>) -> Tensor<2> {
        let (hidden, bias) = (operands.remove(0), operands.pop().unwrap());
        let ([rows, _], [_, vocab]) = (hidden.dims(), bias.dims());
        let targets = targets(&hidden, vocab);
        let table = Table::new(operands);
        body(hidden, table, bias.reshape([vocab]), targets).reshape([rows, 1])
    }

    fn check(rows: usize, width: usize, pieces: &[usize], tolerance: f64) {
        let mut shapes = vec![[rows, width]];
        shapes.extend(pieces.iter().map(|&words| [words, width]));
        shapes.push([1, pieces.iter().sum()]);
        let operands = operands(&shapes);
        let body = |body: Body| move |operands| run(body, operands);
        let what = format!("{rows} x {width} x {pieces:?}");
        assert_matches(&what, &operands, tolerance, &body(OPERATION), &body(REFERENCE));
    }

    #[test]
    fn results_and_gradients_match_the_reference() {
        for [rows, width, vocab] in SIZES {
            check(rows, width, &[vocab], 3e-6);
        }
    }

    #[test]
    fn chunks_change_nothing() {
        // Each invocation of a software adapter adds 32,768 exponentials in f32.
        let [rows, width, vocab] = IN_CHUNKS;
        check(rows, width, &[vocab], 1e-5);
    }

    #[test]
    fn a_table_in_pieces_is_the_table() {
        check(10, 12, &[64, 128, 7], 3e-6);
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let operands = operands(&[[3, 2], [5, 2], [1, 5]]);
        assert_differentiates("tiny", &operands, &|operands| run(REFERENCE, operands));
    }
}
