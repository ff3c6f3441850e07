//! The reference's optimizer: Adam without bias correction, decoupled weight decay, one global norm to clip.
//!
//! One optimizer over all networks, as in google-research/electra's `optimization.py`: the norm is that of the
//! joint gradient, so that the discriminator's part, 50 times the loss, decides how far the generator moves.
//! Burn's own Adam corrects bias and clips tensor by tensor, which is another optimizer.

use std::path::Path;

use burn::tensor::{Device, Tensor};
use electra_kernels::adam::{AdamTensors, AdamUpdate, adam_update, sum_of_squares, sum_of_squares_async};
use electra_model::{Layout, Parameters};

use crate::error::Result;
use crate::host;
use crate::run_config::TrainConfig;
use crate::tensor_file::HostTensor;

/// Constants of the optimizer; the learning rate comes with each step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamConfig {
    pub beta1: f64,
    pub beta2: f64,
    pub epsilon: f64,
    /// Not applied to LayerNorm and biases ([`electra_model::ParameterSpec::decays`]).
    pub weight_decay: f64,
    /// Off in the reference.
    pub bias_correction: bool,
    /// Greatest global norm of the gradient; infinity: no clipping.
    pub clip_norm: f64,
}

impl Default for AdamConfig {
    fn default() -> Self {
        Self::from(&TrainConfig::default())
    }
}

impl From<&TrainConfig> for AdamConfig {
    fn from(train: &TrainConfig) -> Self {
        Self {
            beta1: train.beta1,
            beta2: train.beta2,
            epsilon: train.epsilon,
            weight_decay: train.weight_decay,
            bias_correction: train.bias_correction,
            clip_norm: train.clip_norm,
        }
    }
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepReport {
    /// Global norm before clipping.
    pub gradient_norm: f64,
    /// False where the norm was not finite: nothing changed then, the moments included.
    pub applied: bool,
}

/// Moments of every parameter, on the parameters' device.
#[derive(Debug, Clone)]
pub struct Adam {
    config: AdamConfig,
    /// Factor of the learning rate, one per parameter.
    scales: Vec<f64>,
    m: Vec<Tensor<1>>,
    v: Vec<Tensor<1>>,
    updates: u64,
}

impl Adam {
    /// Moments of zero for `parameters`.
    pub fn new(config: AdamConfig, parameters: &Parameters) -> Self {
        let zeros = || parameters.values().iter().map(|value| value.clone().inner().zeros_like()).collect();
        Self { config, scales: vec![1.0; parameters.values().len()], m: zeros(), v: zeros(), updates: 0 }
    }

    /// Multiplies each parameter's learning rate by `scale(name)`: layer-wise decay in fine-tuning
    /// ([`crate::layerwise_multiplier`]).
    #[must_use]
    pub fn with_learning_rate_scales(mut self, layout: &Layout, scale: impl Fn(&str) -> f64) -> Self {
        self.scales = layout.specs().iter().map(|spec| scale(&spec.name)).collect();
        self
    }

    /// Updates made so far.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// First and second moments, in the parameters' order, flat.
    pub fn moments(&self) -> (&[Tensor<1>], &[Tensor<1>]) {
        (&self.m, &self.v)
    }

    /// One update. `gradients` are in the parameters' order, flat, of the joint loss; a parameter with `None` is left
    /// alone, moments included, as the reference leaves variables without gradient.
    ///
    /// # Panics
    /// If the number of gradients or a length differs.
    pub fn step(
        &mut self,
        parameters: Parameters,
        gradients: Vec<Option<Tensor<1>>>,
        learning_rate: f64,
    ) -> (Parameters, StepReport) {
        let gradients = without_autodiff(gradients);
        let norm = sum_of_squares(&present(&gradients)).sqrt();
        self.apply(parameters, gradients, norm, learning_rate)
    }

    /// As [`Adam::step`], where reading the norm back must not block (a browser).
    ///
    /// # Errors
    /// What the device says if the norm cannot be read.
    pub async fn step_async(
        &mut self,
        parameters: Parameters,
        gradients: Vec<Option<Tensor<1>>>,
        learning_rate: f64,
    ) -> Result<(Parameters, StepReport), String> {
        let gradients = without_autodiff(gradients);
        let norm = sum_of_squares_async(&present(&gradients)).await?.sqrt();
        Ok(self.apply(parameters, gradients, norm, learning_rate))
    }

    fn apply(
        &mut self,
        parameters: Parameters,
        mut gradients: Vec<Option<Tensor<1>>>,
        gradient_norm: f64,
        learning_rate: f64,
    ) -> (Parameters, StepReport) {
        assert_eq!(gradients.len(), self.m.len(), "one gradient per parameter");
        assert_eq!(parameters.values().len(), self.m.len(), "the optimizer was made for other parameters");
        if !gradient_norm.is_finite() {
            return (parameters, StepReport { gradient_norm, applied: false });
        }
        self.updates += 1;
        let config = &self.config;
        let corrections = [config.beta1, config.beta2]
            .map(|beta| if config.bias_correction { 1.0 / (1.0 - beta.powf(self.updates as f64)) } else { 1.0 });
        // TensorFlow's clip_by_global_norm: unchanged below the norm, scaled onto it above.
        let gradient_scale = if gradient_norm > config.clip_norm { config.clip_norm / gradient_norm } else { 1.0 };
        // The moments are moved out, so that nobody else holds them and they are changed in place.
        let mut moments = std::mem::take(&mut self.m).into_iter().zip(std::mem::take(&mut self.v));
        let updated = parameters.map(|i, spec, value| {
            let (m, v) = moments.next().expect("one pair per parameter");
            let Some(gradient) = gradients[i].take() else {
                self.m.push(m);
                self.v.push(v);
                return value.clone();
            };
            let update = AdamUpdate {
                learning_rate: learning_rate * self.scales[i],
                beta1: config.beta1,
                beta2: config.beta2,
                epsilon: config.epsilon,
                weight_decay: if spec.decays() { config.weight_decay } else { 0.0 },
                gradient_scale,
                bias_corrections: corrections,
            };
            let updated = adam_update(AdamTensors { parameter: value.clone().inner(), m, v }, gradient, &update);
            self.m.push(updated.m);
            self.v.push(updated.v);
            if value.is_autodiff() { Tensor::from_inner(updated.parameter) } else { updated.parameter }
        });
        (updated, StepReport { gradient_norm, applied: true })
    }

    /// Moments on the host, `m.NAME` and `v.NAME`, for a checkpoint.
    pub fn to_host(&self, layout: &Layout) -> Vec<HostTensor> {
        let read = |letter: &str, values: &[Tensor<1>]| -> Vec<HostTensor> {
            let specs = layout.specs().iter().zip(values);
            specs.map(|(spec, value)| host::to_host(format!("{letter}.{}", spec.name), spec, value)).collect()
        };
        let mut tensors = read("m", &self.m);
        tensors.extend(read("v", &self.v));
        tensors
    }

    /// The optimizer that [`Adam::to_host`] wrote, after `updates` updates.
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
        let read = |tensors, prefix| -> Result<Vec<Tensor<1>>> {
            let values = host::take(layout, tensors, path, prefix)?;
            Ok(values.into_iter().map(|values| host::to_device(values, &device)).collect())
        };
        Ok(Self { config, scales: vec![1.0; layout.specs().len()], m: read(m, "m.")?, v: read(v, "v.")?, updates })
    }
}

fn without_autodiff(gradients: Vec<Option<Tensor<1>>>) -> Vec<Option<Tensor<1>>> {
    gradients.into_iter().map(|gradient| gradient.map(Tensor::inner)).collect()
}

fn present(gradients: &[Option<Tensor<1>>]) -> Vec<Tensor<1>> {
    gradients.iter().flatten().cloned().collect()
}

#[cfg(test)]
mod tests {
    use electra_model::{Initializer, ParameterSpec};

    use super::*;

    fn parameters(device: &Device) -> Parameters {
        let spec = |name: &str| ParameterSpec::new("", name, &[3], Initializer::Ones);
        Parameters::initialize(&Layout::new(vec![spec("a.weight"), spec("a.LayerNorm.weight")], vec![]), 0, device)
    }

    fn vector(values: [f32; 3], device: &Device) -> Option<Tensor<1>> {
        Some(Tensor::from_data(values, device))
    }

    fn values(tensor: &Tensor<1>) -> Vec<f32> {
        tensor.to_data().try_to_vec::<f32>().unwrap()
    }

    fn close(found: &Tensor<1>, expected: [f64; 3]) {
        for (found, expected) in values(found).into_iter().zip(expected) {
            assert!((f64::from(found) - expected).abs() < 2e-7, "{found} != {expected}");
        }
    }

    /// By hand: norm 5, clipped to 1, so g = .6, .8; m = .1 g, v = .001 g^2.
    #[test]
    fn a_step_is_the_references_formula() {
        let device = Device::flex();
        let start = parameters(&device);
        let mut adam = Adam::new(AdamConfig::default(), &start);
        let gradients = vec![vector([3.0, 0.0, 0.0], &device), vector([0.0, -4.0, 0.0], &device)];
        let (after, report) = adam.step(start, gradients, 0.01);
        assert_eq!(report, StepReport { gradient_norm: 5.0, applied: true });
        let moved = |g: f64| 0.1 * g / ((0.001 * g * g).sqrt() + 1e-6);
        let decayed = 1.0 - 0.01 * 0.01;
        close(&after.values()[0], [decayed - 0.01 * moved(0.6), decayed, decayed]);
        close(&after.values()[1], [1.0, 1.0 - 0.01 * moved(-0.8), 1.0]);
        close(&adam.moments().0[0], [0.06, 0.0, 0.0]);
        close(&adam.moments().1[1], [0.0, 0.00064, 0.0]);
    }

    #[test]
    fn bias_correction_makes_the_first_step_the_learning_rate() {
        let device = Device::flex();
        let start = parameters(&device);
        let config = AdamConfig { bias_correction: true, weight_decay: 0.0, ..AdamConfig::default() };
        let mut adam = Adam::new(config, &start);
        let (after, _) = adam.step(start, vec![vector([0.5, -0.5, 0.5], &device), None], 0.01);
        for (found, expected) in values(&after.values()[0]).into_iter().zip([0.99, 1.01, 0.99]) {
            assert!((found - expected).abs() < 1e-5, "{found}");
        }
    }

    #[test]
    fn a_gradient_that_is_not_finite_changes_nothing() {
        let device = Device::flex();
        for bad in [f32::NAN, f32::INFINITY] {
            let start = parameters(&device);
            let mut adam = Adam::new(AdamConfig::default(), &start);
            let (after, report) = adam.step(start, vec![vector([bad, 0.0, 0.0], &device), None], 0.01);
            assert!(!report.applied && adam.updates() == 0);
            assert_eq!(values(&after.values()[0]), [1.0; 3]);
            assert_eq!(values(&adam.moments().0[0]), [0.0; 3]);
        }
    }

    #[test]
    fn a_parameter_without_gradient_does_not_even_decay() {
        let device = Device::flex();
        let start = parameters(&device);
        let mut adam = Adam::new(AdamConfig::default(), &start);
        let (after, _) = adam.step(start, vec![None, vector([1.0, 1.0, 1.0], &device)], 0.01);
        assert_eq!(values(&after.values()[0]), [1.0; 3]);
        assert_ne!(values(&after.values()[1]), [1.0; 3]);
    }

    #[test]
    fn a_parameters_own_scale_multiplies_its_rate() {
        let device = Device::flex();
        let run = |scale: f64, rate: f64| {
            let start = parameters(&device);
            let mut adam =
                Adam::new(AdamConfig::default(), &start).with_learning_rate_scales(start.layout(), |_| scale);
            let gradients = vec![vector([1.0, 2.0, 3.0], &device), vector([1.0, 2.0, 3.0], &device)];
            values(&adam.step(start, gradients, rate).0.values()[0])
        };
        assert_eq!(run(0.5, 0.01), run(1.0, 0.005));
        assert_eq!(run(0.0, 0.01), [1.0; 3]);
    }

    #[test]
    fn saved_and_restored_it_goes_on_bit_for_bit() {
        let device = Device::flex();
        let gradients = || vec![vector([0.3, -0.7, 0.1], &device), vector([0.2, 0.0, -0.9], &device)];
        let mut whole = Adam::new(AdamConfig::default(), &parameters(&device));
        let (halfway, _) = whole.step(parameters(&device), gradients(), 0.01);
        let layout = halfway.layout().clone();
        let path = Path::new("optimizer.safetensors");
        let config = AdamConfig::default();
        let mut restored = Adam::from_host(config, &layout, whole.to_host(&layout), 1, path, &device).unwrap();
        let (a, _) = whole.step(halfway.clone(), gradients(), 0.02);
        let (b, _) = restored.step(halfway, gradients(), 0.02);
        assert_eq!(values(&a.values()[0]), values(&b.values()[0]));
        assert_eq!(whole.to_host(&layout), restored.to_host(&layout));
        let mut missing = whole.to_host(&layout);
        missing.pop();
        let error = Adam::from_host(config, &layout, missing, 1, path, &device).unwrap_err().to_string();
        assert!(error.contains("\"v.a.LayerNorm.weight\" is missing"), "{error}");
    }

    #[test]
    fn parameters_on_an_autodiff_device_stay_there() {
        let device = Device::flex().autodiff();
        let start = parameters(&device);
        let mut adam = Adam::new(AdamConfig::default(), &start);
        let gradients = vec![vector([1.0, 2.0, 3.0], &device), vector([1.0, 2.0, 3.0], &device)];
        let (after, report) = adam.step(start, gradients, 0.01);
        assert!(report.applied && after.values()[0].is_autodiff() && !adam.moments().0[0].is_autodiff());
    }
}
