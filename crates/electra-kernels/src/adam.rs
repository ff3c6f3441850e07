//! One update of Adam with decoupled weight decay, and the norm that gradient clipping needs.
//!   m' = beta1 m + (1 - beta1) g;  v' = beta2 v + (1 - beta2) g^2,  g the gradient times a common scale
//!   p' = p - lr (c1 m' / (sqrt(c2 v') + eps) + wd p),  c1 = c2 = 1 without bias correction
//! As primitives that is a dozen passes over memory and as many new tensors; fused it is one pass in place,
//! so the CPU backend has a body of its own. The norm is summed in a fixed order: Flex's own large sums depend
//! on the timing of its threads, and two equal runs must clip alike.

use burn::backend::{DispatchDevice, Flex};
use burn::tensor::Tensor;
use burn_flex::FlexTensor;

use crate::failure::DeviceFailure;
use crate::read::{self, Reads};
use crate::{Precision, gpu, shape::expect};

/// The numbers of one update, the same for all values of a tensor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamUpdate {
    pub learning_rate: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub epsilon: f64,
    /// 0 for a parameter that does not decay.
    pub weight_decay: f64,
    /// What the gradient is multiplied by: clipping's scale, or 1.
    pub gradient_scale: f64,
    /// `1 / (1 - beta1^t)` and `1 / (1 - beta2^t)` with bias correction, 1 and 1 without.
    pub bias_corrections: [f64; 2],
}

/// A parameter and its two moments, `[len]` each.
#[derive(Debug, Clone)]
pub struct AdamTensors {
    pub parameter: Tensor<1>,
    pub m: Tensor<1>,
    pub v: Tensor<1>,
}

/// Updates a parameter and its moments. All tensors are `[len]`, of a device without autodiff; those that nobody
/// else holds are changed in place on the CPU.
///
/// Reference: `AdamWeightDecayOptimizer` in google-research/electra, which corrects no bias.
///
/// # Panics
/// If the shapes differ.
pub fn adam_update(tensors: AdamTensors, gradient: Tensor<1>, update: &AdamUpdate) -> AdamTensors {
    let shape = tensors.parameter.dims();
    expect("adam: m [len]", tensors.m.dims(), shape);
    expect("adam: v [len]", tensors.v.dims(), shape);
    expect("adam: gradient [len]", gradient.dims(), shape);
    let all = [&tensors.parameter, &tensors.m, &tensors.v, &gradient];
    if all.into_iter().all(on_flex) && !crate::is_cpu_reference_only() {
        fused(tensors, gradient, update)
    } else {
        reference(tensors, gradient, update)
    }
}

/// The factor of a loss whose gradients pass through half precision, and how it adapts.
///
/// f16 has no value between 0 and 6e-8, and none beyond 65,504: gradients are those of the loss times a factor, which halves
/// where they overflow (that update is skipped) and doubles after 2,000 steps without. A power of two, it changes no digit
/// of a gradient. Micikevicius et al. 2018, "Mixed Precision Training", section 3.2; the numbers are those of PyTorch's
/// `GradScaler`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossScale {
    pub factor: f64,
    /// Steps since the factor changed.
    pub good_steps: u64,
}

impl Default for LossScale {
    fn default() -> Self {
        Self { factor: 65_536.0, good_steps: 0 }
    }
}

impl LossScale {
    /// Where a run in `precision` begins.
    pub fn of(precision: Precision) -> Option<Self> {
        (precision == Precision::F16).then(Self::default)
    }

    pub(crate) const STEPS_TO_GROW: u64 = 2000;
    /// Beyond this nothing is gained, and sums of squares in f32 come near their end.
    pub(crate) const LARGEST: f64 = 16_777_216.0;

    /// The factor of the next step. A loss that is no number is not the gradients' overflow, and changes nothing.
    #[must_use]
    pub fn after(self, loss_is_finite: bool, gradient_is_finite: bool) -> Self {
        let Self { factor, good_steps } = self;
        match (loss_is_finite, gradient_is_finite) {
            (false, _) => self,
            (true, false) => Self { factor: (0.5 * factor).max(1.0), good_steps: 0 },
            (true, true) if good_steps + 1 >= Self::STEPS_TO_GROW => {
                Self { factor: (2.0 * factor).min(Self::LARGEST), good_steps: 0 }
            }
            (true, true) => Self { factor, good_steps: good_steps + 1 },
        }
    }
}

/// Constants of an update that is decided on the device.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DeviceUpdate {
    pub learning_rate: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub epsilon: f64,
    /// Greatest global norm of the gradient; infinity: no clipping.
    pub clip_norm: f64,
    pub bias_correction: bool,
}

/// What one parameter's update depends on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ParameterRule {
    /// Factor of the learning rate.
    pub factor: f64,
    /// 0 for a parameter that does not decay.
    pub weight_decay: f64,
}

/// Parameters, moments and gradients on a graphics adapter, in a few large arrays.
///
/// An update is decided there: the global norm, whether it is clipped, whether a loss or a norm that is no number makes
/// it a step without effect. Nothing is read back, so the host runs ahead.
#[derive(Debug, Clone)]
pub struct DeviceAdam {
    arenas: gpu::adam::Arenas,
    /// Which parameters have got a gradient since the last update.
    seen: Vec<bool>,
}

impl DeviceAdam {
    /// The state of `parameters`, `[len]` each, with their moments, after `updates` updates. The values are copied:
    /// from now on the parameters are those of [`DeviceAdam::parameters`]. With `loss_scale`, gradients will be those of
    /// the loss times [`DeviceAdam::loss_factor`].
    ///
    /// `None` unless all lie on one graphics adapter whose kernels are on.
    pub fn new(
        parameters: &[Tensor<1>],
        m: &[Tensor<1>],
        v: &[Tensor<1>],
        updates: u64,
        loss_scale: Option<LossScale>,
    ) -> Option<Self> {
        let fit = parameters.iter().chain(m).chain(v).all(gpu::is_gpu);
        if parameters.is_empty() || !gpu::runs(gpu::Kernel::Adam, &parameters[0], [fit]) {
            return None;
        }
        let arrays = |tensors: &[Tensor<1>]| tensors.iter().map(gpu::constant).collect::<Vec<_>>();
        let arenas = gpu::adam::Arenas::new(&arrays(parameters), &arrays(m), &arrays(v), updates, loss_scale);
        Some(Self { arenas, seen: vec![false; parameters.len()] })
    }

    /// Whether `parameters` are those of [`DeviceAdam::parameters`].
    pub fn holds(&self, parameters: &[Tensor<1>]) -> bool {
        parameters.iter().all(gpu::is_gpu)
            && self.arenas.hold(&parameters.iter().map(gpu::constant).collect::<Vec<_>>())
    }

    /// The parameters, `[len]` each. An update changes them in place.
    pub fn parameters(&self) -> Vec<Tensor<1>> {
        self.tensors(gpu::adam::Part::Parameters)
    }

    /// First and second moments. An update changes them in place.
    pub fn moments(&self) -> (Vec<Tensor<1>>, Vec<Tensor<1>>) {
        (self.tensors(gpu::adam::Part::First), self.tensors(gpu::adam::Part::Second))
    }

    fn tensors(&self, part: gpu::adam::Part) -> Vec<Tensor<1>> {
        self.arenas.tensors(part).into_iter().map(gpu::tensor).collect()
    }

    /// Updates made so far. Waits for the device.
    ///
    /// # Errors
    /// The device failed.
    pub fn updates(&self) -> Result<u64, DeviceFailure> {
        self.arenas.updates()
    }

    /// What the loss is to be multiplied by before its gradients are taken, `[1]`: the array that an update changes.
    pub fn loss_factor(&self) -> Option<Tensor<1>> {
        self.arenas.loss_factor().map(gpu::tensor)
    }

    /// The factor as it is after all updates so far. Waits for the device.
    ///
    /// # Errors
    /// The device failed.
    pub fn loss_scale(&self) -> Result<Option<LossScale>, DeviceFailure> {
        self.arenas.loss_scale()
    }

    /// Adds gradients, in the parameters' order, to those since the last update.
    ///
    /// # Panics
    /// If their number or a length differs.
    pub fn add_gradients(&mut self, gradients: &[Option<Tensor<1>>]) {
        let arrays: Vec<_> = gradients.iter().map(|gradient| gradient.as_ref().map(gpu::constant)).collect();
        let pick = |seen_before: bool| {
            let of = |(array, seen): (&Option<_>, &bool)| array.clone().filter(|_| *seen == seen_before);
            arrays.iter().zip(&self.seen).map(of).collect::<Vec<_>>()
        };
        self.arenas.put_gradients(&pick(false), false);
        self.arenas.put_gradients(&pick(true), true);
        for (seen, array) in self.seen.iter_mut().zip(&arrays) {
            *seen |= array.is_some();
        }
    }

    /// One update with the gradients added since the last one; a parameter without any is left alone, moments
    /// included.
    ///
    /// `loss`: `[1]`, checked to be a number. `rules`: one per parameter. Returns `[3]`: the global norm before
    /// clipping, 1 where the update was made, and the loss's factor.
    ///
    /// Reference: `AdamWeightDecayOptimizer` in google-research/electra.
    pub fn update(&mut self, loss: &Tensor<1>, rules: &[ParameterRule], update: &DeviceUpdate) -> Tensor<1> {
        let rule = |(rule, seen): (&ParameterRule, &bool)| {
            let (factor, decay) = (rule.factor as f32, rule.weight_decay as f32);
            seen.then_some(gpu::adam::Rule { factor, decay })
        };
        let rules = rules.iter().zip(&self.seen).map(rule).collect();
        self.seen.fill(false);
        gpu::tensor(self.arenas.update(&gpu::constant(loss), rules, update))
    }
}

/// Sum of the squares of all values of all `tensors`, in an order that no thread's timing changes.
///
/// On the CPU in f64; elsewhere in f32 on the device, where values beyond 1e19 give infinity.
///
/// # Errors
/// The device failed.
pub fn sum_of_squares(tensors: &[Tensor<1>]) -> Result<f64, DeviceFailure> {
    match host_sum(tensors) {
        Some(sum) => Ok(sum),
        None => Ok(read::floats(&device_sums(tensors))?.into_iter().map(f64::from).sum()),
    }
}

/// As [`sum_of_squares`], where reading back must not block (a browser).
///
/// # Errors
/// The device failed.
pub async fn sum_of_squares_async(tensors: &[Tensor<1>]) -> Result<f64, DeviceFailure> {
    if let Some(sum) = host_sum(tensors) {
        return Ok(sum);
    }
    let mut reads = Reads::default();
    let sums = reads.floats(&device_sums(tensors));
    Ok(read::floats_of(&reads.read_async().await?[sums]).into_iter().map(f64::from).sum())
}

/// The sum where all values lie in the host's memory.
fn host_sum(tensors: &[Tensor<1>]) -> Option<f64> {
    let on_host = tensors.iter().all(on_flex);
    on_host.then(|| tensors.iter().map(|tensor| flex_sum_of_squares(&flex(tensor.clone()))).sum())
}

/// One sum per tensor, read back together: each read waits for the device.
fn device_sums(tensors: &[Tensor<1>]) -> Tensor<1> {
    Tensor::cat(tensors.iter().map(|x| (x.clone() * x.clone()).sum()).collect(), 0)
}

/// The formula in primitives: what runs where there is no fused body, and the oracle of the one there is.
fn reference(tensors: AdamTensors, gradient: Tensor<1>, update: &AdamUpdate) -> AdamTensors {
    let gradient = gradient * update.gradient_scale;
    let m = tensors.m * update.beta1 + gradient.clone() * (1.0 - update.beta1);
    let v = tensors.v * update.beta2 + gradient.clone() * gradient * (1.0 - update.beta2);
    let [correction1, correction2] = update.bias_corrections;
    let denominator = (v.clone() * correction2).sqrt() + update.epsilon;
    let step = m.clone() * correction1 / denominator + tensors.parameter.clone() * update.weight_decay;
    AdamTensors { parameter: tensors.parameter - step * update.learning_rate, m, v }
}

fn on_flex(tensor: &Tensor<1>) -> bool {
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
const CHUNK: usize = 1 << 14;

fn fused(tensors: AdamTensors, gradient: Tensor<1>, update: &AdamUpdate) -> AdamTensors {
    let [mut parameter, mut m, mut v] = [tensors.parameter, tensors.m, tensors.v].map(flex);
    let gradient = flex(gradient);
    let scale = update.gradient_scale as f32;
    let (beta1, beta2) = (update.beta1 as f32, update.beta2 as f32);
    let (rest1, rest2) = ((1.0 - update.beta1) as f32, (1.0 - update.beta2) as f32);
    let (epsilon, decay, rate) = (update.epsilon as f32, update.weight_decay as f32, update.learning_rate as f32);
    let [correction1, correction2] = update.bias_corrections.map(|correction| correction as f32);
    let body = |p: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32]| {
        for (((p, m), v), g) in p.iter_mut().zip(m).zip(v).zip(g) {
            let g = g * scale;
            *m = beta1 * *m + rest1 * g;
            *v = beta2 * *v + rest2 * (g * g);
            let step = correction1 * *m / ((correction2 * *v).sqrt() + epsilon) + decay * *p;
            *p -= rate * step;
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

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::noise::NoiseKey;

    fn tensor(seed: u64, len: usize) -> Tensor<1> {
        let key = NoiseKey::new(seed);
        let values: Vec<f32> = (0..len).map(|i| key.uniform_f64(i as u64, 0) as f32 - 0.5).collect();
        Tensor::from_data(TensorData::new(values, [len]), &Device::flex())
    }

    fn values(tensor: Tensor<1>) -> Vec<f32> {
        tensor.into_data().try_to_vec::<f32>().unwrap()
    }

    const UPDATE: AdamUpdate = AdamUpdate {
        learning_rate: 0.01,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-6,
        weight_decay: 0.01,
        gradient_scale: 0.3,
        bias_corrections: [1.0, 1.0],
    };

    #[test]
    fn the_fused_body_is_the_formula_at_awkward_sizes() {
        for len in [1, 7, 8, CHUNK - 1, CHUNK, 2 * CHUNK + 3] {
            for bias_corrections in [[1.0, 1.0], [10.0, 1000.0]] {
                let update = AdamUpdate { bias_corrections, ..UPDATE };
                let start = || AdamTensors { parameter: tensor(1, len), m: tensor(2, len), v: tensor(3, len).abs() };
                let expected = reference(start(), tensor(4, len), &update);
                let found = adam_update(start(), tensor(4, len), &update);
                for (found, expected) in
                    [(found.parameter, expected.parameter), (found.m, expected.m), (found.v, expected.v)]
                {
                    for (found, expected) in values(found).into_iter().zip(values(expected)) {
                        assert!((found - expected).abs() <= 1e-6 * expected.abs().max(1.0), "{found} != {expected}");
                    }
                }
            }
        }
    }

    #[test]
    fn tensors_that_others_hold_stay_as_they_were() {
        let held = tensor(1, 100);
        let before = values(held.clone());
        let state = AdamTensors { parameter: held.clone(), m: held.clone(), v: held.clone().abs() };
        let after = adam_update(state, held.clone(), &UPDATE);
        assert_eq!(values(held), before);
        assert_ne!(values(after.parameter), before);
    }

    #[test]
    fn a_slice_of_a_larger_tensor_counts_its_own_values_alone() {
        let whole = Tensor::<1>::from_data([100.0f32, 3.0, 4.0, 100.0], &Device::flex());
        let slice = whole.slice(1..3);
        assert_eq!(sum_of_squares(&[slice.clone(), slice]), Ok(50.0));
    }

    #[test]
    fn the_norm_is_exact_to_rounding_and_repeats() {
        let big = tensor(5, 5_000_000);
        // In stretches: one running sum over so many values is itself off by 1e-12.
        let square_sum = |values: &[f32]| values.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>();
        let expected: f64 = values(big.clone()).chunks(1000).map(square_sum).sum();
        let first = sum_of_squares(from_ref(&big)).unwrap();
        assert!((first / expected - 1.0).abs() < 1e-12);
        for _ in 0..20 {
            assert_eq!(sum_of_squares(from_ref(&big)).unwrap().to_bits(), first.to_bits());
        }
        let parts = [tensor(5, 999), tensor(6, 1)];
        let on_device: f64 = device_sums(&parts).into_data().iter::<f64>().sum();
        assert!((sum_of_squares(&parts).unwrap() / on_device - 1.0).abs() < 1e-5);
    }
}
