//! Both networks forward: logits and hidden states.

use burn::tensor::{Device, Tensor};
use electra_model::pretraining::{DISCRIMINATOR, GENERATOR};
use electra_model::{Discriminator, EncoderInput, Generator};

use super::compare::{OUTPUT_TOLERANCE, assert_close, values};
use super::folder::{Folder, Pair, input_of};

/// # Panics
/// If a value is another one than PyTorch's.
pub async fn forward(folder: &Folder, device: &Device) {
    let tensors = folder.tensors("forward.safetensors");
    let Pair { networks, parameters } = Pair::of(folder, device);
    let generator = Generator::bind(&networks.generator, &parameters, GENERATOR);
    let discriminator = Discriminator::bind(&networks.discriminator, &parameters, DISCRIMINATOR);
    let input = input_of(&tensors, device);
    let check = async |name: &str, found: Tensor<2>| {
        let what = format!("{} {name}", folder.name);
        assert_close(&what, &values(found).await, &tensors.floats_at(name, None), OUTPUT_TOLERANCE, 1e-5);
    };
    let hidden = generator.encode(&input, None).last_hidden;
    check("out.gen_last_hidden", hidden.clone()).await;
    check("out.gen_logits", generator.logits(hidden)).await;
    check("out.disc_logits", discriminator.forward(&input, None)).await;
    let states = discriminator.encoder.forward(&input, None).hidden_states;
    for (i, state) in states.into_iter().enumerate() {
        check(&format!("out.disc_hidden_{i}"), state).await;
    }
    let plain = EncoderInput {
        ids: input.ids.clone(),
        token_type_ids: input.token_type_ids.zeros_like(),
        attention_mask: input.attention_mask.ones_like(),
    };
    check("out.disc_logits_no_mask_no_types", discriminator.forward(&plain, None)).await;
}
