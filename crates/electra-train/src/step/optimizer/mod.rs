//! The reference's optimizer: Adam without bias correction, decoupled weight decay, one global norm to clip.
//!
//! One optimizer over all networks, as in google-research/electra's `optimization.py`: the norm is that of the
//! joint gradient, so that the discriminator's part, 50 times the loss, decides how far the generator moves.
//! Burn's own Adam corrects bias and clips tensor by tensor, which is another optimizer.
//!
//! On a graphics adapter parameters and moments live in the kernels' arenas ([`DeviceAdam`]), where the norm, the clipping
//! and the skipping of a broken step are decided without the host. Elsewhere it is one tensor after another.

mod report;
#[cfg(test)]
mod tests;

use std::path::Path;

use burn::tensor::{Device, Tensor};
use electra_kernels::DeviceFailure;
pub(crate) use electra_kernels::adam::LossScale;
use electra_kernels::adam::{
    AdamTensors, AdamUpdate, DeviceAdam, DeviceUpdate, ParameterRule, adam_update, sum_of_squares, sum_of_squares_async,
};
use electra_model::{Layout, ParameterSpec, Parameters};

pub(crate) use self::report::PendingReport;
pub use self::report::StepReport;
use crate::error::Result;
use crate::host::{self, HostTensor};

/// Constants of the optimizer; the learning rate comes with each step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamConfig {
    /// Of the first moment.
    pub beta1: f64,
    /// Of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Not applied to LayerNorm and biases ([`electra_model::ParameterSpec::decays`]).
    pub weight_decay: f64,
    /// Off in the reference.
    pub bias_correction: bool,
    /// Greatest global norm of the gradient; infinity: no clipping.
    pub clip_norm: f64,
}

impl AdamConfig {
    pub(super) fn decay_of(&self, spec: &ParameterSpec) -> f64 {
        if spec.decays() { self.weight_decay } else { 0.0 }
    }
}

/// The reference's.
impl Default for AdamConfig {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, epsilon: 1e-6, weight_decay: 0.01, bias_correction: false, clip_norm: 1.0 }
    }
}

/// The optimizer's state for every parameter, on the parameters' device.
#[derive(Debug, Clone)]
pub struct Adam {
    config: AdamConfig,
    /// Factor of the learning rate, one per parameter's piece, as all else here.
    scales: Vec<f64>,
    /// The loss's factor where gradients are those of a scaled loss; a graphics adapter keeps its own.
    loss_scale: Option<LossScale>,
    state: State,
}

#[derive(Debug, Clone)]
enum State {
    /// Tensor by tensor, the norm on the host.
    Separate { m: Vec<Tensor<1>>, v: Vec<Tensor<1>>, updates: u64 },
    /// A graphics adapter's own.
    OnDevice(Box<DeviceAdam>),
}

impl Adam {
    /// Moments of zero for `parameters`.
    pub fn new(config: AdamConfig, parameters: &Parameters) -> Self {
        let zeros = || parameters.values().iter().map(|value| value.clone().inner().zeros_like()).collect();
        let state = State::Separate { m: zeros(), v: zeros(), updates: 0 };
        Self { config, scales: vec![1.0; parameters.values().len()], loss_scale: None, state }
    }

    /// Multiplies each parameter's learning rate by `scale(name)`: layer-wise decay in fine-tuning
    /// ([`crate::layerwise_multiplier`]). Checkpoints hold none of it: say it again after [`Adam::from_host`].
    ///
    /// # Panics
    /// If `layout` has other pieces than the parameters that this was made for: a layout as their device has it.
    #[must_use]
    pub fn with_learning_rate_scales(mut self, layout: &Layout, scale: impl Fn(&str) -> f64) -> Self {
        self.set_learning_rate_scales(layout, scale);
        self
    }

    /// As [`Adam::with_learning_rate_scales`], between steps.
    ///
    /// # Panics
    /// As [`Adam::with_learning_rate_scales`].
    pub fn set_learning_rate_scales(&mut self, layout: &Layout, scale: impl Fn(&str) -> f64) {
        let pieces = layout.pieces().len();
        assert_eq!(pieces, self.scales.len(), "the layout has {pieces} pieces, the parameters {}", self.scales.len());
        self.scales = layout.pieces().map(|(spec, _)| scale(&spec.name)).collect();
    }

    /// Takes gradients of the loss times [`Adam::loss_factor`] from now on, as half precision needs it. `None`: of the
    /// loss itself.
    ///
    /// # Panics
    /// After [`Adam::move_to_device`].
    #[must_use]
    pub fn with_loss_scale(mut self, scale: Option<LossScale>) -> Self {
        assert!(matches!(self.state, State::Separate { .. }), "the loss's factor is already on a graphics adapter");
        self.loss_scale = scale;
        self
    }

    /// What the next step's loss is to be multiplied by, `[1]`; `None`: nothing.
    pub fn loss_factor(&self, device: &Device) -> Option<Tensor<1>> {
        match &self.state {
            State::OnDevice(adapter) => adapter.loss_scale_array(),
            State::Separate { .. } => self.loss_scale.map(|scale| Tensor::from_floats([scale.factor as f32], device)),
        }
    }

    /// What the last step's loss was multiplied by, where the host knows it: off a graphics adapter.
    pub(crate) fn known_loss_factor(&self) -> f64 {
        self.loss_scale.map_or(1.0, |scale| scale.factor)
    }

    /// Updates made so far, and the loss's factor after all of them: for a checkpoint.
    ///
    /// # Errors
    /// The device failed.
    pub async fn counters(&self) -> Result<(u64, Option<LossScale>), DeviceFailure> {
        match &self.state {
            State::Separate { updates, .. } => Ok((*updates, self.loss_scale)),
            State::OnDevice(device) => device.counters().await,
        }
    }

    /// First and second moments, in the parameters' order, flat.
    pub fn moments(&self) -> (Vec<Tensor<1>>, Vec<Tensor<1>>) {
        match &self.state {
            State::Separate { m, v, .. } => (m.clone(), v.clone()),
            State::OnDevice(device) => device.moments(),
        }
    }

    /// Moves parameters and moments that lie on a graphics adapter into its arenas, unless they are there; says whether
    /// they are. The parameters come back as views of the arenas, which updates change in place. Nothing is read back.
    pub fn move_to_device(&mut self, parameters: Parameters) -> (Parameters, bool) {
        let values: Vec<Tensor<1>> = parameters.values().iter().map(|value| value.clone().inner()).collect();
        let device = match &self.state {
            State::OnDevice(device) if device.holds(&values) => return (parameters, true),
            State::OnDevice(device) => {
                let (m, v) = device.moments();
                device.of_other(&values, &m, &v)
            }
            State::Separate { m, v, updates } => DeviceAdam::new(&values, m, v, *updates, self.loss_scale),
        };
        let Some(device) = device else { return (parameters, false) };
        let views = device.parameters();
        let parameters =
            parameters.map(
                |i, _, value| {
                    if value.is_autodiff() { Tensor::from_inner(views[i].clone()) } else { views[i].clone() }
                },
            );
        self.state = State::OnDevice(Box::new(device));
        (parameters, true)
    }

    /// Adds gradients on a graphics adapter: as often as there are micro-batches, before [`Adam::submit`].
    ///
    /// # Panics
    /// Unless [`Adam::move_to_device`] said so.
    pub fn add_gradients(&mut self, gradients: Vec<Option<Tensor<1>>>) {
        let State::OnDevice(device) = &mut self.state else { panic!("the optimizer is not on a graphics adapter") };
        device.add_gradients(&without_autodiff(gradients));
    }

    /// One update with the gradients that were added, decided on the device: nothing is read back.
    ///
    /// `loss`: `[1]`; where it is no number the update is skipped.
    ///
    /// # Panics
    /// Unless [`Adam::move_to_device`] said so.
    pub fn submit(&mut self, layout: &Layout, loss: &Tensor<1>, learning_rate: f64) -> PendingReport {
        let State::OnDevice(device) = &mut self.state else { panic!("the optimizer is not on a graphics adapter") };
        let rules: Vec<ParameterRule> = layout
            .pieces()
            .zip(&self.scales)
            .map(|((spec, _), &factor)| ParameterRule { factor, weight_decay: self.config.decay_of(spec) })
            .collect();
        let update = DeviceUpdate {
            learning_rate,
            beta1: self.config.beta1,
            beta2: self.config.beta2,
            epsilon: self.config.epsilon,
            clip_norm: self.config.clip_norm,
            bias_correction: self.config.bias_correction,
        };
        PendingReport::OnDevice(Box::new(device.update(loss, &rules, &update)))
    }

    /// One update. `gradients` are in the parameters' order, flat, of the joint loss times its factor; a parameter
    /// with `None` is left alone, moments included, as the reference leaves variables without gradient.
    ///
    /// # Errors
    /// The device failed.
    ///
    /// # Panics
    /// If the number of gradients or a length differs.
    pub fn step(
        &mut self,
        parameters: Parameters,
        gradients: Vec<Option<Tensor<1>>>,
        learning_rate: f64,
    ) -> Result<(Parameters, StepReport), DeviceFailure> {
        let (parameters, on_device) = self.move_to_device(parameters);
        if on_device {
            let report = self.step_on_device(&parameters, gradients, learning_rate);
            return Ok((parameters, report.resolve()?));
        }
        let gradients = without_autodiff(gradients);
        let norm = sum_of_squares(&present(&gradients))?.sqrt();
        Ok(self.apply(parameters, gradients, norm, learning_rate))
    }

    /// As [`Adam::step`], where reading the norm back must not block (a browser).
    ///
    /// # Errors
    /// The device failed.
    pub async fn step_async(
        &mut self,
        parameters: Parameters,
        gradients: Vec<Option<Tensor<1>>>,
        learning_rate: f64,
    ) -> Result<(Parameters, StepReport), DeviceFailure> {
        let (parameters, on_device) = self.move_to_device(parameters);
        if on_device {
            let report = self.step_on_device(&parameters, gradients, learning_rate);
            return Ok((parameters, report.resolve_async().await?));
        }
        let gradients = without_autodiff(gradients);
        let norm = sum_of_squares_async(&present(&gradients)).await?.sqrt();
        Ok(self.apply(parameters, gradients, norm, learning_rate))
    }

    fn step_on_device(
        &mut self,
        parameters: &Parameters,
        gradients: Vec<Option<Tensor<1>>>,
        learning_rate: f64,
    ) -> PendingReport {
        self.add_gradients(gradients);
        let device = parameters.values()[0].device().inner();
        self.submit(parameters.layout(), &Tensor::zeros([1], &device), learning_rate)
    }

    fn apply(
        &mut self,
        parameters: Parameters,
        mut gradients: Vec<Option<Tensor<1>>>,
        scaled_norm: f64,
        learning_rate: f64,
    ) -> (Parameters, StepReport) {
        let loss_factor = self.known_loss_factor();
        self.loss_scale = self.loss_scale.map(|scale| scale.after(true, scaled_norm.is_finite()));
        let gradient_norm = scaled_norm / loss_factor;
        let State::Separate { m, v, updates } = &mut self.state else { unreachable!("its arenas take the step") };
        assert_eq!(gradients.len(), m.len(), "one gradient per parameter");
        assert_eq!(parameters.values().len(), m.len(), "the optimizer was made for other parameters");
        if !gradient_norm.is_finite() {
            return (parameters, StepReport { gradient_norm, applied: false, loss_factor });
        }
        *updates += 1;
        let config = &self.config;
        let corrections = [config.beta1, config.beta2]
            .map(|beta| if config.bias_correction { 1.0 / (1.0 - beta.powf(*updates as f64)) } else { 1.0 });
        // TensorFlow's clip_by_global_norm: unchanged below the norm, scaled onto it above.
        let clip = if gradient_norm > config.clip_norm { config.clip_norm / gradient_norm } else { 1.0 };
        let gradient_scale = clip / loss_factor;
        // The moments are moved out as the parameters were, so that nobody else holds them and they are changed in place.
        let mut moments = std::mem::take(m).into_iter().zip(std::mem::take(v));
        let updated = parameters.into_mapped(|i, spec, value| {
            let pair = moments.next().expect("one pair per parameter");
            let Some(gradient) = gradients[i].take() else {
                m.push(pair.0);
                v.push(pair.1);
                return value;
            };
            let is_autodiff = value.is_autodiff();
            let update = AdamUpdate {
                learning_rate: learning_rate * self.scales[i],
                beta1: config.beta1,
                beta2: config.beta2,
                epsilon: config.epsilon,
                weight_decay: config.decay_of(spec),
                gradient_scale,
                bias_corrections: corrections,
            };
            let tensors = AdamTensors { parameter: value.inner(), m: pair.0, v: pair.1 };
            let updated = adam_update(tensors, gradient, &update);
            m.push(updated.m);
            v.push(updated.v);
            if is_autodiff { Tensor::from_inner(updated.parameter) } else { updated.parameter }
        });
        (updated, StepReport { gradient_norm, applied: true, loss_factor })
    }

    /// Moments on the host, `m.NAME` and `v.NAME`, for a checkpoint.
    ///
    /// # Errors
    /// The device failed.
    pub async fn to_host(&self, layout: &Layout) -> Result<Vec<HostTensor>, DeviceFailure> {
        let (m, v) = self.moments();
        let mut tensors = host::to_host(layout, &m, "m.").await?;
        tensors.extend(host::to_host(layout, &v, "v.").await?);
        Ok(tensors)
    }

    /// The optimizer that [`Adam::to_host`] wrote, after `updates` updates, for parameters of `layout` as `device` has
    /// them.
    ///
    /// # Errors
    /// A moment is missing, has another shape or belongs to no parameter; `path` is the file they came from.
    pub fn from_host(
        config: AdamConfig,
        layout: &Layout,
        tensors: Vec<HostTensor>,
        updates: u64,
        path: &Path,
        device: &Device,
    ) -> Result<Self> {
        let device = device.clone().inner();
        let (m, v): (Vec<_>, Vec<_>) = tensors.into_iter().partition(|tensor| tensor.name.starts_with("m."));
        let layout = layout.clone().cut_for(&device);
        let read = |tensors, prefix| host::pieces_from_host(&layout, tensors, path, prefix, &device);
        let state = State::Separate { m: read(m, "m.")?, v: read(v, "v.")?, updates };
        Ok(Self { config, scales: vec![1.0; layout.pieces().len()], loss_scale: None, state })
    }
}

fn without_autodiff(gradients: Vec<Option<Tensor<1>>>) -> Vec<Option<Tensor<1>>> {
    gradients.into_iter().map(|gradient| gradient.map(Tensor::inner)).collect()
}

fn present(gradients: &[Option<Tensor<1>>]) -> Vec<Tensor<1>> {
    gradients.iter().flatten().cloned().collect()
}
