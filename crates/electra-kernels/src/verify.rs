//! Whether an adapter computes what the CPU computes: every kernel, forward and backward, on numbers that are the same
//! everywhere.
//!
//! Drivers have bugs, and a wrong gradient looks like a bad learning rate. `electra devices --verify` prints this as a
//! report; training runs the short form before it trusts an adapter for the first time, and switches off what fails.
#![cfg(not(target_family = "wasm"))]

use std::time::Instant;

use burn::tensor::{Device, Int, Tensor, TensorData};
use serde::Serialize;

use crate::gpu::{
    self,
    product::{Epilogue, Form, Mode, product_in},
};
use crate::{
    Dropout, Kernel, Precision, Sampling, Table, adam, add_layer_norm, attention, corrupt, dropout, embeddings,
    gather_positions, gelu_linear, linear, mlm_loss, noise::NoiseKey, rtd_loss, set_enabled, with_precision,
};

/// What one kernel made of one case.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    pub kernel: Kernel,
    /// Operation and sizes.
    pub case: String,
    /// Largest difference of a result or a gradient from the CPU's, relative to the largest value of that array; infinite
    /// where one is no number.
    pub error: f64,
    pub tolerance: f64,
    pub seconds: f64,
}

impl Check {
    pub fn passed(&self) -> bool {
        self.error <= self.tolerance
    }
}

/// How much is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// A case of each kernel, at sizes that no tile divides.
    Short,
    /// Sizes around tiles and workgroups, and those of real networks.
    Full,
}

/// f32 sums in other orders, and functions that WGSL rounds loosely: what a healthy adapter stays far below.
const TOLERANCE: f64 = 1e-4;

/// Products whose operands only the adapter rounds to f16: by at most 2^-10 each, where an adapter rounds towards zero.
const HALF_TOLERANCE: f64 = 5e-3;

type Arrays = Vec<Vec<f64>>;
type Body = Box<dyn Fn(&Device) -> Arrays>;
type Case = (Kernel, String, Body);

/// A case with what else may differ from one to the next.
struct Prepared {
    kernel: Kernel,
    case: String,
    tolerance: f64,
    body: Body,
    /// What gives the expected arrays on the adapter itself, where it is not `body` on the CPU.
    twin: Option<Body>,
}

/// Runs the cases on `device` and on the CPU, calling `done` after each.
pub fn verify(device: &Device, extent: Extent, done: &mut dyn FnMut(&Check)) -> Vec<Check> {
    let mut checks = Vec::new();
    let plain = |(kernel, case, body)| Prepared { kernel, case, tolerance: TOLERANCE, body, twin: None };
    for case in cases(extent).into_iter().map(plain).chain(half_cases(device, extent)) {
        let Prepared { kernel, case, tolerance, body, twin } = case;
        let started = Instant::now();
        let found = body(device);
        let seconds = started.elapsed().as_secs_f64();
        let expected = twin.map_or_else(|| body(&Device::flex()), |twin| twin(device));
        let worst = found.iter().zip(&expected).map(|(found, expected)| error(found, expected)).fold(0.0, f64::max);
        let check = Check { kernel, case, error: worst, tolerance, seconds };
        done(&check);
        checks.push(check);
    }
    checks
}

/// Switches off, for this process, every kernel that failed one of `checks`; returns them.
pub fn switch_off_failed(checks: &[Check]) -> Vec<Kernel> {
    let failed: Vec<Kernel> = Kernel::ALL
        .into_iter()
        .filter(|kernel| checks.iter().any(|check| check.kernel == *kernel && !check.passed()))
        .collect();
    for &kernel in &failed {
        set_enabled(kernel, false);
    }
    failed
}

fn error(found: &[f64], expected: &[f64]) -> f64 {
    if found.len() != expected.len() {
        return f64::INFINITY;
    }
    let largest = expected.iter().fold(1e-3, |largest: f64, x| largest.max(x.abs()));
    let difference = |(found, expected): (&f64, &f64)| {
        let difference = (found - expected).abs();
        if difference.is_nan() { f64::INFINITY } else { difference }
    };
    found.iter().zip(expected).map(difference).fold(0.0, f64::max) / largest
}

fn values(seed: u64, length: usize) -> Vec<f32> {
    let key = NoiseKey::new(seed);
    (0..length).map(|index| key.uniform_f64(index as u64, 0) as f32 * 2.0 - 1.0).collect()
}

/// The values of a tensor, or one that is no number where the device gives none back: a driver may refuse a shader, which
/// shows only here, and the kernel has then failed its case.
fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.try_into_data().map_or_else(|_| vec![f64::NAN], |data| data.iter::<f64>().collect())
}

fn ids(rows: usize, columns: usize, limit: usize, device: &Device) -> Tensor<2, Int> {
    let ids: Vec<i32> = (0..rows * columns).map(|index| (index * 7919 % limit) as i32).collect();
    Tensor::from_data(TensorData::new(ids, [rows, columns]), device)
}

/// The result of `operation` on random operands of these shapes, and their gradients.
fn differentiate(
    device: &Device,
    shapes: &[[usize; 2]],
    operation: impl Fn(Vec<Tensor<2>>, &Device) -> Tensor<2>,
) -> Arrays {
    let device = device.clone().autodiff();
    let leaf = |seed, [rows, columns]: [usize; 2]| {
        Tensor::<2>::from_data(TensorData::new(values(seed, rows * columns), [rows, columns]), &device)
    };
    let leaves: Vec<_> = shapes.iter().zip(1..).map(|(&shape, seed)| leaf(seed, shape).require_grad()).collect();
    let result = operation(leaves.clone(), &device);
    let gradients = (result.clone() * leaf(99, result.dims())).sum().backward();
    let mut arrays = vec![host(result)];
    arrays.extend(leaves.into_iter().map(|leaf| leaf.grad(&gradients).map_or_else(Vec::new, host)));
    arrays
}

fn cases(extent: Extent) -> Vec<Case> {
    let full = extent == Extent::Full;
    let mut cases: Vec<Case> = Vec::new();
    let sizes = |short: &[[usize; 4]], more: &[[usize; 4]]| -> Vec<[usize; 4]> {
        short.iter().chain(if full { more } else { &[] }).copied().collect()
    };

    for [rows, inputs, outputs, gelu] in sizes(
        &[[33, 37, 19, 0], [67, 64, 132, 1]],
        &[[1, 1, 1, 0], [128, 256, 256, 0], [700, 128, 512, 1], [65, 512, 1, 0]],
    ) {
        let layer = if gelu == 1 { gelu_linear } else { linear };
        let name = if gelu == 1 { "gelu_linear" } else { "linear" };
        let body = move |device: &Device| {
            differentiate(device, &[[rows, inputs], [outputs, inputs], [1, outputs]], |operands, _| {
                let [x, weight, bias] = operands.try_into().expect("three operands");
                layer(x, weight, bias.reshape([outputs]))
            })
        };
        cases.push((Kernel::Linear, format!("{name} {rows} x {inputs} -> {outputs}"), Box::new(body)));
    }
    for [batch, seq, heads, head_dim] in
        sizes(&[[2, 13, 2, 12]], &[[1, 1, 1, 1], [2, 65, 4, 32], [1, 128, 2, 64], [1, 512, 1, 16], [1, 9, 1, 128]])
    {
        let body = move |device: &Device| {
            let hidden = heads * head_dim;
            let examples: Vec<u32> = (7..7 + batch as u32).collect();
            let site = Dropout { probability: 0.1, key: NoiseKey::new(3), examples: &examples };
            let mask: Vec<f32> =
                (0..batch * seq).map(|i| if i / seq == 1 && i % seq > seq / 2 { 0.0 } else { 1.0 }).collect();
            differentiate(device, &[[batch * seq, hidden]; 3], |operands, device| {
                let [q, k, v] = operands.try_into().expect("three operands");
                let mask = Tensor::from_data(TensorData::new(mask.clone(), [batch, seq]), device);
                attention(q, k, v, &mask, heads, Some(&site))
            })
        };
        let case = format!("attention {batch} x {seq}, {heads} heads of {head_dim}, dropout");
        cases.push((Kernel::Attention, case, Box::new(body)));
    }
    for [examples, per_example, hidden, _] in sizes(&[[3, 5, 37, 0]], &[[1, 1, 3, 0], [2, 64, 256, 0], [2, 9, 1024, 0]])
    {
        let body = move |device: &Device| {
            let numbers: Vec<u32> = (0..examples as u32).collect();
            let site = Dropout { probability: 0.1, key: NoiseKey::new(4), examples: &numbers };
            let rows = examples * per_example;
            let shapes = [[rows, hidden], [rows, hidden], [1, hidden], [1, hidden]];
            differentiate(device, &shapes, |operands, _| {
                let [x, branch, gamma, beta] = operands.try_into().expect("four operands");
                add_layer_norm(x, branch, Some(&site), gamma.reshape([hidden]), beta.reshape([hidden]), 1e-12)
            })
        };
        let case = format!("add_layer_norm {examples} x {per_example} x {hidden}, dropout");
        cases.push((Kernel::LayerNorm, case, Box::new(body)));
        let body = move |device: &Device| {
            let numbers: Vec<u32> = (0..examples as u32).collect();
            let site = Dropout { probability: 0.5, key: NoiseKey::new(5), examples: &numbers };
            let shape = [examples * per_example, hidden];
            differentiate(device, &[shape], |operands, _| dropout(operands[0].clone(), Some(&site)))
        };
        cases.push((Kernel::Dropout, format!("dropout {examples} x {per_example} x {hidden}"), Box::new(body)));
    }
    for [batch, seq, vocab, width] in sizes(&[[2, 9, 99, 5]], &[[3, 128, 2048, 64], [1, 1, 1, 1]]) {
        let body = move |device: &Device| {
            differentiate(device, &[[vocab, width], [seq, width], [2, width]], |operands, device| {
                let [words, positions, types] = operands.try_into().expect("three operands");
                embeddings(words, positions, types, &ids(batch, seq, vocab, device), &ids(batch, seq, 2, device))
            })
        };
        let case = format!("embeddings {batch} x {seq}, vocabulary {vocab} x {width}");
        cases.push((Kernel::Embedding, case, Box::new(body)));
        let body = move |device: &Device| {
            let shapes = [[64, width], [vocab, width], [seq, width], [2, width]];
            differentiate(device, &shapes, |operands, device| {
                let [first, rest, positions, types] = operands.try_into().expect("four operands");
                let words = Table::new(vec![first, rest]);
                let ids_of = |below| ids(batch, seq, below, device);
                embeddings(words, positions, types, &ids_of(64 + vocab), &ids_of(2))
            })
        };
        let case = format!("embeddings {batch} x {seq}, vocabulary 64 + {vocab} x {width}");
        cases.push((Kernel::Embedding, case, Box::new(body)));
        let body = move |device: &Device| {
            let slots = seq.div_ceil(6);
            let mut arrays = differentiate(device, &[[batch * seq, width]], |operands, device| {
                gather_positions(operands[0].clone(), &ids(batch, slots, seq, device), seq)
            });
            let weights = Tensor::<2>::ones([batch, slots], device);
            let (positions, samples) = (ids(batch, slots, seq, device), ids(batch, slots, vocab, device));
            let (corrupted, is_replaced) = corrupt(&ids(batch, seq, vocab, device), &positions, &weights, &samples);
            arrays.extend([corrupted.into_data().iter::<f64>().collect(), host(is_replaced)]);
            arrays
        };
        cases.push((Kernel::Embedding, format!("gather and corrupt {batch} x {seq} x {width}"), Box::new(body)));
    }
    for [rows, width, vocab, _] in sizes(&[[10, 16, 99, 0]], &[[152, 64, 2048, 0], [2, 3, 5, 0]]) {
        let body = move |device: &Device| {
            differentiate(device, &[[rows, width], [vocab, width], [1, vocab]], |operands, device| {
                let [hidden, table, bias] = operands.try_into().expect("three operands");
                let weights: Vec<f32> = (0..rows).map(|row| f32::from(row % 3 != 2)).collect();
                let weights = Tensor::from_data(TensorData::new(weights, [rows]), device);
                let targets = ids(1, rows, vocab, device).reshape([rows]);
                let examples = [5, 6];
                let sampling =
                    Sampling { temperature: 1.0, disallow_correct: false, key: NoiseKey::new(6), examples: &examples };
                // Samples are not compared: where two ids score alike, roundings decide.
                let loss = mlm_loss(hidden, table, bias.reshape([vocab]), targets, weights, 7.0, Some(&sampling)).loss;
                loss.reshape([1, 1])
            })
        };
        cases.push((Kernel::ElectraLoss, format!("mlm_loss {rows} x {width} x {vocab}"), Box::new(body)));
        let body = move |device: &Device| {
            differentiate(device, &[[rows, width]], |operands, device| {
                let labels: Vec<f32> = (0..rows * width).map(|i| f32::from(i % 7 == 0)).collect();
                let labels = Tensor::from_data(TensorData::new(labels, [rows, width]), device);
                rtd_loss(operands[0].clone() * 9.0, labels, Tensor::ones([rows, width], device), 11.0).reshape([1, 1])
            })
        };
        cases.push((Kernel::ElectraLoss, format!("rtd_loss {rows} x {width}"), Box::new(body)));
    }
    for [length, ..] in sizes(&[[1000, 0, 0, 0]], &[[1, 0, 0, 0], [70_001, 0, 0, 0]]) {
        cases.push((
            Kernel::Adam,
            format!("adam, {length} values"),
            Box::new(move |device| adam_steps(length, device)),
        ));
    }
    cases
}

/// Products in half precision: beside the CPU's, which rounds nothing, where the adapter offers them, and on matrix units
/// beside the form that runs everywhere, where it has units.
fn half_cases(device: &Device, extent: Extent) -> Vec<Prepared> {
    if !gpu::has_f16(device) {
        return Vec::new();
    }
    let full = extent == Extent::Full;
    let mut cases = Vec::new();
    let more: &[[usize; 3]] = if full { &[[1, 1, 1], [128, 256, 64], [65, 512, 1]] } else { &[] };
    for &[rows, inputs, outputs] in [[33, 37, 19]].iter().chain(more) {
        let body = move |device: &Device| {
            with_precision(Precision::F16, || {
                differentiate(device, &[[rows, inputs], [outputs, inputs], [1, outputs]], |operands, _| {
                    let [x, weight, bias] = operands.try_into().expect("three operands");
                    linear(x, weight, bias.reshape([outputs]))
                })
            })
        };
        let case = format!("linear in half precision {rows} x {inputs} -> {outputs}");
        let tolerance = HALF_TOLERANCE;
        cases.push(Prepared { kernel: Kernel::Linear, case, tolerance, body: Box::new(body), twin: None });
    }
    let Some(units) = gpu::adapter::of(&gpu::probe(device)).units else { return cases };
    let more: &[[usize; 3]] = if full { &[[1, 1, 1], [128, 64, 256], [700, 130, 37], [65, 64, 1100]] } else { &[] };
    for &sizes in [[67, 132, 100]].iter().chain(more) {
        let [m, n, k] = sizes;
        // Both round alike, and differ by the order of their sums.
        cases.push(Prepared {
            kernel: Kernel::MatrixUnits,
            case: format!("products on matrix units of {0} x {0}, {m} x {n} x {k}", units.size),
            tolerance: TOLERANCE,
            body: Box::new(move |device| half_products(device, sizes, &|parts| Form::Matrix { units, parts })),
            twin: Some(Box::new(move |device| half_products(device, sizes, &Form::Staged))),
        });
    }
    cases
}

/// What a dense layer with GELU makes of products in half precision: its results, the values before GELU, and the gradients
/// of input, weight and bias.
fn half_products(device: &Device, [m, n, k]: [usize; 3], form: &dyn Fn(usize) -> Form) -> Arrays {
    let matrix = |seed, [rows, columns]: [usize; 2]| {
        let data = TensorData::new(values(seed, rows * columns), [rows, columns]);
        gpu::constant(&Tensor::<2>::from_data(data, device))
    };
    let (x, weight, bias, dy) = (matrix(1, [m, k]), matrix(2, [n, k]), matrix(3, [1, n]), matrix(4, [m, n]));
    let (z, of_bias) = (gpu::empty(&x, [m, n]), gpu::empty(&x, [n, 1]));
    let found = with_precision(Precision::F16, || {
        let forward = Epilogue { bias: Some(&bias), gelu: true, keep: Some(&z), ..Epilogue::default() };
        let to_input = Epilogue::default();
        let to_weight = Epilogue { sums: Some(&of_bias), ..Epilogue::default() };
        [
            product_in(form(1), Mode::TransposedB, &x, &weight, forward),
            product_in(form(1), Mode::Plain, &dy, &weight, to_input),
            product_in(form(2), Mode::TransposedA, &dy, &x, to_weight),
        ]
    });
    found.into_iter().chain([z, of_bias]).map(|array| host(gpu::tensor::<2>(array))).collect()
}

/// Parameters and moments after two updates, by arenas where the device has them and tensor by tensor elsewhere.
fn adam_steps(length: usize, device: &Device) -> Arrays {
    let tensor = |seed| Tensor::<1>::from_data(TensorData::new(values(seed, length), [length]), device);
    let (start, zeros, gradients) = (tensor(1), Tensor::<1>::zeros([length], device), [tensor(2), tensor(3)]);
    let (learning_rate, beta1, beta2, epsilon, weight_decay) = (0.01, 0.9, 0.999, 1e-6, 0.01);
    let one = |x: &Tensor<1>| std::slice::from_ref(x).to_vec();
    if let Some(mut arenas) = adam::DeviceAdam::new(&one(&start), &one(&zeros), &one(&zeros), 0, None) {
        let update =
            adam::DeviceUpdate { learning_rate, beta1, beta2, epsilon, clip_norm: 1.0, bias_correction: false };
        let loss = Tensor::zeros([1], device);
        for gradient in gradients {
            arenas.add_gradients(&[Some(gradient)]);
            arenas.update(&loss, &[adam::ParameterRule { factor: 1.0, weight_decay }], &update);
        }
        let (m, v) = arenas.moments();
        return [arenas.parameters(), m, v].into_iter().flatten().map(host).collect();
    }
    let mut state = adam::AdamTensors { parameter: start, m: zeros.clone(), v: zeros };
    for gradient in gradients {
        let norm = adam::sum_of_squares(std::slice::from_ref(&gradient)).sqrt();
        let update = adam::AdamUpdate {
            learning_rate,
            beta1,
            beta2,
            epsilon,
            weight_decay,
            gradient_scale: if norm > 1.0 { 1.0 / norm } else { 1.0 },
            bias_corrections: [1.0, 1.0],
        };
        state = adam::adam_update(state, gradient, &update);
    }
    [state.parameter, state.m, state.v].map(host).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::launch::divided;
    use crate::gpu::testing::device;
    use crate::launches;

    #[test]
    fn a_software_adapter_passes_in_full() {
        let Some(device) = device() else { return };
        let checks = verify(&device, Extent::Full, &mut |_| {});
        let kernels: Vec<Kernel> =
            Kernel::ALL.into_iter().filter(|kernel| checks.iter().any(|check| check.kernel == *kernel)).collect();
        let has_units = gpu::adapter::of(&gpu::probe(&device)).units.is_some();
        let all = Kernel::ALL.into_iter().filter(|&kernel| kernel != Kernel::MatrixUnits || has_units);
        assert_eq!(kernels, all.collect::<Vec<_>>(), "every kernel has a case");
        if gpu::has_f16(&device) {
            assert!(checks.iter().any(|check| check.case.starts_with("linear in half precision")));
        }
        let failed: Vec<&Check> = checks.iter().filter(|check| !check.passed()).collect();
        assert!(failed.is_empty(), "{failed:?}");
        // Were the kernels off, the primitives would have passed.
        assert_eq!(switch_off_failed(&checks), []);
    }

    #[test]
    fn units_are_held_against_the_portable_form() {
        let Some(device) = device() else { return };
        let units = gpu::units::Units { size: 16, subgroups: [32, 32], is_emulated: true };
        let found = half_products(&device, [67, 68, 100], &|parts| Form::Matrix { units, parts });
        let expected = half_products(&device, [67, 68, 100], &Form::Staged);
        assert_eq!(found.len(), 5);
        for (found, expected) in found.iter().zip(&expected) {
            assert!(error(found, expected) <= TOLERANCE);
        }
    }

    #[test]
    fn dividing_launches_into_dispatches_changes_no_bit() {
        let Some(device) = device() else { return };
        let bits = |arrays: Arrays| -> Vec<u64> { arrays.into_iter().flatten().map(f64::to_bits).collect() };
        for (_, case, body) in cases(Extent::Full) {
            let (whole, dispatches) = launches::record(|| bits(body(&device)));
            for pieces in [2, u32::MAX] {
                let (found, divided) = launches::record(|| divided(pieces, || bits(body(&device))));
                assert!(whole == found, "{case}, in {pieces} dispatches a launch");
                let ours = |names: &[&str]| names.iter().filter(|name| name.starts_with(launches::PREFIX)).count();
                assert!(ours(&divided) >= ours(&dispatches), "{case}: {dispatches:?}, {divided:?}");
            }
        }
    }

    #[test]
    fn a_shader_that_the_device_refuses_is_a_failure_and_no_more() {
        let Some(device) = device() else { return };
        if gpu::adapter::of(&gpu::probe(&device)).units.is_some() {
            return;
        }
        let units = gpu::units::Units { size: 16, subgroups: [32, 32], is_emulated: false };
        let products =
            |form: &dyn Fn(usize) -> Form| half_products(&device, [7, 5, 3], form).into_iter().next().unwrap();
        let found = products(&|parts| Form::Matrix { units, parts });
        let expected = products(&Form::Staged);
        assert!(error(&found, &expected) > TOLERANCE && error(&found, &found) > TOLERANCE, "{found:?}");
        assert_eq!(expected.len(), 35, "what follows is as if nothing had been");
    }

    #[test]
    fn wrong_numbers_missing_ones_and_nan_are_failures() {
        assert!(error(&[1.0, 2.0], &[1.0, 2.0]) <= TOLERANCE);
        assert!(error(&[1.0, 2.1], &[1.0, 2.0]) > TOLERANCE);
        assert!(error(&[1.0], &[1.0, 2.0]) > TOLERANCE);
        assert!(error(&[f64::NAN, 2.0], &[1.0, 2.0]) > TOLERANCE);
    }
}
