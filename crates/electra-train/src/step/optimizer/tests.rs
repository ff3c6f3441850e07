use electra_model::Initializer;

use super::*;
use crate::host::wait_for;

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
        assert!(!report.applied && wait_for(adam.counters()) == Ok((0, None)));
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
    assert_eq!(wait_for(scaled.counters()), Ok((1, Some(LossScale { factor: 65_536.0, good_steps: 1 }))));

    let (_, report) = scaled.step(found, gradients(f32::INFINITY), 0.01).unwrap();
    assert!(!report.applied);
    assert_eq!(wait_for(scaled.counters()), Ok((1, Some(LossScale { factor: 32_768.0, good_steps: 0 }))));
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
        let mut adam = Adam::new(AdamConfig::default(), &start).with_learning_rate_scales(start.layout(), |_| scale);
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
    let on_host = |adam: &Adam| wait_for(adam.to_host(&layout)).unwrap();
    let mut restored = Adam::from_host(config, &layout, on_host(&whole), 1, path, &device).unwrap();
    let (a, _) = whole.step(halfway.clone(), gradients(), 0.02).unwrap();
    let (b, _) = restored.step(halfway, gradients(), 0.02).unwrap();
    assert_eq!(values(&a.values()[0]), values(&b.values()[0]));
    assert_eq!(on_host(&whole), on_host(&restored));
    let mut missing = on_host(&whole);
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
