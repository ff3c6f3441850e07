//! A whole encoder layer as one operation on graphics adapters.
//!
//! As one node of the graph a layer decides itself what to keep and where gradients go: GELU's and the first layer
//! normalization's results are made again in the backward pass rather than kept (11 of 16 matrices of `[tokens, hidden]`
//! remain), gradients that meet are added by the products that make them, and GELU's slope is applied on the way. With
//! `recompute` only the layer's input is kept.

use burn_wgpu::CubeTensor;

use super::{
    Noise, Operand,
    attention::{self, Shape},
    empty, gelu,
    layer_norm::{self, Normalized},
    linear::{self, parameter_gradients},
    matrix,
    product::{Epilogue, Mode, product},
    rows, stacked, view,
};
use crate::graph::fused;

/// A dense layer's or a layer normalization's two parameters, in the order of the operands behind `x`.
const QUERY: usize = 0;
const KEY: usize = 2;
const VALUE: usize = 4;
const OUTPUT: usize = 6;
const FIRST_NORM: usize = 8;
const UP: usize = 10;
const DOWN: usize = 12;
const SECOND_NORM: usize = 14;
pub(crate) const PARAMETERS: usize = 16;

/// Everything that is no tensor with a gradient.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) mask: CubeTensor,
    pub(crate) heads: usize,
    pub(crate) epsilon: f32,
    pub(crate) recompute: bool,
    /// Of the attention's probabilities, of its output, of the feed-forward's output.
    pub(crate) noise: [Option<Noise>; 3],
}

/// What the backward pass needs beside input and parameters.
#[derive(Debug, Clone)]
struct Kept {
    /// Queries, keys and values: three arrays, or one with all three side by side.
    qkv: Vec<CubeTensor>,
    attended: CubeTensor,
    attention_rows: CubeTensor,
    /// What the layer normalizations normalized, and their rows' statistics.
    first: [CubeTensor; 2],
    second: [CubeTensor; 2],
    /// Before GELU.
    inner: CubeTensor,
}

fn dense(x: &CubeTensor, parameters: &[CubeTensor], at: usize) -> CubeTensor {
    linear::forward(x, &parameters[at], &parameters[at + 1])
}

fn pair(parameters: &[CubeTensor], at: usize) -> [&CubeTensor; 2] {
    [&parameters[at], &parameters[at + 1]]
}

/// Weight `[3 * hidden, hidden]` and bias `[3 * hidden]` of query, key and value as one dense layer, where they lie one after
/// another in memory: in the optimizer's arenas.
fn joined(p: &[CubeTensor]) -> Option<[CubeTensor; 2]> {
    let stacked = |at: usize| stacked([QUERY, KEY, VALUE].map(|part| &p[part + at]));
    Some([stacked(0)?, stacked(1)?])
}

fn shape_of(settings: &Settings, hidden: usize, qkv: &[CubeTensor]) -> Shape {
    Shape::new(matrix(&settings.mask), hidden, settings.heads, qkv.len(), settings.noise[0].clone())
}

fn forward(x: &CubeTensor, p: &[CubeTensor], settings: &Settings) -> (CubeTensor, Kept) {
    let [tokens, hidden] = matrix(x);
    let qkv = match joined(p) {
        Some([weight, bias]) => vec![linear::forward(x, &weight, &bias)],
        None => [QUERY, KEY, VALUE].map(|at| dense(x, p, at)).into(),
    };
    let (attended, attention_rows) = attention::forward(&shape_of(settings, hidden, &qkv), &qkv, &settings.mask);
    let branch = dense(&attended, p, OUTPUT);
    let [_, first_noise, second_noise] = &settings.noise;
    let first = layer_norm::forward(x, Some(&branch), first_noise.as_ref(), pair(p, FIRST_NORM), settings.epsilon);
    drop(branch);
    let inner = empty(x, [tokens, matrix(&p[UP])[0]]);
    let expanded = linear::forward_gelu(&first.y, &p[UP], &p[UP + 1], Some(&inner));
    let branch = dense(&expanded, p, DOWN);
    drop(expanded);
    let norm = pair(p, SECOND_NORM);
    let second = layer_norm::forward(&first.y, Some(&branch), second_noise.as_ref(), norm, settings.epsilon);
    let Normalized { y, z, stats } = second;
    let (first, second) = ([first.z, first.stats], [z, stats]);
    (y, Kept { qkv, attended, attention_rows, first, second, inner })
}

/// Gradients of `x` and of the parameters, in their order.
fn backward(
    x: &CubeTensor,
    p: &[CubeTensor],
    settings: &Settings,
    kept: Kept,
    gradient: &CubeTensor,
) -> Vec<CubeTensor> {
    let [_, hidden] = matrix(x);
    let [_, first_noise, second_noise] = &settings.noise;
    let Kept { qkv, attended, attention_rows, first: [first, first_stats], second: [second, second_stats], inner } =
        kept;
    let onto = |sum: CubeTensor, gradient: &CubeTensor, weight: &CubeTensor| {
        let epilogue = Epilogue { into: Some(sum), accumulate: true, ..Epilogue::default() };
        product(Mode::Plain, gradient, weight, epilogue)
    };

    let gamma = &p[SECOND_NORM];
    let [of_first_y, of_branch] = layer_norm::backward(gradient, &second, &second_stats, gamma, second_noise.as_ref());
    let second_norm = layer_norm::backward_parameters(gradient, &second, &second_stats);
    let down = parameter_gradients(&gelu::apply(&inner), &of_branch);
    let of_inner = product(Mode::Plain, &of_branch, &p[DOWN], Epilogue { slope: Some(&inner), ..Epilogue::default() });
    drop((of_branch, inner, second));
    let first_y = layer_norm::forward(&first, None, None, pair(p, FIRST_NORM), settings.epsilon).y;
    let up = parameter_gradients(&first_y, &of_inner);
    drop(first_y);
    let of_first_y = onto(of_first_y, &of_inner, &p[UP]);
    drop(of_inner);

    let gamma = &p[FIRST_NORM];
    let [of_x, of_branch] = layer_norm::backward(&of_first_y, &first, &first_stats, gamma, first_noise.as_ref());
    let first_norm = layer_norm::backward_parameters(&of_first_y, &first, &first_stats);
    drop((of_first_y, first));
    let output = parameter_gradients(&attended, &of_branch);
    let of_attended = product(Mode::Plain, &of_branch, &p[OUTPUT], Epilogue::default());
    drop(of_branch);
    let shape = shape_of(settings, hidden, &qkv);
    let of_qkv = attention::backward(&shape, &qkv, [&attended, &attention_rows], &of_attended);
    // Where nothing was dropped the branch's gradient is the sum's own array; nobody reads it any more.
    let (projections, of_x) = match joined(p) {
        Some([weight, _]) => {
            let [of_weight, of_bias] = parameter_gradients(x, &of_qkv[0]);
            let part = |i: usize| {
                [rows(&of_weight, i * hidden, hidden), view(&of_bias, i * hidden, (2 - i) * hidden, [hidden])]
            };
            ([0, 1, 2].map(part), onto(of_x, &of_qkv[0], &weight))
        }
        None => {
            let projections = std::array::from_fn(|i| parameter_gradients(x, &of_qkv[i]));
            let of_x = of_qkv.iter().zip([QUERY, KEY, VALUE]).fold(of_x, |sum, (of, at)| onto(sum, of, &p[at]));
            (projections, of_x)
        }
    };

    let mut gradients = vec![of_x];
    gradients.extend(projections.into_iter().chain([output, first_norm, up, down, second_norm]).flatten());
    gradients
}

/// `operands`: `x` `[tokens, hidden]` and the 16 parameters: weight and bias of query, key, value and attention output,
/// gamma and beta, weight and bias of the feed-forward's two layers, gamma and beta.
pub(crate) fn encoder_layer(operands: [Operand; 1 + PARAMETERS], settings: Settings) -> Operand {
    let body = move |operands: [CubeTensor; 1 + PARAMETERS], tracked: bool| {
        let [x, parameters @ ..] = &operands;
        let (y, kept) = forward(x, parameters, &settings);
        let kept = (tracked && !settings.recompute).then_some(kept);
        (y, (operands, settings, kept), ())
    };
    fused(operands, body, |(operands, settings, kept), gradient, wanted| {
        let [x, parameters @ ..] = &operands;
        let kept = kept.unwrap_or_else(|| forward(x, parameters, &settings).1);
        let mut gradients = backward(x, parameters, &settings, kept, &gradient).into_iter();
        wanted.map(|wanted| gradients.next().filter(|_| wanted))
    })
    .0
}

#[cfg(all(test, not(target_family = "wasm")))]
mod tests {
    use burn::tensor::{DType, Tensor, TensorData};

    use super::*;
    use crate::gpu::testing::{
        Operands, assert_canaries, assert_matches, device, download, error, operands, random, run, upload,
    };
    use crate::{Dropout, EncoderLayer, LayerSettings, launches, noise::NoiseKey};

    const BATCH: usize = 2;

    fn layer(operands: Vec<Tensor<2>>) -> (Tensor<2>, EncoderLayer) {
        let mut operands = operands.into_iter();
        let mut next = || operands.next().expect("seventeen operands");
        let flat = |x: Tensor<2>| {
            let [_, length] = x.dims();
            x.reshape([length])
        };
        let x = next();
        let mut dense = || (next(), flat(next()));
        let (query, key, value, attention_output) = (dense(), dense(), dense(), dense());
        let mut norm = || (flat(next()), flat(next()));
        let attention_layer_norm = norm();
        let mut dense = || (next(), flat(next()));
        let (intermediate, output) = (dense(), dense());
        let output_layer_norm = (flat(next()), flat(next()));
        let layer = EncoderLayer {
            query,
            key,
            value,
            attention_output,
            attention_layer_norm,
            intermediate,
            output,
            output_layer_norm,
        };
        (x, layer)
    }

    fn operands_of(seq: usize, hidden: usize, inner: usize) -> Operands {
        let (square, vector) = ([hidden, hidden], [1, hidden]);
        let mut shapes = vec![[BATCH * seq, hidden]];
        shapes.extend([square, vector].repeat(4));
        shapes.extend([vector; 2]);
        shapes.extend([[inner, hidden], [1, inner], [hidden, inner], vector, vector, vector]);
        operands(&shapes)
    }

    /// Sites of dropout with one probability, each with a key of its own.
    fn sites(probability: f64) -> [Option<Dropout<'static>>; 3] {
        [1, 2, 3].map(|site| Some(Dropout { probability, key: NoiseKey::new(8).child(site), examples: &[4, 9] }))
    }

    fn body(
        run: impl Fn(Tensor<2>, &Tensor<2>, &EncoderLayer, &LayerSettings<'_>) -> Tensor<2>,
        seq: usize,
        heads: usize,
        probability: f64,
        recompute: bool,
    ) -> impl Fn(Vec<Tensor<2>>) -> Tensor<2> {
        move |operands| {
            let (x, layer) = layer(operands);
            let mask: Vec<f32> = (0..BATCH * seq).map(|i| if i + 2 < seq || i >= seq { 1.0 } else { 0.0 }).collect();
            let mask = Tensor::<2>::from_data(TensorData::new(mask, [BATCH, seq]), &x.device()).cast(x.dtype());
            let settings = LayerSettings { heads, epsilon: 1e-12, recompute, dropout: sites(probability) };
            run(x, &mask, &layer, &settings)
        }
    }

    /// The layer's operations in primitives, so that they run in f64.
    fn reference(x: Tensor<2>, mask: &Tensor<2>, layer: &EncoderLayer, settings: &LayerSettings<'_>) -> Tensor<2> {
        // f64 is no kernel's: every operation falls back to its reference body.
        crate::encoder_layer::composed(x, mask, layer, settings)
    }

    #[test]
    fn a_layer_is_its_operations_one_after_another() {
        for (seq, heads, head_dim, inner) in [(1, 1, 4, 3), (5, 2, 3, 7), (17, 2, 8, 37), (40, 4, 16, 128)] {
            for probability in [0.0, 0.2] {
                let operands = operands_of(seq, heads * head_dim, inner);
                let kernel = body(crate::encoder_layer, seq, heads, probability, false);
                let oracle = body(reference, seq, heads, probability, false);
                let what = format!("layer {seq}, {heads} heads of {head_dim}, {inner}, dropout {probability}");
                assert_matches(&what, &operands, 3e-5, &kernel, &oracle);
            }
        }
    }

    #[test]
    fn projections_that_lie_together_are_one_product() {
        let Some(device) = device() else { return };
        let (seq, hidden, inner, heads) = (21, 64, 37, 4);
        let mut operands = operands_of(seq, hidden, inner).into_iter();
        let mut next = || operands.next().unwrap();
        let on = |(values, shape): (Vec<f64>, [usize; 2])| {
            let array = upload(&device, &values, shape);
            if shape[0] == 1 { view(&array, 0, 0, [shape[1]]) } else { array }
        };
        let x = on(next());
        // Query, key and value come first, weights and biases in turns.
        let projections: Vec<_> = (0..6).map(|_| next()).collect();
        let rest: Vec<CubeTensor> = std::iter::from_fn(|| operands.next()).map(on).collect();
        let gradient = upload(&device, &random(77, BATCH * seq * hidden), [BATCH * seq, hidden]);
        let settings = Settings {
            mask: upload(&device, &vec![1.0; BATCH * seq], [BATCH, seq]),
            heads,
            epsilon: 1e-12,
            recompute: false,
            noise: sites(0.2).map(|site| Noise::new(site.as_ref())),
        };
        let run = |projections: Vec<CubeTensor>| {
            let p = [projections, rest.clone()].concat();
            let (results, launched) = launches::record(|| {
                let (y, kept) = forward(&x, &p, &settings);
                let mut results = backward(&x, &p, &settings, kept, &gradient);
                results.push(y);
                results
            });
            let products = launched.iter().filter(|name| name.contains("product")).count();
            (results.into_iter().map(download).collect::<Vec<_>>(), products)
        };
        let (apart, products_apart) = run(projections.iter().cloned().map(on).collect());
        let joined = |at: usize| {
            let values = [0, 2, 4].iter().flat_map(|part| projections[part + at].0.clone()).collect::<Vec<_>>();
            let rows = values.len() / hidden;
            (upload(&device, &values, [rows, hidden]), rows / 3)
        };
        let ((weights, count), (biases, _)) = (joined(0), joined(1));
        let part = |i: usize| [rows(&weights, i * count, count), view(&biases, i * hidden, (2 - i) * hidden, [hidden])];
        let (together, products_together) = run([0, 1, 2].into_iter().flat_map(part).collect());
        // Each three: forward, the parameters' gradients, the input's gradient.
        assert_eq!(products_together + 6, products_apart);
        for (i, (found, expected)) in together.iter().zip(&apart).enumerate() {
            let error = error(found, expected);
            assert!(error < 3e-6, "result {i}: {error}");
        }
        assert_canaries("one projection");
    }

    #[test]
    fn recomputing_changes_no_bit() {
        let Some(device) = device() else { return };
        let operands = operands_of(17, 16, 37);
        let kept = run(&device, DType::F32, &operands, &body(crate::encoder_layer, 17, 2, 0.2, false));
        let again = run(&device, DType::F32, &operands, &body(crate::encoder_layer, 17, 2, 0.2, true));
        assert!(kept == again);
        assert_canaries("recompute");
    }
}
