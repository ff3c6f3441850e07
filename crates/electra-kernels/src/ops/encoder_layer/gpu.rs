//! A whole encoder layer as one operation on graphics adapters.
//!
//! As one node of the graph a layer decides itself what to keep and where gradients go: GELU's and the first layer
//! normalization's results are made again in the backward pass rather than kept (11 of 16 matrices of `[tokens, hidden]`
//! remain), gradients that meet are added by the products that make them, and GELU's slope is applied on the way. With
//! `recompute` only the layer's input is kept.

use burn_wgpu::CubeTensor;

use crate::autodiff::fused;
use crate::gpu::{
    Noise, Operand, empty, matrix,
    product::{Epilogue, Mode, product},
    rows, stacked, view,
};
use crate::ops::attention::gpu::{self as attention, Pattern, Shape};
use crate::ops::layer_norm::gpu::{self as layer_norm, Normalized};
use crate::ops::linear::gpu::{self as linear, parameter_gradients};
use crate::ops::linear_gelu::gpu as gelu;

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
    pub(crate) pattern: Pattern,
    pub(crate) heads: usize,
    pub(crate) epsilon: f32,
    pub(crate) recompute: bool,
    /// Of the attention's probabilities, of its output, of the feed-forward's output.
    pub(crate) noise: [Option<Noise>; 3],
}

/// What the backward pass needs beside input and parameters.
#[derive(Debug, Clone)]
pub(super) struct Kept {
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
    Shape::new(&settings.pattern, hidden, settings.heads, qkv.len(), settings.noise[0].clone())
}

pub(super) fn forward(x: &CubeTensor, p: &[CubeTensor], settings: &Settings) -> (CubeTensor, Kept) {
    let [tokens, hidden] = matrix(x);
    let qkv = match joined(p) {
        Some([weight, bias]) => vec![linear::forward(x, &weight, &bias)],
        None => [QUERY, KEY, VALUE].map(|at| dense(x, p, at)).into(),
    };
    let (attended, attention_rows) = attention::forward(&shape_of(settings, hidden, &qkv), &qkv);
    let branch = dense(&attended, p, OUTPUT);
    let [_, first_noise, second_noise] = &settings.noise;
    let first = layer_norm::forward(x, Some(&branch), first_noise.as_ref(), pair(p, FIRST_NORM), settings.epsilon);
    drop(branch);
    let inner = empty(x, [tokens, matrix(&p[UP])[0]]);
    let expanded = gelu::forward_gelu(&first.y, &p[UP], &p[UP + 1], Some(&inner));
    let branch = dense(&expanded, p, DOWN);
    drop(expanded);
    let norm = pair(p, SECOND_NORM);
    let second = layer_norm::forward(&first.y, Some(&branch), second_noise.as_ref(), norm, settings.epsilon);
    let Normalized { y, z, stats } = second;
    let (first, second) = ([first.z, first.stats], [z, stats]);
    (y, Kept { qkv, attended, attention_rows, first, second, inner })
}

/// Gradients of `x` and of the parameters, in their order.
pub(super) fn backward(
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
