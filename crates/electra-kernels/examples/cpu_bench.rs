//! Times each operation on the CPU backend, forward and backward, fused and as its reference body of primitives.
//!
//! `cargo run --release -p electra-kernels --example cpu_bench [NAME]`: least milliseconds, at the shapes of the
//! `tiny` and the `small` recipe; with NAME only the operations whose name contains it.

use std::time::Instant;

use burn::tensor::{Device, Int, Tensor, TensorData};
use electra_kernels::{
    Dropout, Sampling, add_layer_norm, attention, dropout, electra_loss, embedding, gelu, gelu_linear, layer_norm,
    linear, mlm_loss, noise::NoiseKey, rtd_loss,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Shapes {
    name: &'static str,
    batch: usize,
    seq: usize,
    hidden: usize,
    inner: usize,
    heads: usize,
    vocab: usize,
    embedding: usize,
    masked: usize,
}

const TINY: Shapes = Shapes {
    name: "tiny",
    batch: 32,
    seq: 128,
    hidden: 128,
    inner: 512,
    heads: 2,
    vocab: 8192,
    embedding: 128,
    masked: 608,
};
const SMALL: Shapes = Shapes {
    name: "small",
    batch: 8,
    seq: 128,
    hidden: 256,
    inner: 1024,
    heads: 4,
    vocab: 30522,
    embedding: 128,
    masked: 152,
};

fn random<const D: usize>(seed: u64, shape: [usize; D]) -> Tensor<D> {
    let key = NoiseKey::new(seed);
    let length = shape.iter().product::<usize>() as u64;
    let values: Vec<f32> = (0..length).map(|index| key.uniform_f64(index, 0) as f32 - 0.5).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex().autodiff())
}

fn ids(count: usize, limit: usize) -> Tensor<1, Int> {
    let ids: Vec<i32> = (0..count).map(|index| (index * 7919 % limit) as i32).collect();
    Tensor::from_data(TensorData::new(ids, [count]), &Device::flex().autodiff())
}

/// Least milliseconds (a shared machine disturbs upwards only) of the forward and of the backward pass, which begins at the result's own gradient.
fn time<const D: usize>(body: impl Fn() -> Tensor<D>) -> [f64; 2] {
    let mut times = [vec![], vec![]];
    for _ in 0..15 {
        let start = Instant::now();
        let result = body();
        times[0].push(start.elapsed().as_secs_f64() * 1e3);
        let start = Instant::now();
        drop(result.backward());
        times[1].push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[0]
    })
}

fn compare<const D: usize>(name: &str, fused: impl Fn() -> Tensor<D>, reference: impl Fn() -> Tensor<D>) {
    if std::env::args().nth(1).is_some_and(|wanted| !name.contains(&wanted)) {
        return;
    }
    let (fused, reference) = (time(fused), time(reference));
    let ratio = (reference[0] + reference[1]) / (fused[0] + fused[1]);
    println!(
        "{name:<24} fused {:7.2} + {:7.2}   reference {:7.2} + {:7.2}   {ratio:.1} x",
        fused[0], fused[1], reference[0], reference[1]
    );
}

fn main() {
    for shapes in [TINY, SMALL] {
        let Shapes { name, batch, seq, hidden, inner, heads, vocab, embedding: width, masked } = shapes;
        let tokens = batch * seq;
        let leaf = |seed, shape: [usize; 2]| random(seed, shape).require_grad();
        let vector = |seed, length| random(seed, [length]).require_grad();
        let examples: Vec<u32> = (0..batch as u32).collect();
        let site = Dropout { probability: 0.1, key: NoiseKey::new(1), examples: &examples };
        let named = |operation: &str| format!("{name} {operation}");

        let x = leaf(1, [tokens, hidden]);
        let (square, square_bias) = (leaf(2, [hidden, hidden]), vector(3, hidden));
        let (up, up_bias, down) = (leaf(4, [inner, hidden]), vector(5, inner), leaf(6, [hidden, inner]));
        let z = leaf(7, [tokens, inner]);
        let dense = |f: fn(Tensor<2>, Tensor<2>, Tensor<1>) -> Tensor<2>,
                     x: &Tensor<2>,
                     w: &Tensor<2>,
                     b: &Tensor<1>| { f(x.clone(), w.clone(), b.clone()) };
        compare(
            &named("linear h->h"),
            || dense(linear, &x, &square, &square_bias),
            || dense(linear::reference, &x, &square, &square_bias),
        );
        compare(
            &named("linear ffn->h"),
            || dense(linear, &z, &down, &square_bias),
            || dense(linear::reference, &z, &down, &square_bias),
        );
        compare(
            &named("gelu_linear h->ffn"),
            || dense(gelu_linear, &x, &up, &up_bias),
            || dense(gelu::reference, &x, &up, &up_bias),
        );

        let branch = leaf(8, [tokens, hidden]);
        let (gamma, beta) = (vector(9, hidden), vector(10, hidden));
        compare(
            &named("add_layer_norm"),
            || add_layer_norm(x.clone(), branch.clone(), Some(&site), gamma.clone(), beta.clone(), 1e-12),
            || {
                let z = x.clone() + dropout::reference(branch.clone(), &site);
                layer_norm::reference(z, gamma.clone(), beta.clone(), 1e-12)
            },
        );
        compare(&named("dropout"), || dropout(x.clone(), Some(&site)), || dropout::reference(x.clone(), &site));

        let (keys, values) = (leaf(11, [tokens, hidden]), leaf(12, [tokens, hidden]));
        let mask = Tensor::<2>::ones([batch, seq], &Device::flex().autodiff());
        compare(
            &named("attention"),
            || attention(x.clone(), keys.clone(), values.clone(), &mask, heads, Some(&site)),
            || attention::reference(x.clone(), keys.clone(), values.clone(), &mask, heads, Some(&site)),
        );

        let table = leaf(13, [vocab, width]);
        let token_ids = ids(tokens, vocab);
        compare(
            &named("embedding"),
            || embedding(table.clone(), token_ids.clone()),
            || embedding::reference(table.clone(), token_ids.clone()),
        );

        let (rows, bias, targets) = (leaf(14, [masked, width]), vector(15, vocab), ids(masked, vocab));
        let weights = Tensor::<1>::ones([masked], &Device::flex().autodiff());
        let sampling =
            Sampling { temperature: 1.0, disallow_correct: false, key: NoiseKey::new(2), examples: &examples };
        let loss = |f: fn(_, _, _, _, _, f64, Option<&Sampling<'_>>) -> electra_loss::MlmOutput| {
            let (rows, table, bias) = (rows.clone(), table.clone(), bias.clone());
            f(rows, table, bias, targets.clone(), weights.clone(), masked as f64, Some(&sampling)).loss
        };
        compare(&named("mlm_loss"), || loss(mlm_loss), || loss(electra_loss::reference));

        let (logits, labels) = (leaf(16, [batch, seq]), Tensor::zeros([batch, seq], &Device::flex().autodiff()));
        let labels: Tensor<2> = labels;
        compare(
            &named("rtd_loss"),
            || rtd_loss(logits.clone(), labels.clone(), mask.clone(), tokens as f64),
            || electra_loss::rtd_reference(logits.clone(), labels.clone(), mask.clone(), tokens as f64),
        );
    }
}
