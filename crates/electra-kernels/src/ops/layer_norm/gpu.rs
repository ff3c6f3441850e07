//! Layer normalization on graphics adapters, with the residual connection and its dropout.

use burn_wgpu::CubeTensor;

use crate::autodiff::fused;
use crate::gpu::{
    Noise, Operand, SOFTWARE_TURNS, empty, is_software,
    launch::Launch,
    matrix,
    product::sum_parts,
    shader::{Shader, shader},
};

static FORWARD: Shader = shader!("layer_norm", "layer_norm_fwd");
static BACKWARD: Shader = shader!("layer_norm", "layer_norm_bwd");
static BACKWARD_PARAMETERS: Shader = shader!("layer_norm", "layer_norm_bwd_parameters");

/// Rows whose share of gamma's gradient one invocation sums on a card.
const PART: usize = 64;

/// Invocations that share a row.
fn workgroup(like: &CubeTensor) -> u32 {
    if is_software(like) { 8 } else { 64 }
}

/// What the forward pass leaves.
pub(crate) struct Normalized {
    pub(crate) y: CubeTensor,
    /// What was normalized: `x`, or its sum with the branch.
    pub(crate) z: CubeTensor,
    /// `[rows, 2]`: mean and 1 / standard deviation.
    pub(crate) stats: CubeTensor,
}

/// `x`, and the branch to add to it: `[rows, hidden]`.
pub(crate) fn forward(
    x: &CubeTensor,
    branch: Option<&CubeTensor>,
    noise: Option<&Noise>,
    [gamma, beta]: [&CubeTensor; 2],
    epsilon: f32,
) -> Normalized {
    let [rows, hidden] = matrix(x);
    let (y, stats) = (empty(x, [rows, hidden]), empty(x, [rows, 2]));
    let z = if branch.is_some() { empty(x, [rows, hidden]) } else { x.clone() };
    let launch = Launch::new(&FORWARD)
        .define("VECTOR", hidden.is_multiple_of(4))
        .buffer(x)
        .buffer(gamma)
        .buffer(beta)
        .buffer(&y)
        .buffer(&stats);
    let launch = launch.optional("BRANCH", branch);
    let launch = if branch.is_some() { launch.buffer(&z) } else { launch };
    with_noise(launch.size(hidden).float(epsilon), noise, rows).run(workgroup(x), rows);
    Normalized { y, z, stats }
}

/// The words of the table behind `hidden` and another: rows of an example, the key, the examples.
fn with_noise<'a>(launch: Launch<'a>, noise: Option<&Noise>, rows: usize) -> Launch<'a> {
    let launch = launch.define("DROPOUT", noise.is_some());
    match noise {
        Some(noise) => launch.size(rows / noise.examples.len()).words(&noise.words).words(&noise.examples),
        None => launch,
    }
}

/// Gradients of what was normalized and of the branch; the same array where nothing was dropped.
pub(crate) fn backward(
    gradient: &CubeTensor,
    z: &CubeTensor,
    stats: &CubeTensor,
    gamma: &CubeTensor,
    noise: Option<&Noise>,
) -> [CubeTensor; 2] {
    let [rows, hidden] = matrix(z);
    let of_z = empty(z, [rows, hidden]);
    let of_branch = noise.map(|_| empty(z, [rows, hidden]));
    let launch = Launch::new(&BACKWARD)
        .define("VECTOR", hidden.is_multiple_of(4))
        .buffer(gradient)
        .buffer(z)
        .buffer(gamma)
        .buffer(stats)
        .buffer(&of_z);
    let launch = of_branch.iter().fold(launch, |launch, of_branch| launch.buffer(of_branch));
    with_noise(launch.size(hidden).word(0), noise, rows).run(workgroup(z), rows);
    let of_branch = of_branch.unwrap_or_else(|| of_z.clone());
    [of_z, of_branch]
}

/// Gradients of gamma and beta.
pub(crate) fn backward_parameters(gradient: &CubeTensor, z: &CubeTensor, stats: &CubeTensor) -> [CubeTensor; 2] {
    let [rows, hidden] = matrix(z);
    let (of_gamma, of_beta) = (empty(z, [hidden]), empty(z, [hidden]));
    let software = is_software(z);
    let parts = rows.div_ceil(if software { SOFTWARE_TURNS } else { PART });
    let split = (parts > 1).then(|| empty(z, [parts, 2 * hidden]));
    let launch = Launch::new(&BACKWARD_PARAMETERS).buffer(gradient).buffer(z).buffer(stats);
    let launch = match &split {
        Some(split) => launch.buffer(split),
        None => launch.buffer(&of_gamma).buffer(&of_beta),
    };
    let workgroup = if software { 8 } else { 64 };
    let blocks = hidden.div_ceil(workgroup);
    launch
        .define("SPLIT", split.is_some())
        .size(rows)
        .size(hidden)
        .size(blocks)
        .size(rows.div_ceil(parts))
        .run(workgroup as u32, blocks * parts);
    if let Some(split) = &split {
        sum_parts(split, &of_gamma, Some(&of_beta), parts, false);
    }
    [of_gamma, of_beta]
}

pub(crate) fn layer_norm(x: Operand, gamma: Operand, beta: Operand, epsilon: f64) -> Operand {
    let body = |[x, gamma, beta]: [CubeTensor; 3], _| {
        let Normalized { y, z, stats } = forward(&x, None, None, [&gamma, &beta], epsilon as f32);
        (y, [z, stats, gamma], ())
    };
    fused([x, gamma, beta], body, |[z, stats, gamma], gradient, wanted| {
        let of_x = wanted[0].then(|| backward(&gradient, &z, &stats, &gamma, None)).map(|[of_z, _]| of_z);
        let [of_gamma, of_beta] = parameters_if([wanted[1], wanted[2]], &gradient, &z, &stats);
        [of_x, of_gamma, of_beta]
    })
    .0
}

pub(crate) fn add_layer_norm(
    x: Operand,
    branch: Operand,
    noise: Option<Noise>,
    gamma: Operand,
    beta: Operand,
    epsilon: f64,
) -> Operand {
    let body = |[x, branch, gamma, beta]: [CubeTensor; 4], _| {
        let Normalized { y, z, stats } = forward(&x, Some(&branch), noise.as_ref(), [&gamma, &beta], epsilon as f32);
        (y, ([z, stats, gamma], noise), ())
    };
    fused([x, branch, gamma, beta], body, |([z, stats, gamma], noise), gradient, wanted| {
        let [of_x, of_branch] = if wanted[0] || wanted[1] {
            let [of_z, of_branch] = backward(&gradient, &z, &stats, &gamma, noise.as_ref());
            [wanted[0].then_some(of_z), wanted[1].then_some(of_branch)]
        } else {
            [None, None]
        };
        let [of_gamma, of_beta] = parameters_if([wanted[2], wanted[3]], &gradient, &z, &stats);
        [of_x, of_branch, of_gamma, of_beta]
    })
    .0
}

fn parameters_if(
    wanted: [bool; 2],
    gradient: &CubeTensor,
    z: &CubeTensor,
    stats: &CubeTensor,
) -> [Option<CubeTensor>; 2] {
    if wanted == [false; 2] {
        return [None, None];
    }
    let [of_gamma, of_beta] = backward_parameters(gradient, z, stats);
    [wanted[0].then_some(of_gamma), wanted[1].then_some(of_beta)]
}
