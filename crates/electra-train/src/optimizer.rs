//! The reference's optimizer: Adam without bias correction, decoupled weight decay, one global norm to clip.
//!
//! One optimizer over all networks, as in google-research/electra's `optimization.py`: the norm is that of the
//! joint gradient, so that the discriminator's part, 50 times the loss, decides how far the generator moves.
//! Burn's own Adam corrects bias and clips tensor by tensor, which is another optimizer.
//!
//! On a graphics adapter parameters and moments live in the kernels' arenas ([`DeviceAdam`]), where the norm, the clipping
//! and the skipping of a broken step are decided without the host. Elsewhere it is one tensor after another.

use std::path::Path;

use burn::tensor::{Device, Tensor};
use electra_kernels::DeviceFailure;
pub use electra_kernels::adam::LossScale;
use electra_kernels::adam::{
    AdamTensors, AdamUpdate, DeviceAdam, DeviceUpdate, ParameterRule, adam_update, sum_of_squares, sum_of_squares_async,
};
use electra_kernels::read::{self, Reads};
use electra_model::{Layout, ParameterSpec, Parameters};

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

impl AdamConfig {
    fn decay_of(&self, spec: &ParameterSpec) -> f64 {
        if spec.decays() { self.weight_decay } else { 0.0 }
    }
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
    /// What the loss had been multiplied by: 1 unless the optimizer scales it.
    pub loss_factor: f64,
}

/// What a step did, or will have done when the device gets there.
#[derive(Debug, Clone)]
pub enum PendingReport {
    Ready(StepReport),
    /// `[3]`: norm, 1 where the update was made, the loss's factor.
    OnDevice(Box<Tensor<1>>),
}

impl PendingReport {
    /// Waits for the device.
    ///
    /// # Errors
    /// The device failed.
    pub fn resolve(self) -> Result<StepReport, DeviceFailure> {
        match self {
            Self::Ready(report) => Ok(report),
            Self::OnDevice(report) => Ok(Self::read(&read::floats(&report)?)),
        }
    }

    /// As [`PendingReport::resolve`], where waiting must not block (a browser).
    ///
    /// # Errors
    /// The device failed.
    pub async fn resolve_async(self) -> Result<StepReport, DeviceFailure> {
        match self {
            Self::Ready(report) => Ok(report),
            Self::OnDevice(report) => {
                let mut reads = Reads::default();
                let report = reads.floats(&report);
                Ok(Self::read(&read::floats_of(&reads.read_async().await?[report])))
            }
        }
    }

    fn read(report: &[f32]) -> StepReport {
        let &[norm, applied, loss_factor] = report else { panic!("a report holds three values") };
        StepReport { gradient_norm: f64::from(norm), applied: applied > 0.0, loss_factor: f64::from(loss_factor) }
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
        let pieces = layout.pieces().len();
        assert_eq!(pieces, self.scales.len(), "the layout has {pieces} pieces, the parameters {}", self.scales.len());
        self.scales = layout.pieces().map(|(spec, _)| scale(&spec.name)).collect();
        self
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

    /// The loss's factor after all updates so far, for a checkpoint. Waits for a graphics adapter.
    ///
    /// # Errors
    /// The device failed.
    pub fn loss_scale(&self) -> Result<Option<LossScale>, DeviceFailure> {
        match &self.state {
            State::OnDevice(adapter) => adapter.loss_scale(),
            State::Separate { .. } => Ok(self.loss_scale),
        }
    }

    /// Updates made so far. Waits for a graphics adapter.
    ///
    /// # Errors
    /// The device failed.
    pub fn updates(&self) -> Result<u64, DeviceFailure> {
        match &self.state {
            State::Separate { updates, .. } => Ok(*updates),
            State::OnDevice(device) => device.updates(),
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
    /// they are. The parameters come back as views of the arenas, which updates change in place.
    ///
    /// # Errors
    /// The device failed.
    pub fn move_to_device(&mut self, parameters: Parameters) -> Result<(Parameters, bool), DeviceFailure> {
        let values: Vec<Tensor<1>> = parameters.values().iter().map(|value| value.clone().inner()).collect();
        if let State::OnDevice(device) = &self.state
            && device.holds(&values)
        {
            return Ok((parameters, true));
        }
        let (m, v) = self.moments();
        let device = DeviceAdam::new(&values, &m, &v, self.updates()?, self.loss_scale()?);
        let Some(device) = device else { return Ok((parameters, false)) };
        let views = device.parameters();
        let parameters =
            parameters.map(
                |i, _, value| {
                    if value.is_autodiff() { Tensor::from_inner(views[i].clone()) } else { views[i].clone() }
                },
            );
        self.state = State::OnDevice(Box::new(device));
        Ok((parameters, true))
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
        let (parameters, on_device) = self.move_to_device(parameters)?;
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
        let (parameters, on_device) = self.move_to_device(parameters)?;
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
        let loss_factor = self.loss_scale.map_or(1.0, |scale| scale.factor);
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
    pub fn to_host(&self, layout: &Layout) -> Result<Vec<HostTensor>, DeviceFailure> {
        let (m, v) = self.moments();
        let mut tensors = host::to_host(layout, &m, "m.")?;
        tensors.extend(host::to_host(layout, &v, "v.")?);
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

#[cfg(test)]
mod tests {
    use electra_model::Initializer;

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
        let (after, report) = adam.step(start, gradients, 0.01).unwrap();
        assert_eq!(report, StepReport { gradient_norm: 5.0, applied: true, loss_factor: 1.0 });
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
        let (after, _) = adam.step(start, vec![vector([0.5, -0.5, 0.5], &device), None], 0.01).unwrap();
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
            let (after, report) = adam.step(start, vec![vector([bad, 0.0, 0.0], &device), None], 0.01).unwrap();
            assert!(!report.applied && adam.updates() == Ok(0));
            assert_eq!(values(&after.values()[0]), [1.0; 3]);
            assert_eq!(values(&adam.moments().0[0]), [0.0; 3]);
        }
    }

    #[test]
    fn a_scaled_loss_changes_no_digit_and_its_factor_follows_overflows() {
        let device = Device::flex();
        let gradients = |factor: f32| {
            let of = |values: [f32; 3]| vector(values.map(|value| value * factor), &device);
            vec![of([0.3, -7.0, 0.1]), of([0.2, 0.0, -0.9])]
        };
        let mut plain = Adam::new(AdamConfig::default(), &parameters(&device));
        let mut scaled = plain.clone().with_loss_scale(Some(LossScale::default()));
        let factor = scaled.loss_factor(&device).unwrap().into_scalar::<f32>();
        let (expected, report) = plain.step(parameters(&device), gradients(1.0), 0.01).unwrap();
        let (found, of_scaled) = scaled.step(parameters(&device), gradients(factor), 0.01).unwrap();
        assert_eq!(values(&found.values()[0]), values(&expected.values()[0]));
        assert_eq!(of_scaled, StepReport { loss_factor: 65_536.0, ..report });
        assert_eq!(scaled.loss_scale(), Ok(Some(LossScale { factor: 65_536.0, good_steps: 1 })));

        let (_, report) = scaled.step(found, gradients(f32::INFINITY), 0.01).unwrap();
        assert!(!report.applied);
        assert_eq!(scaled.loss_scale(), Ok(Some(LossScale { factor: 32_768.0, good_steps: 0 })));
    }

    #[test]
    fn the_losss_factor_grows_after_a_long_time_and_has_its_bounds() {
        let mut scale = LossScale { factor: 1.0, good_steps: 0 };
        assert_eq!(scale.after(true, false), scale, "never below 1");
        assert_eq!(scale.after(false, false), scale, "a loss that is no number is another matter");
        for _ in 0..2000 {
            assert_eq!(scale.factor, 1.0);
            scale = scale.after(true, true);
        }
        assert_eq!(scale, LossScale { factor: 2.0, good_steps: 0 });
        for _ in 0..30 {
            scale = LossScale { good_steps: 1999, ..scale }.after(true, true);
        }
        assert_eq!(scale.factor, 16_777_216.0);
    }

    #[test]
    fn a_parameter_without_gradient_does_not_even_decay() {
        let device = Device::flex();
        let start = parameters(&device);
        let mut adam = Adam::new(AdamConfig::default(), &start);
        let (after, _) = adam.step(start, vec![None, vector([1.0, 1.0, 1.0], &device)], 0.01).unwrap();
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
            values(&adam.step(start, gradients, rate).unwrap().0.values()[0])
        };
        assert_eq!(run(0.5, 0.01), run(1.0, 0.005));
        assert_eq!(run(0.0, 0.01), [1.0; 3]);
    }

    #[test]
    fn saved_and_restored_it_goes_on_bit_for_bit() {
        let device = Device::flex();
        let gradients = || vec![vector([0.3, -0.7, 0.1], &device), vector([0.2, 0.0, -0.9], &device)];
        let mut whole = Adam::new(AdamConfig::default(), &parameters(&device));
        let (halfway, _) = whole.step(parameters(&device), gradients(), 0.01).unwrap();
        let layout = halfway.layout().clone();
        let path = Path::new("optimizer.safetensors");
        let config = AdamConfig::default();
        let mut restored = Adam::from_host(config, &layout, whole.to_host(&layout).unwrap(), 1, path, &device).unwrap();
        let (a, _) = whole.step(halfway.clone(), gradients(), 0.02).unwrap();
        let (b, _) = restored.step(halfway, gradients(), 0.02).unwrap();
        assert_eq!(values(&a.values()[0]), values(&b.values()[0]));
        assert_eq!(whole.to_host(&layout).unwrap(), restored.to_host(&layout).unwrap());
        let mut missing = whole.to_host(&layout).unwrap();
        missing.pop();
        let error = Adam::from_host(config, &layout, missing, 1, path, &device).unwrap_err().to_string();
        assert!(error.contains("\"v.a.LayerNorm.weight\" is missing"), "{error}");
    }

    #[test]
    #[should_panic(expected = "the layout has 3 pieces, the parameters 2")]
    fn scales_of_other_parameters_are_refused() {
        let mut specs = parameters(&Device::flex()).specs().to_vec();
        specs.push(ParameterSpec::new("", "b.weight", &[3], Initializer::Ones));
        let adam = Adam::new(AdamConfig::default(), &parameters(&Device::flex()));
        let _ = adam.with_learning_rate_scales(&Layout::new(specs, vec![]), |_| 1.0);
    }

    #[test]
    fn parameters_that_nobody_else_holds_are_updated_in_place() {
        let device = Device::flex();
        // Long enough for an array of its own, whose place can be told.
        let spec = ParameterSpec::new("", "a.weight", &[5000], Initializer::Ones);
        let start = Parameters::initialize(&Layout::new(vec![spec], vec![]), 0, &device);
        let place = |parameters: &Parameters| {
            let value = parameters.values()[0].clone().try_into_primitive::<burn::backend::Flex>();
            value.expect("the device is the CPU").storage::<f32>().as_ptr()
        };
        let before = place(&start);
        let mut adam = Adam::new(AdamConfig::default(), &start);
        let gradients = vec![Some(Tensor::ones([5000], &device))];
        let (after, _) = adam.step(start, gradients, 0.01).unwrap();
        assert_eq!(place(&after), before);
    }

    #[test]
    fn parameters_on_an_autodiff_device_stay_there() {
        let device = Device::flex().autodiff();
        let start = parameters(&device);
        let mut adam = Adam::new(AdamConfig::default(), &start);
        let gradients = vec![vector([1.0, 2.0, 3.0], &device), vector([1.0, 2.0, 3.0], &device)];
        let (after, report) = adam.step(start, gradients, 0.01).unwrap();
        assert!(report.applied && after.values()[0].is_autodiff() && !adam.moments().0[0].is_autodiff());
    }
}
