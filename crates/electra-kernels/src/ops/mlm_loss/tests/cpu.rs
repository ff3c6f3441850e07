//! The body for the CPU.

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::noise::NoiseKey;
use crate::{
    MlmOutput, Sampling,
    cpu::testing::{assert_same_bits, error, host, leaf, plain, random, wide},
    noise,
    ops::mlm_loss::reference,
};

/// `[rows, embedding, vocab]`; rows divide among two examples.
const SIZES: [[usize; 3]; 5] = [[2, 3, 5], [4, 8, 16], [10, 16, 99], [34, 37, 1000], [40, 128, 2048]];
const EXAMPLES: [u32; 2] = [17, 4];
const TOTAL: f64 = 12.5;

fn sampling(temperature: f64, disallow_correct: bool) -> Sampling<'static> {
    Sampling { temperature, disallow_correct, key: NoiseKey::new(11), examples: &EXAMPLES }
}

fn targets([rows, _, vocab]: [usize; 3]) -> Vec<i32> {
    (0..rows).map(|row| ((row * 31 + vocab - 1) % vocab) as i32).collect()
}

/// Every third masked position is unused.
fn weights(rows: usize) -> Vec<f32> {
    (0..rows).map(|row| if row % 3 == 2 { 0.0 } else { 1.0 }).collect()
}

struct Found {
    /// Loss, negative log-likelihoods, gradients of hidden, table and bias.
    floats: Vec<Vec<f32>>,
    predicted: Vec<i64>,
    sampled: Vec<i64>,
}

fn run(sizes: [usize; 3], spread: f32, sampling: &Sampling<'_>, fused: bool) -> Found {
    let [rows, inputs, vocab] = sizes;
    let spread: Vec<f32> = random(1, rows * inputs).iter().map(|x| x * spread).collect();
    let hidden = leaf(&spread, [rows, inputs]);
    let table = leaf(&random(2, vocab * inputs), [vocab, inputs]);
    let bias = leaf(&random(3, vocab), [vocab]);
    let ids = Tensor::<1, Int>::from_data(TensorData::new(targets(sizes), [rows]), &Device::flex().autodiff());
    let weights = plain(&weights(rows), [rows]);
    let body = if fused { crate::mlm_loss } else { reference::mlm_loss };
    let output: MlmOutput = body(hidden.clone(), table.clone(), bias.clone(), ids, weights, TOTAL, Some(sampling));
    let gradients = (output.loss.clone() * 3.0).backward();
    let ids = |ids: Tensor<1, Int>| ids.into_data().iter::<i64>().collect();
    Found {
        floats: vec![
            host(output.loss),
            host(output.negative_log_likelihood),
            host(hidden.grad(&gradients).unwrap()),
            host(table.grad(&gradients).unwrap()),
            host(bias.grad(&gradients).unwrap()),
        ],
        predicted: ids(output.predicted_ids),
        sampled: ids(output.sampled_ids.unwrap()),
    }
}

/// The same in f64; with the noise of `noise::gumbel`, and each row's logits.
fn exact(sizes: [usize; 3], spread: f32) -> (Vec<Vec<f64>>, Vec<Vec<f64>>) {
    let [rows, inputs, vocab] = sizes;
    let hidden: Vec<f64> = random(1, rows * inputs).iter().map(|x| f64::from(x * spread)).collect();
    let (table, bias) = (wide(&random(2, vocab * inputs)), wide(&random(3, vocab)));
    let mut floats =
        vec![vec![0.0], vec![0.0; rows], vec![0.0; hidden.len()], vec![0.0; table.len()], vec![0.0; vocab]];
    let mut all_logits = vec![];
    for row in 0..rows {
        let dot = |id: usize| (0..inputs).map(|k| hidden[row * inputs + k] * table[id * inputs + k]).sum::<f64>();
        let logits: Vec<f64> = (0..vocab).map(|id| dot(id) + bias[id]).collect();
        let highest = logits.iter().fold(f64::MIN, |a, &b| a.max(b));
        let log_sum = highest + logits.iter().map(|z| (z - highest).exp()).sum::<f64>().ln();
        let weight = f64::from(weights(rows)[row]);
        let target = targets(sizes)[row] as usize;
        if weight > 0.0 {
            floats[1][row] = log_sum - logits[target];
            floats[0][0] += weight * floats[1][row] / (TOTAL + 1e-6);
            for id in 0..vocab {
                let hit = f64::from(u8::from(id == target));
                let gradient = 3.0 * weight * ((logits[id] - log_sum).exp() - hit) / (TOTAL + 1e-6);
                floats[4][id] += gradient;
                for k in 0..inputs {
                    floats[2][row * inputs + k] += gradient * table[id * inputs + k];
                    floats[3][id * inputs + k] += gradient * hidden[row * inputs + k];
                }
            }
        }
        all_logits.push(logits);
    }
    (floats, all_logits)
}

/// Asserts that `id` has the highest score, or one that rounding cannot tell from it.
fn assert_highest(id: i64, scores: &[f64], what: &str) {
    let highest = scores.iter().fold(f64::MIN, |a, &b| a.max(b));
    let found = scores[id as usize];
    assert!(highest - found < 2e-5, "{what}: {id} scores {found}, the highest {highest}");
}

#[test]
fn agrees_with_f64_and_with_the_reference() {
    for sizes in SIZES {
        for (temperature, disallow_correct) in [(1.0, false), (0.7, true)] {
            let sampling = sampling(temperature, disallow_correct);
            let found = run(sizes, 1.0, &sampling, true);
            let mut reference = run(sizes, 1.0, &sampling, false);
            // Rows of weight 0 are nobody's business.
            let used = |row: &usize| row % 3 != 2;
            for row in (0..sizes[0]).filter(|row| !used(row)) {
                reference.floats[1][row] = 0.0;
            }
            let (expected, logits) = exact(sizes, 1.0);
            let reference_floats: Vec<_> = reference.floats.iter().map(|x| wide(x)).collect();
            for expected in [&expected, &reference_floats] {
                for (index, (found, expected)) in found.floats.iter().zip(expected).enumerate() {
                    let tolerance = if index < 2 { 2e-6 } else { 1e-5 };
                    let error = error(found, expected, 1e-2);
                    assert!(error < tolerance, "{sizes:?}, result {index}: {error}");
                }
            }
            let [rows, _, vocab] = sizes;
            for row in (0..rows).filter(used) {
                assert_highest(found.predicted[row], &logits[row], "predicted");
                let (example, place) = (row / (rows / 2), row % (rows / 2));
                let key = NoiseKey::new(11).child(u64::from(EXAMPLES[example])).child(place as u64);
                let target = targets(sizes)[row] as usize;
                let score = |id: usize| {
                    let penalty = if disallow_correct && id == target { -1000.0 } else { 0.0 };
                    (logits[row][id] + penalty) / temperature + f64::from(noise::gumbel(key.bits(id as u32)))
                };
                let scores: Vec<f64> = (0..vocab).map(score).collect();
                assert_highest(found.sampled[row], &scores, "sampled");
                assert_highest(reference.sampled[row], &scores, "sampled by the reference");
            }
        }
    }
}

#[test]
fn the_lowest_of_equal_ids_wins_and_gradients_sum_to_zero() {
    let vocab = 77;
    let hidden = leaf(&[0.0; 8], [2, 4]);
    let table = leaf(&random(2, vocab * 4), [vocab, 4]);
    let mut bias = vec![0.0; vocab];
    (bias[20], bias[41], bias[76]) = (1.0, 1.0, 1.0);
    let bias = leaf(&bias, [vocab]);
    let ids = Tensor::<1, Int>::from_data([3, 76], &Device::flex().autodiff());
    let output = crate::mlm_loss(hidden, table, bias.clone(), ids, plain(&[1.0, 1.0], [2]), 2.0, None);
    assert_eq!(output.predicted_ids.into_data().iter::<i64>().collect::<Vec<_>>(), [20, 20]);
    assert!(output.sampled_ids.is_none());
    let gradients = output.loss.backward();
    assert!(host(bias.grad(&gradients).unwrap()).iter().sum::<f32>().abs() < 1e-6);
}

#[test]
fn extreme_logits_stay_numbers_and_broken_ones_do_not() {
    let sizes = [4, 8, 50];
    let found = run(sizes, 1e6, &sampling(1.0, false), true);
    assert!(found.floats.iter().flatten().all(|x| x.is_finite()));
    assert!(error(&found.floats[0], &exact(sizes, 1e6).0[0], 1e-2) < 1e-5);
    let found = run(sizes, f32::NAN, &sampling(1.0, false), true);
    assert!(found.floats[0][0].is_nan());
}

#[test]
fn rows_without_weight_alone_give_zero() {
    let (hidden, table) = (leaf(&random(1, 16), [2, 8]), leaf(&random(2, 80), [10, 8]));
    let ids = Tensor::<1, Int>::from_data([0, 9], &Device::flex().autodiff());
    let weights = plain(&[0.0, 0.0], [2]);
    let output =
        crate::mlm_loss(hidden, table.clone(), leaf(&[0.0; 10], [10]), ids, weights, 0.0, Some(&sampling(1.0, false)));
    let gradients = output.loss.clone().backward();
    assert_eq!(host(output.loss), [0.0]);
    assert!(host(table.grad(&gradients).unwrap()).iter().all(|&x| x == 0.0));
}

#[test]
fn threads_change_no_bit() {
    assert_same_bits(|| {
        let found = run([80, 64, 3000], 1.0, &sampling(1.0, true), true);
        let ids = [found.predicted, found.sampled].map(|ids| ids.iter().map(|&id| id as f32).collect());
        [found.floats, ids.into()].concat()
    });
}
