//! The update and the norm on the CPU, in place and in one pass.

use burn::backend::{DispatchDevice, Flex};
use burn::tensor::Tensor;
use burn_flex::FlexTensor;

use crate::cpu::add_rows;
use crate::parallel::parallel_rows;
use crate::types::update::{AdamTensors, AdamUpdate};

pub(super) fn is_plain(tensor: &Tensor<1>) -> bool {
    !tensor.is_autodiff() && matches!(tensor.device().as_dispatch(), DispatchDevice::Flex(_))
}

fn flex(tensor: Tensor<1>) -> FlexTensor {
    let tensor = tensor.try_into_primitive::<Flex>().expect("the device is Flex");
    if tensor.is_contiguous()
        && tensor.layout().start_offset() == 0
        && tensor.bytes().len() == 4 * tensor.layout().num_elements()
    {
        return tensor;
    }
    // A view into a larger buffer (a gradient that was a slice): its storage is not its values.
    tensor.to_contiguous()
}

/// Values that one thread takes at a time. Part of the result's last bits, in sums: never change it with the
/// number of threads.
pub(super) const CHUNK: usize = 1 << 14;

/// Values that are looked at together for having had no gradient yet: about a row of a table.
const STILL: usize = 256;

/// Also of zeros with a sign: their update has no other value.
fn is_zero(values: &[f32]) -> bool {
    // Without a branch for each, so that it is a few wide instructions.
    values.iter().fold(0, |bits, value| bits | value.to_bits() << 1) == 0
}

pub(super) fn update(tensors: AdamTensors, gradient: Tensor<1>, update: &AdamUpdate) -> AdamTensors {
    let [mut parameter, mut m, mut v] = [tensors.parameter, tensors.m, tensors.v].map(flex);
    let gradient = flex(gradient);
    let scale = update.gradient_scale as f32;
    let (beta1, beta2) = (update.beta1 as f32, update.beta2 as f32);
    let (rest1, rest2) = ((1.0 - update.beta1) as f32, (1.0 - update.beta2) as f32);
    let (epsilon, decay, rate) = (update.epsilon as f32, update.weight_decay as f32, update.learning_rate as f32);
    let [correction1, correction2] = update.bias_corrections.map(|correction| correction as f32);
    let body = |p: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32]| {
        let moments = m.chunks_mut(STILL).zip(v.chunks_mut(STILL));
        for ((p, (m, v)), g) in p.chunks_mut(STILL).zip(moments).zip(g.chunks(STILL)) {
            // What no gradient has reached yet stays where it is: most rows of a large vocabulary's table, in a fine-tuning.
            if decay == 0.0 && is_zero(g) && is_zero(m) && is_zero(v) {
                continue;
            }
            for (((p, m), v), g) in p.iter_mut().zip(m).zip(v).zip(g) {
                let g = g * scale;
                *m = beta1 * *m + rest1 * g;
                *v = beta2 * *v + rest2 * (g * g);
                let step = correction1 * *m / ((correction2 * *v).sqrt() + epsilon) + decay * *p;
                *p -= rate * step;
            }
        }
    };
    {
        let (p, m) = (parameter.storage_mut::<f32>(), m.storage_mut::<f32>());
        let (v, g) = (v.storage_mut::<f32>(), gradient.storage::<f32>());
        #[cfg(not(target_family = "wasm"))]
        {
            use rayon::prelude::*;
            let moments = v.par_chunks_mut(CHUNK).zip(g.par_chunks(CHUNK));
            p.par_chunks_mut(CHUNK)
                .zip(m.par_chunks_mut(CHUNK))
                .zip(moments)
                .for_each(|((p, m), (v, g))| body(p, m, v, g));
        }
        #[cfg(target_family = "wasm")]
        body(p, m, v, g);
    }
    let [parameter, m, v] = [parameter, m, v].map(Tensor::from_primitive::<Flex>);
    AdamTensors { parameter, m, v }
}

/// `sum + more`, in `sum`'s memory where nobody else holds it.
pub(super) fn add(sum: Tensor<1>, more: Tensor<1>) -> Tensor<1> {
    let (mut sum, more) = (flex(sum), flex(more));
    {
        let (sum, more) = (sum.storage_mut::<f32>(), more.storage::<f32>());
        parallel_rows(sum, CHUNK, |chunk, sum| add_rows(sum, &more[chunk * CHUNK..][..sum.len()]));
    }
    Tensor::from_primitive::<Flex>(sum)
}

fn flex_sum_of_squares(tensor: &FlexTensor) -> f64 {
    let values = tensor.storage::<f32>();
    #[cfg(not(target_family = "wasm"))]
    let sums: Vec<f64> = {
        use rayon::prelude::*;
        values.par_chunks(CHUNK).map(chunk_sum_of_squares).collect()
    };
    #[cfg(target_family = "wasm")]
    let sums: Vec<f64> = values.chunks(CHUNK).map(chunk_sum_of_squares).collect();
    sums.iter().sum()
}

/// Eight running sums, since one is bound by the latency of an addition.
fn chunk_sum_of_squares(values: &[f32]) -> f64 {
    let (eights, rest) = values.as_chunks::<8>();
    let mut sums = [0.0f64; 8];
    for eight in eights {
        for (sum, value) in sums.iter_mut().zip(eight) {
            *sum += f64::from(*value) * f64::from(*value);
        }
    }
    sums.iter().sum::<f64>() + rest.iter().map(|value| f64::from(*value) * f64::from(*value)).sum::<f64>()
}

/// The sum where all values lie in the host's memory.
pub(super) fn host_sum(tensors: &[Tensor<1>]) -> Option<f64> {
    let on_host = tensors.iter().all(is_plain);
    on_host.then(|| tensors.iter().map(|tensor| flex_sum_of_squares(&flex(tensor.clone()))).sum())
}
