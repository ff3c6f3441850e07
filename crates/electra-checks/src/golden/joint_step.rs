//! One joint step: losses, logits, and the gradient of every parameter.

use burn::tensor::{Device, Tensor};
use electra_model::pretraining::GENERATOR;
use electra_model::{DeviceBatch, Generator, ObjectiveConfig, objective};
use electra_train::step::trainer::gradients_of;

use super::compare::{LOSS_TOLERANCE, OUTPUT_TOLERANCE, assert_close, assert_gradient_close, values};
use super::folder::{Folder, Pair, batch_of, context, fixture_name};

/// # Panics
/// If a value is another one than PyTorch's.
pub async fn joint_step(folder: &Folder, device: &Device) {
    let device = device.clone().autodiff();
    let tensors = folder.tensors("joint_step.safetensors");
    let pair = Pair::of(folder, &device);
    let (batch, samples) = batch_of(&tensors, None);
    let device_batch = DeviceBatch::new(&batch, &device);
    let parameters = pair.parameters.map(|_, _, value| value.clone().require_grad());
    let output = pair.objective().step(&parameters, &device_batch, &context(&batch, &samples, &device));
    let seen = &output.observations;

    for (name, loss) in [("out.mlm_loss", &seen.generator_loss), ("out.disc_loss", &seen.discriminator_loss)] {
        let found = values(loss.clone().expect("RTD has both")).await;
        let what = format!("{} {name}", folder.name);
        assert_close(&what, &found, &tensors.floats_at(name, None), LOSS_TOLERANCE, 0.0);
    }
    assert_close(
        "out.disc_logits",
        &values(seen.discriminator_logits.clone().expect("RTD has a discriminator")).await,
        &tensors.floats_at("out.disc_logits", None),
        OUTPUT_TOLERANCE,
        1e-5,
    );
    let generator = Generator::bind(&pair.networks.generator, &pair.parameters, GENERATOR);
    let hidden = generator.encode(&device_batch.input(device_batch.masked_ids.clone()), None).last_hidden;
    let masked = electra_kernels::gather_positions(hidden, &device_batch.masked_positions, batch.seq);
    assert_close(
        "out.gen_masked_logits",
        &values(generator.logits(masked)).await,
        &tensors.floats_at("out.gen_masked_logits", None),
        OUTPUT_TOLERANCE,
        1e-5,
    );

    // The total's gradients as the trainer takes them, then each loss's alone through the weights.
    let check = async |loss: &str, gradients: Vec<Option<Tensor<1>>>| {
        for (spec, gradient) in parameters.specs().iter().zip(gradients) {
            let name = format!("grad.{loss}.{}", fixture_name(&spec.name));
            let found = match gradient {
                Some(gradient) => values(gradient).await,
                None => vec![0.0; spec.len()],
            };
            // One that is absent is exactly 0.
            let expected = match tensors.has(&name) {
                true => tensors.floats_at(&name, None),
                false => vec![0.0; spec.len()],
            };
            assert_gradient_close(&format!("{} {name}", folder.name), &found, &expected);
        }
    };
    check("total_loss", gradients_of(&parameters, &output.loss)).await;
    for (name, generator, discriminator) in [("mlm_loss", 1.0, 0.0), ("disc_loss", 0.0, 1.0)] {
        let mut config = ObjectiveConfig::default();
        config.rtd.generator_loss_weight = generator;
        config.rtd.discriminator_loss_weight = discriminator;
        let objective = objective::from_config(&config, &pair.networks).expect("the default is one of the list");
        let output = objective.step(&parameters, &device_batch, &context(&batch, &samples, &device));
        check(name, gradients_of(&parameters, &output.loss)).await;
    }
}
