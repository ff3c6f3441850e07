//! Times of every operation on a device, beside its reference body and beside what the device could do at best.
//!
//! The best is measured in the same run: a copy gives the memory's rate, a product the arithmetic's. An operation's share
//! of it is the time that its products and its necessary reads and writes would take, over the time that it took.

use std::time::Instant;

use burn::tensor::{Device, Int, Tensor, TensorData};
use serde::Serialize;

use crate::noise::NoiseKey;
use crate::ops::{
    adam, attention::attention, dropout::dropout, embedding::embeddings, gather::gather_positions,
    layer_norm::add_layer_norm, linear::linear, linear_gelu::linear_gelu, mlm_loss::mlm_loss, rtd_loss::rtd_loss,
    token_log_probabilities::token_log_probabilities,
};
use crate::reference_only::with_reference_only;
use crate::types::{dropout::Dropout, losses::Sampling, visibility::Visibility};

/// Sizes of the operations of one network.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Shapes {
    /// Examples.
    pub batch: usize,
    /// Tokens of an example.
    pub seq: usize,
    /// Width of a token's hidden state.
    pub hidden: usize,
    /// Width of the feed-forward layer.
    pub inner: usize,
    /// Heads of attention, which divide the width.
    pub heads: usize,
    /// Words of the table.
    pub vocab: usize,
    /// Width of a word's embedding.
    pub embedding: usize,
    /// Masked positions of an example.
    pub masked: usize,
}

/// What a device does at best.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Roofline {
    /// Read and written together, by a copy of 64 MB.
    pub bytes_per_second: f64,
    /// Multiplications and additions, by the better of our product and Burn's, 2,048 x 1,024 x 1,024.
    pub flops_per_second: f64,
}

/// Seconds of one operation.
#[derive(Debug, Clone, Serialize)]
pub struct KernelTiming {
    /// The operation, with what tells it from others of its kind.
    pub name: &'static str,
    /// Ours, forward.
    pub forward_seconds: f64,
    /// Ours, backward.
    pub backward_seconds: f64,
    /// The reference body's, forward.
    pub reference_forward_seconds: f64,
    /// The reference body's, backward.
    pub reference_backward_seconds: f64,
    /// The reference body's time over ours.
    pub speedup: f64,
    /// Of the roofline, by estimated products and memory traffic.
    pub share_of_roofline: f64,
}

/// Seconds that are measured at a time at least, if it takes some repetitions: what starting and waiting cost is little beside.
const MEASURED_SECONDS: f64 = 0.01;
/// Repetitions at most: work that is ahead of a device takes memory.
const MOST_REPETITIONS: f64 = 50.0;

/// Least seconds of `body`, of `runs` after two that compile and tell how long one takes: a shared machine disturbs upwards only.
fn least(device: &Device, runs: usize, mut body: impl FnMut()) -> f64 {
    let mut time = |repetitions: usize| {
        let started = Instant::now();
        (0..repetitions).for_each(|_| body());
        let _ = device.sync();
        started.elapsed().as_secs_f64() / repetitions as f64
    };
    time(1);
    let repetitions = (MEASURED_SECONDS / time(1)).clamp(1.0, MOST_REPETITIONS).ceil() as usize;
    (0..runs).map(|_| time(repetitions)).fold(f64::INFINITY, f64::min)
}

/// Measures what `device` does at best.
pub fn roofline(device: &Device, runs: usize) -> Roofline {
    let length = 1 << 24;
    let values = random(1, [length], device);
    let copy = least(device, runs, || drop(values.clone().mul_scalar(1.5)));
    let [m, n, k] = [2048, 1024, 1024];
    let (a, b, bias) = (random(2, [m, k], device), random(3, [n, k], device), Tensor::zeros([n], device));
    let ours = least(device, runs, || drop(linear(a.clone(), b.clone(), bias.clone())));
    let burns = least(device, runs, || drop(a.clone().matmul(b.clone().transpose())));
    Roofline {
        bytes_per_second: (8 * length) as f64 / copy,
        flops_per_second: (2 * m * n * k) as f64 / ours.min(burns),
    }
}

fn random<const D: usize>(seed: u64, shape: [usize; D], device: &Device) -> Tensor<D> {
    let key = NoiseKey::new(seed);
    let length = shape.iter().product::<usize>() as u64;
    let values: Vec<f32> = (0..length).map(|index| key.uniform_f64(index, 0) as f32 - 0.5).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Times every operation of a network of these `shapes` whose name contains `wanted`, calling `done` after each.
pub fn kernels(
    device: &Device,
    shapes: &Shapes,
    wanted: &str,
    runs: usize,
    roofline: &Roofline,
    done: &mut dyn FnMut(&KernelTiming),
) -> Vec<KernelTiming> {
    let &Shapes { batch, seq, hidden, inner, heads, vocab, embedding: width, masked } = shapes;
    let plain = device.clone().inner();
    let device = device.clone().autodiff();
    let (tokens, all_masked) = (batch * seq, batch * masked);
    let leaf = |seed, shape: [usize; 2]| random(seed, shape, &device).require_grad();
    let vector = |seed, length| random(seed, [length], &device).require_grad();
    let ids = |rows: usize, columns: usize, limit: usize| {
        let ids: Vec<i32> = (0..rows * columns).map(|index| (index * 7919 % limit) as i32).collect();
        Tensor::<2, Int>::from_data(TensorData::new(ids, [rows, columns]), &device)
    };
    let examples: Vec<u32> = (0..batch as u32).collect();
    let site = Dropout { probability: 0.1, key: NoiseKey::new(1), examples: &examples };
    let mask = Tensor::<2>::ones([batch, seq], &device);
    let mut found = Vec::new();
    // Multiplications and additions, and bytes, of forward and backward pass together.
    let mut time = |name: &'static str, flops: usize, values: usize, body: &dyn Fn() -> Tensor<1>| {
        if !name.contains(wanted) {
            return;
        }
        let both = |only_reference: bool| {
            with_reference_only(only_reference, || {
                let forward = least(&device, runs, || drop(body()));
                let whole = least(&device, runs, || drop(body().backward()));
                [forward, (whole - forward).max(0.0)]
            })
        };
        let ([forward, backward], [reference_forward, reference_backward]) = (both(false), both(true));
        let best = (flops as f64 / roofline.flops_per_second).max(4.0 * values as f64 / roofline.bytes_per_second);
        let timing = KernelTiming {
            name,
            forward_seconds: forward,
            backward_seconds: backward,
            reference_forward_seconds: reference_forward,
            reference_backward_seconds: reference_backward,
            speedup: (reference_forward + reference_backward) / (forward + backward),
            share_of_roofline: best / (forward + backward),
        };
        done(&timing);
        found.push(timing);
    };
    // What stands behind an operation in the graph: gradients begin from its values' sum.
    let end = |result: Tensor<2>| {
        let elements = result.dims().iter().product::<usize>();
        result.reshape([elements]).slice(0..1)
    };

    let x = leaf(1, [tokens, hidden]);
    let (square, square_bias) = (leaf(2, [hidden, hidden]), vector(3, hidden));
    let (up, up_bias, down) = (leaf(4, [inner, hidden]), vector(5, inner), leaf(6, [hidden, inner]));
    let z = leaf(7, [tokens, inner]);
    time("linear, hidden to hidden", 6 * tokens * hidden * hidden, 7 * tokens * hidden, &|| {
        end(linear(x.clone(), square.clone(), square_bias.clone()))
    });
    time("linear, feed-forward to hidden", 6 * tokens * hidden * inner, 4 * tokens * (hidden + inner), &|| {
        end(linear(z.clone(), down.clone(), square_bias.clone()))
    });
    time("gelu_linear, hidden to feed-forward", 6 * tokens * hidden * inner, 8 * tokens * inner, &|| {
        end(linear_gelu(x.clone(), up.clone(), up_bias.clone()))
    });
    let branch = leaf(8, [tokens, hidden]);
    let (gamma, beta) = (vector(9, hidden), vector(10, hidden));
    time("add_layer_norm", 0, 9 * tokens * hidden, &|| {
        end(add_layer_norm(x.clone(), branch.clone(), Some(&site), gamma.clone(), beta.clone(), 1e-12))
    });
    time("dropout", 0, 4 * tokens * hidden, &|| end(dropout(x.clone(), Some(&site))));
    let (keys, values) = (leaf(11, [tokens, hidden]), leaf(12, [tokens, hidden]));
    // A causal one needs half of the scores.
    let (all, causal) = (Visibility::all(mask.clone()), Visibility::backwards(&mask));
    for (name, visibility, of_score) in [("attention", &all, 14), ("attention, causal", &causal, 7)] {
        time(name, of_score * tokens * seq * hidden, 12 * tokens * hidden, &|| {
            end(attention(x.clone(), keys.clone(), values.clone(), visibility, heads, Some(&site)))
        });
    }
    let (table, positions, types) = (leaf(13, [vocab, width]), leaf(14, [seq, width]), leaf(15, [2, width]));
    let (token_ids, type_ids) = (ids(batch, seq, vocab), ids(batch, seq, 2));
    time("embeddings", 0, 6 * tokens * width + vocab * width, &|| {
        end(embeddings(table.clone(), positions.clone(), types.clone(), &token_ids, &type_ids))
    });
    let chosen = ids(batch, masked, seq);
    time("gather_positions", 0, 3 * all_masked * hidden + tokens * hidden, &|| {
        end(gather_positions(x.clone(), &chosen, seq))
    });
    let (rows, bias, targets) =
        (leaf(16, [all_masked, width]), vector(17, vocab), ids(1, all_masked, vocab).reshape([all_masked]));
    let weights = Tensor::<1>::ones([all_masked], &device);
    let sampling = Sampling { temperature: 1.0, disallow_correct: false, key: NoiseKey::new(2), examples: &examples };
    time("mlm_loss, with samples", 6 * all_masked * width * vocab, 5 * all_masked * vocab, &|| {
        let (rows, table, bias) = (rows.clone(), table.clone(), bias.clone());
        mlm_loss(rows, table, bias, targets.clone(), weights.clone(), all_masked as f64, Some(&sampling)).loss
    });
    time("token_log_probabilities", 8 * all_masked * width * vocab, 8 * all_masked * vocab, &|| {
        token_log_probabilities(rows.clone(), table.clone(), bias.clone(), targets.clone()).slice(0..1)
    });
    let (logits, labels) = (leaf(18, [batch, seq]), Tensor::<2>::zeros([batch, seq], &device));
    time("rtd_loss", 0, 6 * tokens, &|| rtd_loss(logits.clone(), labels.clone(), mask.clone(), tokens as f64));
    if "adam".contains(wanted) {
        let timing = adam_timing(&plain, vocab * width, runs, roofline);
        done(&timing);
        found.push(timing);
    }
    found
}

/// One update of `length` values, norm included; there is no backward pass.
fn adam_timing(device: &Device, length: usize, runs: usize, roofline: &Roofline) -> KernelTiming {
    let update = adam::DeviceUpdate {
        learning_rate: 1e-4,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-6,
        clip_norm: 1.0,
        bias_correction: false,
    };
    let separate = adam::AdamUpdate {
        learning_rate: 1e-4,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-6,
        weight_decay: 0.01,
        gradient_scale: 0.5,
        bias_corrections: [1.0, 1.0],
    };
    let (parameter, gradient) = (random(19, [length], device), random(20, [length], device));
    let zeros = Tensor::<1>::zeros([length], device);
    let one_by_one = || {
        let mut tensors = Some(adam::AdamTensors { parameter: parameter.clone(), m: zeros.clone(), v: zeros.clone() });
        least(device, runs, || {
            // A device that fails shows in the times that follow.
            let _ = adam::sum_of_squares(std::slice::from_ref(&gradient));
            let state = tensors.take().expect("put back each time");
            tensors = Some(adam::adam_update(state, gradient.clone(), &separate));
        })
    };
    let arenas = adam::DeviceAdam::new(
        std::slice::from_ref(&parameter),
        std::slice::from_ref(&zeros),
        std::slice::from_ref(&zeros),
        0,
        None,
    );
    let seconds = match arenas {
        Some(mut arenas) => {
            let loss = Tensor::zeros([1], device);
            let rules = [adam::ParameterRule { factor: 1.0, weight_decay: 0.01 }];
            least(device, runs, || {
                arenas.add_gradients(&[Some(gradient.clone())]);
                arenas.update(&loss, &rules, &update);
            })
        }
        None => one_by_one(),
    };
    let reference = with_reference_only(true, one_by_one);
    KernelTiming {
        name: "adam",
        forward_seconds: seconds,
        backward_seconds: 0.0,
        reference_forward_seconds: reference,
        reference_backward_seconds: 0.0,
        speedup: reference / seconds,
        // Reads the gradient twice, and reads and writes three arrays.
        share_of_roofline: 4.0 * 8.0 * length as f64 / roofline.bytes_per_second / seconds,
    }
}
