//! The shaders.

use burn::tensor::{Int, Tensor, TensorData};

use crate::check::testing::{Operands, assert_matches, device, download, operands, random};
use crate::gpu::empty;
use crate::gpu::instruments::assert_canaries;
use crate::gpu::launch::Launch;
use crate::gpu::shader::Shader;
use crate::ops::mlm_loss::reference;
use crate::{MlmOutput, Sampling, Table, noise, noise::NoiseKey};

const EXAMPLES: [u32; 2] = [17, 4];
const TOTAL: f64 = 12.5;

fn sampling(temperature: f64, disallow_correct: bool) -> Sampling<'static> {
    Sampling { temperature, disallow_correct, key: NoiseKey::new(11), examples: &EXAMPLES }
}

fn target(row: usize, vocab: usize) -> i32 {
    ((row * 31 + vocab - 1) % vocab) as i32
}

type Loss = fn(Tensor<2>, Tensor<2>, Tensor<1>, Tensor<1, Int>, Tensor<1>, f64, Option<&Sampling<'_>>) -> MlmOutput;

/// Every third masked position is unused.
fn run(loss: Loss, operands: Vec<Tensor<2>>, sampling: Option<&Sampling<'_>>) -> MlmOutput {
    let [hidden, table, bias] = operands.try_into().unwrap();
    let ([rows, _], [vocab, _], device) = (hidden.dims(), table.dims(), hidden.device());
    let targets: Vec<i32> = (0..rows).map(|row| target(row, vocab)).collect();
    let weights: Vec<f32> = (0..rows).map(|row| if row % 3 == 2 { 0.0 } else { 1.0 }).collect();
    let targets = Tensor::from_data(TensorData::new(targets, [rows]), &device);
    let weights = Tensor::<1>::from_data(TensorData::new(weights, [rows]), &device).cast(hidden.dtype());
    loss(hidden, table, bias.reshape([vocab]), targets, weights, TOTAL, sampling)
}

fn sizes() -> Vec<[usize; 3]> {
    vec![[2, 3, 5], [4, 8, 16], [10, 16, 99], [34, 37, 1000], [140, 8, 2048]]
}

#[test]
fn losses_and_gradients_match_the_reference() {
    for [rows, width, vocab] in sizes() {
        let operands = operands(&[[rows, width], [vocab, width], [1, vocab]]);
        let body = |loss: Loss| move |operands: Vec<Tensor<2>>| run(loss, operands, None).loss.reshape([1, 1]);
        let what = format!("mlm {rows} x {width} x {vocab}");
        assert_matches(&what, &operands, 3e-6, &body(crate::mlm_loss), &body(reference::mlm_loss));
    }
}

#[test]
fn chunks_change_nothing() {
    // 1 MB of logits a row: 64 rows fill two chunks' worth of bytes.
    let (rows, width, vocab) = (70, 4, 262_144);
    let operands: Operands = operands(&[[rows, width], [vocab, width], [1, vocab]]);
    let body = |loss: Loss| move |operands: Vec<Tensor<2>>| run(loss, operands, None).loss.reshape([1, 1]);
    // Each invocation of a software adapter adds 32,768 exponentials in f32: 5e-6 measured.
    assert_matches("mlm in chunks", &operands, 1e-5, &body(crate::mlm_loss), &body(reference::mlm_loss));
}

#[test]
fn a_table_in_pieces_is_the_table() {
    let (rows, width, pieces) = (10, 12, [64, 128, 7]);
    let vocab = pieces.iter().sum();
    let operands: Operands =
        operands(&[[rows, width], [pieces[0], width], [pieces[1], width], [pieces[2], width], [1, vocab]]);
    type Body = fn(Tensor<2>, Table, Tensor<1>, Tensor<1, Int>, Tensor<1>) -> Tensor<1>;
    let body = |body: Body| {
        move |operands: Vec<Tensor<2>>| {
            let [hidden, first, second, third, bias] = operands.try_into().unwrap();
            let device = hidden.device();
            let targets: Vec<i32> = (0..rows).map(|row| target(row, vocab)).collect();
            let weights: Vec<f32> = (0..rows).map(|row| if row % 3 == 2 { 0.0 } else { 1.0 }).collect();
            let targets = Tensor::from_data(TensorData::new(targets, [rows]), &device);
            let weights = Tensor::<1>::from_data(TensorData::new(weights, [rows]), &device).cast(hidden.dtype());
            let table = Table::new(vec![first, second, third]);
            body(hidden, table, bias.reshape([vocab]), targets, weights).reshape([1, 1])
        }
    };
    let kernel: Body = |hidden, table, bias, targets, weights| {
        crate::mlm_loss(hidden, table, bias, targets, weights, TOTAL, None).loss
    };
    let oracle: Body = |hidden, table, bias, targets, weights| {
        reference::mlm_loss(hidden, table, bias, targets, weights, TOTAL, None).loss
    };
    assert_matches("mlm in pieces", &operands, 3e-6, &body(kernel), &body(oracle));
}

#[test]
fn predictions_and_samples_score_highest() {
    let Some(device) = device() else { return };
    for [rows, width, vocab] in sizes() {
        for (temperature, disallow_correct) in [(1.0, false), (0.7, true)] {
            let sampling = sampling(temperature, disallow_correct);
            let on = |values: Vec<f64>, shape: [usize; 2]| {
                let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
                Tensor::<2>::from_data(TensorData::new(values, shape), &device.clone().autodiff())
            };
            let (hidden, table, bias) = (random(1, rows * width), random(2, vocab * width), random(3, vocab));
            let operands = vec![
                on(hidden.clone(), [rows, width]),
                on(table.clone(), [vocab, width]),
                on(bias.clone(), [1, vocab]),
            ];
            let output = run(crate::mlm_loss, operands, Some(&sampling));
            let ids = |ids: Tensor<1, Int>| ids.into_data().iter::<i64>().collect::<Vec<_>>();
            let (predicted, sampled) = (ids(output.predicted_ids), ids(output.sampled_ids.unwrap()));
            for row in 0..rows {
                let logit = |id: usize| {
                    (0..width).map(|k| hidden[row * width + k] * table[id * width + k]).sum::<f64>() + bias[id]
                };
                let (example, place) = (row / (rows / 2), row % (rows / 2));
                let key = NoiseKey::new(11).child(u64::from(EXAMPLES[example])).child(place as u64);
                let score = |id: usize| {
                    let hit = disallow_correct && id as i32 == target(row, vocab);
                    let penalty = if hit { -1000.0 } else { 0.0 };
                    (logit(id) + penalty) / temperature + f64::from(noise::gumbel(key.bits(id as u32)))
                };
                let check = |id: i64, score: &dyn Fn(usize) -> f64, what: &str| {
                    let best = (0..vocab).map(score).fold(f64::MIN, f64::max);
                    let found = score(id as usize);
                    assert!(best - found < 3e-5, "{what} row {row}: {id} scores {found}, the best {best}");
                };
                check(predicted[row], &logit, "predicted");
                check(sampled[row], &score, "sampled");
            }
            assert_canaries("mlm");
        }
    }
}

/// What the shader makes of a uniform number of 24 bits, with logarithms as far off as WGSL allows: `off` in -1..=1.
fn loose_gumbel(count: u32, off: f64) -> f64 {
    let log = |x: f64| {
        let error = if (0.5..=2.0).contains(&x) { 2f64.powi(-21) } else { 3.0 * 2f64.powi(-24) * x.ln().abs() };
        x.ln() + off * error
    };
    let u = f64::from(count) / 16_777_216.0;
    let exponential = if count >= 1 << 23 { -(u.ln()) } else { -log(u + 1e-9) };
    -log(exponential + 1e-9)
}

/// All 2^24 uniform numbers that there are: the adapter's noise is the CPU's, and its tail ends where the CPU's ends.
#[test]
fn noise_is_the_cpus_for_every_uniform_number() {
    static NOISE: Shader = Shader::new(
        "electra::test_gumbel",
        "//#include launch\n//#include gumbel\n\
         @group(0) @binding(0) var<storage, read_write> result: array<f32>;\n\
         @compute @workgroup_size({{WORKGROUP}}, 1, 1)\n\
         fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,\n\
         @builtin(local_invocation_index) lane: u32) {\n\
         let index = workgroup_number(id, grid) * WORKGROUP + lane;\n\
         result[index] = gumbel((sizes[1] + index) << 8u);\n}\n",
    );
    let Some(device) = device() else { return };
    const AT_ONCE: usize = 1 << 21;
    let mut highest = f64::MIN;
    let mut tails = [0, 0];
    for first in (0..1usize << 24).step_by(AT_ONCE) {
        let result = empty(&crate::gpu::probe(&device), [AT_ONCE]);
        Launch::new(&NOISE).buffer(&result).size(first).run(64, AT_ONCE / 64);
        for (count, found) in (first as u32..).zip(download(result)) {
            let expected = f64::from(noise::gumbel(count << 8));
            // The outer logarithm is off by 2^-21 where its value is small, as anything around it may be.
            let allowed = 1e-6 * expected.abs().max(1.0);
            assert!((found - expected).abs() <= allowed, "{count}: {found}, on the CPU {expected}");
            highest = highest.max(found);
            tails[0] += u32::from(found > 12.0);
            tails[1] += u32::from(expected > 12.0);
        }
    }
    assert_eq!(tails[0], tails[1], "numbers beyond 12");
    assert!(highest < 16.7, "{highest}");
    assert_canaries("noise");
}

#[test]
fn no_logarithm_that_wgsl_allows_makes_a_noise_that_is_always_drawn() {
    for count in (0..1 << 24).step_by(4099).chain((1 << 24) - 5000..1 << 24).chain(0..5000) {
        let exact = loose_gumbel(count, 0.0);
        for off in [-1.0, 1.0] {
            let loose = loose_gumbel(count, off);
            assert!((loose - exact).abs() < 2e-5, "{count}: {loose}, exact {exact}");
        }
    }
    // With logarithms alone it was 20.7, or none, where 16.6 is right.
    let last = f64::from((1 << 24) - 1) / 16_777_216.0;
    let alone = |off: f64| -(-(last.ln() + off * 2f64.powi(-21)) + 1e-9).ln();
    assert!(alone(1.0).is_nan() && alone(-1.0) < 15.0 && loose_gumbel((1 << 24) - 1, 1.0) < 16.7);
}

#[test]
fn samples_follow_the_softmax() {
    // Chi-square of 4,096 draws from 16 ids: the .999 quantile at 15 degrees of freedom is 37.7.
    let Some(device) = device() else { return };
    let (rows, vocab) = (4096, 16);
    let bias = random(3, vocab);
    let zeros = |rows: usize| Tensor::<2>::zeros([rows, 1], &device);
    let data = TensorData::new(bias.iter().map(|&x| x as f32).collect::<Vec<_>>(), [1, vocab]);
    let operands = vec![zeros(rows), zeros(vocab), Tensor::from_data(data, &device)];
    let output = run(crate::mlm_loss, operands, Some(&sampling(1.0, false)));
    let mut counts = vec![0.0; vocab];
    for id in output.sampled_ids.unwrap().into_data().iter::<i64>() {
        counts[id as usize] += 1.0;
    }
    let total: f64 = bias.iter().map(|x| x.exp()).sum();
    let chi_square: f64 = counts
        .iter()
        .zip(&bias)
        .map(|(count, x)| {
            let expected = rows as f64 * x.exp() / total;
            (count - expected) * (count - expected) / expected
        })
        .sum();
    assert!(chi_square < 37.7, "{chi_square}");
}
