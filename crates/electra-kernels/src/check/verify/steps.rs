//! What a step of training makes of the operations: encoder layers as one node of the graph, with parameters as the optimizer
//! keeps them; the generator's draw; the update.

use burn::tensor::{Device, Tensor, TensorData};

use super::case::{Asked, Case, Extent, host, ids, matrix, sizes, values};
use crate::noise::{NoiseKey, gumbel};
use crate::ops::adam;
use crate::ops::encoder_layer::encoder_layer;
use crate::ops::encoder_layer::layer::{EncoderLayer, LayerSettings};
use crate::ops::mlm_loss::mlm_loss;
use crate::read::{self, Reads};
use crate::types::{
    dropout::Dropout, failure::DeviceFailure, kernel::Kernel, losses::Sampling, visibility::Visibility,
};

pub(super) fn cases(extent: Extent) -> Vec<Case> {
    let mut cases = Vec::new();
    // The last of each: whether the second layer is causal.
    for [batch, seq, heads, head_dim, causal] in
        sizes(extent, &[[1, 65, 2, 32, 1]], &[[2, 33, 3, 64, 0], [2, 7, 1, 5, 1]])
    {
        let pattern = if causal == 1 { "the second causal, " } else { "" };
        let name =
            format!("encoder of 2 layers, {pattern}{batch} x {seq}, {heads} heads of {head_dim}, joined, dropout");
        let sizes = [batch, seq, heads, head_dim];
        cases.push(Case::new(Kernel::EncoderLayer, name, move |device| encoder(device, sizes, causal == 1)));
    }
    for [rows, width, vocab] in sizes(extent, &[[32, 8, 2048]], &[[6, 128, 30_522]]) {
        let name = format!("draw {rows} x {vocab}");
        cases.push(Case::new(Kernel::ElectraLoss, name, move |device| draw(device, rows, width, vocab)));
    }
    for [length] in sizes(extent, &[[1000]], &[[1], [70_001]]) {
        cases.push(Case::new(Kernel::Adam, format!("adam, {length} values"), move |device| updates(length, device)));
    }
    cases
}

/// Two layers, forward and backward; `causal`: in the second tokens see what is before them alone. Parameters lie as a trainer's do: one after another in the optimizer's arenas, so that
/// queries, keys and values are one projection where a bias begins where a binding may.
fn encoder(device: &Device, [batch, seq, heads, head_dim]: [usize; 4], causal: bool) -> Result<Asked, DeviceFailure> {
    let (hidden, inner) = (heads * head_dim, 2 * heads * head_dim);
    let square = [hidden, hidden];
    let of_layer: [[usize; 2]; 16] = [
        square,
        square,
        square,
        [1, hidden],
        [1, hidden],
        [1, hidden],
        square,
        [1, hidden],
        [1, hidden],
        [1, hidden],
        [inner, hidden],
        [1, inner],
        [hidden, inner],
        [1, hidden],
        [1, hidden],
        [1, hidden],
    ];
    let shapes = [of_layer, of_layer].concat();
    // Gamma is near 1, all else small enough for no softmax to be all or nothing.
    let is_gamma = |number: usize| matches!(number % 16, 8 | 14);
    let parameter = |(number, [rows, columns]): (usize, &[usize; 2])| {
        let of = |x: f32| 0.2 * x + f32::from(is_gamma(number));
        let values: Vec<f32> = values(number as u64, rows * columns).into_iter().map(of).collect();
        Tensor::<1>::from_data(TensorData::new(values, [rows * columns]), device)
    };
    let parameters: Vec<_> = shapes.iter().enumerate().map(parameter).collect();
    let zeros: Vec<_> = parameters.iter().map(Tensor::zeros_like).collect();
    let arenas = adam::DeviceAdam::new(&parameters, &zeros, &zeros, 0, None);
    let parameters = arenas.as_ref().map_or(parameters, adam::DeviceAdam::parameters);
    let leaves: Vec<Tensor<1>> =
        parameters.into_iter().map(|parameter| Tensor::from_inner(parameter).require_grad()).collect();

    let examples: Vec<u32> = (3..3 + batch as u32).collect();
    let mask: Vec<f32> = (0..batch * seq).map(|i| f32::from(i % seq < seq - i / seq)).collect();
    let device = device.clone().autodiff();
    let mask = Tensor::<2>::from_data(TensorData::new(mask, [batch, seq]), &device);
    let start = matrix(98, [batch * seq, hidden], &device).require_grad();
    let mut x = start.clone();
    for (number, of_layer) in leaves.chunks(16).enumerate() {
        let dense = |weight: usize, bias: usize| {
            let (shape, weight) = (shapes[weight], of_layer[weight].clone());
            (weight.reshape(shape), of_layer[bias].clone())
        };
        let norm = |at: usize| (of_layer[at].clone(), of_layer[at + 1].clone());
        let layer = EncoderLayer {
            query: dense(0, 3),
            key: dense(1, 4),
            value: dense(2, 5),
            attention_output: dense(6, 7),
            attention_layer_norm: norm(8),
            intermediate: dense(10, 11),
            output: dense(12, 13),
            output_layer_norm: norm(14),
        };
        let site = |site: u64| {
            let key = NoiseKey::new(8).child(number as u64).child(site);
            Some(Dropout { probability: 0.1, key, examples: &examples })
        };
        let dropout = [site(0), site(1), site(2)];
        let visibility =
            if causal && number == 1 { Visibility::backwards(&mask) } else { Visibility::all(mask.clone()) };
        x = encoder_layer(x, &visibility, &layer, &LayerSettings { heads, epsilon: 1e-12, recompute: false, dropout });
    }
    let gradients = (x.clone() * matrix(99, x.dims(), &device)).sum().backward();
    let mut reads = Reads::default();
    reads.floats(&x);
    reads.floats(&start.grad(&gradients).expect("the result depends on the input"));
    for (number, leaf) in leaves.iter().enumerate() {
        // The key's bias moves all scores of a query alike: its gradient is zero in truth, and rounding alone in numbers.
        if number % 16 != 4 {
            reads.floats(&leaf.grad(&gradients).expect("the result depends on every parameter"));
        }
    }
    Ok(Asked::of(reads))
}

/// Of the uniform numbers behind a draw's noise, the last 16 before 1: an adapter's logarithm may be of no use there.
const LAST_BITS: u32 = 0xFFFF_F000;
/// The noise that comes of a logarithm of 1 that is 0.
const WRONG_NOISE: f64 = 20.7;

/// How far the drawn and the predicted ids of each row are from the ones that score highest by the CPU's own noise, plus 1:
/// where two score nearly alike, roundings decide, and both are right.
///
/// Among the rows is one with noise from the very end of the uniform numbers (shaders/common/gumbel.wgsl). Its id is just so
/// improbable that it is drawn by a wrong noise alone.
fn draw(device: &Device, rows: usize, width: usize, vocab: usize) -> Result<Asked, DeviceFailure> {
    let examples = [5, 6];
    let key_of = move |key: NoiseKey, row: usize| {
        let per_example = rows / examples.len();
        key.child(u64::from(examples[row / per_example])).child((row % per_example) as u64)
    };
    let extreme = |key: NoiseKey| {
        (0..rows).find_map(|row| {
            let of_row = key_of(key, row);
            (0..vocab).find(|&id| of_row.bits(id as u32) >= LAST_BITS).map(|id| (key, row, id))
        })
    };
    let (key, extreme_row, improbable) =
        (0..).map(NoiseKey::new).find_map(extreme).expect("one in a million numbers is there");
    let temperature = 0.7;
    let sampling = Sampling { temperature, disallow_correct: true, key, examples: &examples };
    let (hidden, table, mut bias) = (values(1, rows * width), values(2, vocab * width), values(3, vocab));
    let (of_hidden, of_table) = (hidden.clone(), table.clone());
    let logits = move |row: usize, bias: &[f32]| -> Vec<f64> {
        let dot = |id: usize| -> f64 {
            (0..width).map(|k| f64::from(of_hidden[row * width + k]) * f64::from(of_table[id * width + k])).sum()
        };
        (0..vocab).map(|id| dot(id) + f64::from(bias[id])).collect()
    };
    let scores = move |row: usize, logits: &[f64]| -> Vec<f64> {
        let of_row = key_of(key, row);
        let score = |(id, logit): (usize, &f64)| {
            let penalty = if id == row * 7919 % vocab { -1000.0 } else { 0.0 };
            (logit + penalty) / temperature + f64::from(gumbel(of_row.bits(id as u32)))
        };
        logits.iter().enumerate().map(score).collect()
    };
    let highest = |scores: &[f64]| scores.iter().copied().fold(f64::MIN, f64::max);
    let before = logits(extreme_row, &bias);
    let others = scores(extreme_row, &before).into_iter().enumerate().filter(|&(id, _)| id != improbable);
    let best = highest(&others.map(|(_, score)| score).collect::<Vec<f64>>());
    bias[improbable] -= (before[improbable] + temperature * (WRONG_NOISE - best - 1.5)) as f32;

    let on =
        |values: &[f32], shape: [usize; 2]| Tensor::<2>::from_data(TensorData::new(values.to_vec(), shape), device);
    let output = mlm_loss(
        on(&hidden, [rows, width]),
        on(&table, [vocab, width]),
        on(&bias, [1, vocab]).reshape([vocab]),
        ids(1, rows, vocab, device).reshape([rows]),
        Tensor::ones([rows], device),
        rows as f64,
        Some(&sampling),
    );
    let mut reads = Reads::default();
    let drawn = reads.ints(&output.sampled_ids.expect("a sample was asked for"));
    let predicted = reads.ints(&output.predicted_ids);
    Ok(Asked::to_make(reads, move |found| {
        let (drawn, predicted) = (read::ints_of(&found[drawn]), read::ints_of(&found[predicted]));
        let short_of_best = |id: i32, scores: &[f64]| {
            usize::try_from(id)
                .ok()
                .and_then(|id| scores.get(id))
                .map_or(f64::INFINITY, |score| 1.0 + highest(scores) - score)
        };
        let row_of = |row: usize| {
            let logits = logits(row, &bias);
            [short_of_best(drawn[row], &scores(row, &logits)), short_of_best(predicted[row], &logits)]
        };
        vec![(0..rows).flat_map(row_of).collect()]
    }))
}

/// Parameters and moments after two updates, by arenas where the device has them and tensor by tensor elsewhere.
fn updates(length: usize, device: &Device) -> Result<Asked, DeviceFailure> {
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
        return host(&[arenas.parameters(), m, v].concat());
    }
    let mut state = adam::AdamTensors { parameter: start, m: zeros.clone(), v: zeros };
    for gradient in gradients {
        let norm = adam::sum_of_squares(std::slice::from_ref(&gradient))?.sqrt();
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
    host(&[state.parameter, state.m, state.v])
}
