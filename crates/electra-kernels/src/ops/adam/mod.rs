//! One update of Adam with decoupled weight decay, and the norm that gradient clipping needs.
//!   m' = beta1 m + (1 - beta1) g;  v' = beta2 v + (1 - beta2) g^2,  g the gradient times a common scale
//!   p' = p - lr (c1 m' / (sqrt(c2 v') + eps) + wd p),  c1 = c2 = 1 without bias correction
//! As primitives that is a dozen passes over memory and as many new tensors; fused it is one pass in place,
//! so the CPU backend has a body of its own. The norm is summed in a fixed order: Flex's own large sums depend
//! on the timing of its threads, and two equal runs must clip alike.

mod cpu;
mod gpu;
mod reference;
#[cfg(test)]
mod tests;

use burn::tensor::Tensor;

use crate::place::{Place, Placed};
use crate::read::{self, Reads};
use crate::types::{failure::DeviceFailure, kernel::Kernel, shape::expect};

pub use crate::types::loss_scale::LossScale;
pub use crate::types::update::{AdamTensors, AdamUpdate, DeviceUpdate, ParameterRule};

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
    let AdamTensors { parameter, m, v } = &tensors;
    match Place::of(Kernel::Adam, &[parameter, m, v, &gradient]) {
        Place::Cpu if [parameter, m, v, &gradient].into_iter().all(cpu::is_plain) => {
            cpu::update(tensors, gradient, update)
        }
        _ => reference::update(tensors, gradient, update),
    }
}

/// `sum + more`, `[len]` each, of a device without autodiff: gradients of a batch's parts. On the CPU in place where nobody else holds
/// `sum`.
///
/// # Panics
/// If the shapes differ.
pub fn add_gradients(sum: Tensor<1>, more: Tensor<1>) -> Tensor<1> {
    expect("adam: more [len]", more.dims(), sum.dims());
    if cpu::is_plain(&sum) && cpu::is_plain(&more) { cpu::add(sum, more) } else { sum + more }
}

/// Parameters, moments and gradients on a graphics adapter, in a few large arrays.
///
/// An update is decided there: the global norm, whether it is clipped, whether a loss or a norm that is NaN or infinite makes
/// it a step without effect. Nothing is read back, so the host runs ahead.
#[derive(Debug, Clone)]
pub struct DeviceAdam {
    arenas: gpu::Arenas,
    /// Which parameters have got a gradient since the last update.
    seen: Vec<bool>,
}

impl DeviceAdam {
    /// The state of `parameters`, `[len]` each, with their moments, after `updates` updates. The values are copied:
    /// from now on the parameters are those of [`DeviceAdam::parameters`]. With `loss_scale`, gradients will be those of
    /// the loss times [`DeviceAdam::loss_scale_array`].
    ///
    /// `None` unless all lie on one graphics adapter whose kernels are on.
    pub fn new(
        parameters: &[Tensor<1>],
        m: &[Tensor<1>],
        v: &[Tensor<1>],
        updates: u64,
        loss_scale: Option<LossScale>,
    ) -> Option<Self> {
        if !runs_on_adapter(&[parameters, m, v]) {
            return None;
        }
        let arenas = gpu::Arenas::new(&arrays(parameters), &arrays(m), &arrays(v), updates, loss_scale);
        Some(Self { arenas, seen: vec![false; parameters.len()] })
    }

    /// As [`DeviceAdam::new`], with the updates and the loss's factor that this one has come to; nothing is read back.
    pub fn of_other(&self, parameters: &[Tensor<1>], m: &[Tensor<1>], v: &[Tensor<1>]) -> Option<Self> {
        if !runs_on_adapter(&[parameters, m, v]) {
            return None;
        }
        let arenas = self.arenas.of_other(&arrays(parameters), &arrays(m), &arrays(v));
        Some(Self { arenas, seen: vec![false; parameters.len()] })
    }

    /// Whether `parameters` are those of [`DeviceAdam::parameters`].
    pub fn holds(&self, parameters: &[Tensor<1>]) -> bool {
        parameters.iter().all(crate::gpu::is_gpu)
            && self.arenas.hold(&parameters.iter().map(crate::gpu::constant).collect::<Vec<_>>())
    }

    /// The parameters, `[len]` each. An update changes them in place.
    pub fn parameters(&self) -> Vec<Tensor<1>> {
        self.tensors(gpu::Part::Parameters)
    }

    /// First and second moments. An update changes them in place.
    pub fn moments(&self) -> (Vec<Tensor<1>>, Vec<Tensor<1>>) {
        (self.tensors(gpu::Part::First), self.tensors(gpu::Part::Second))
    }

    fn tensors(&self, part: gpu::Part) -> Vec<Tensor<1>> {
        self.arenas.tensors(part).into_iter().map(crate::gpu::tensor).collect()
    }

    /// Updates made so far, and the loss's factor after all of them.
    ///
    /// # Errors
    /// The device failed.
    pub async fn counters(&self) -> Result<(u64, Option<LossScale>), DeviceFailure> {
        let mut reads = Reads::default();
        let state = reads.floats(&crate::gpu::tensor::<1>(self.arenas.state()));
        let scale = self.arenas.loss_scale().map(|scale| reads.floats(&crate::gpu::tensor::<1>(scale)));
        let found = reads.fetch().await?;
        let loss_scale = scale.map(|scale| {
            let values = read::floats_of(&found[scale]);
            LossScale { factor: f64::from(values[0]), good_steps: values[1] as u64 }
        });
        Ok((read::floats_of(&found[state])[0] as u64, loss_scale))
    }

    /// What the loss is to be multiplied by before its gradients are taken, `[1]`: the array that an update changes.
    pub fn loss_scale_array(&self) -> Option<Tensor<1>> {
        self.arenas.loss_scale_array().map(crate::gpu::tensor)
    }

    /// Adds gradients, in the parameters' order, to those since the last update.
    ///
    /// # Panics
    /// If their number or a length differs.
    pub fn add_gradients(&mut self, gradients: &[Option<Tensor<1>>]) {
        let arrays: Vec<_> = gradients.iter().map(|gradient| gradient.as_ref().map(crate::gpu::constant)).collect();
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
            seen.then_some(gpu::Rule { factor, decay })
        };
        let rules = rules.iter().zip(&self.seen).map(rule).collect();
        self.seen.fill(false);
        crate::gpu::tensor(self.arenas.update(&crate::gpu::constant(loss), rules, update))
    }
}

/// Whether all of these lie on one graphics adapter whose kernel is on.
fn runs_on_adapter(tensors: &[&[Tensor<1>]]) -> bool {
    let operands: Vec<&dyn Placed> = tensors.iter().copied().flatten().map(|x| x as &dyn Placed).collect();
    !operands.is_empty() && Place::of(Kernel::Adam, &operands) == Place::Gpu
}

fn arrays(tensors: &[Tensor<1>]) -> Vec<burn_wgpu::CubeTensor> {
    tensors.iter().map(crate::gpu::constant).collect()
}

/// Sum of the squares of all values of all `tensors`, in an order that no thread's timing changes.
///
/// On the CPU in f64; elsewhere in f32 on the device, where values beyond 1e19 give infinity.
///
/// # Errors
/// The device failed.
pub fn sum_of_squares(tensors: &[Tensor<1>]) -> Result<f64, DeviceFailure> {
    match cpu::host_sum(tensors) {
        Some(sum) => Ok(sum),
        None => Ok(read::floats(&device_sums(tensors))?.into_iter().map(f64::from).sum()),
    }
}

/// As [`sum_of_squares`], where reading back must not block (a browser).
///
/// # Errors
/// The device failed.
pub async fn sum_of_squares_async(tensors: &[Tensor<1>]) -> Result<f64, DeviceFailure> {
    if let Some(sum) = cpu::host_sum(tensors) {
        return Ok(sum);
    }
    let mut reads = Reads::default();
    let sums = reads.floats(&device_sums(tensors));
    Ok(read::floats_of(&reads.read_async().await?[sums]).into_iter().map(f64::from).sum())
}

/// One sum per tensor, read back together: each read waits for the device.
fn device_sums(tensors: &[Tensor<1>]) -> Tensor<1> {
    Tensor::cat(tensors.iter().map(|x| (x.clone() * x.clone()).sum()).collect(), 0)
}
