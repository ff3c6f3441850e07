//! What training holds in memory: parameters, and the values that a step keeps.

use electra_model::objective::{HeadWork, NetworkPlan, Positions};
use electra_model::{ElectraConfig, ParameterSpec, Sharing, objective};

use crate::config::RunConfig;

/// Trainable values of a run, shared ones once: what its layout counts, without making a list as long as there are layers, of
/// which one may ask for more than any memory holds. Every layer adds the same.
pub(super) fn parameter_count(config: &RunConfig) -> f64 {
    let networks = config.model.networks();
    let count = |discriminator: usize, generator: usize| {
        let mut few = networks.clone();
        (few.discriminator.num_hidden_layers, few.generator.num_hidden_layers) = (discriminator, generator);
        let objective = objective::from_config(&config.objective, &few).expect("checked with the configuration");
        let size = |spec: &ParameterSpec| spec.shape.iter().map(|&size| size as f64).product::<f64>();
        objective.layout().specs().iter().map(size).sum::<f64>()
    };
    let one = count(1, 1);
    let more = |network: &ElectraConfig| (network.num_hidden_layers - 1) as f64;
    let (discriminator, generator) = (more(&networks.discriminator), more(&networks.generator));
    if networks.sharing == Sharing::All {
        // One encoder, whose layers are those of both.
        return one + discriminator * (count(2, 2) - one);
    }
    one + discriminator * (count(2, 1) - one) + generator * (count(1, 2) - one)
}

/// Encoders of a step, the one whose logits come first at the head, and the share of positions that get logits of the vocabulary.
pub(super) fn encoders_and_logits(plans: &[NetworkPlan], masked_fraction: f64) -> (Vec<&ElectraConfig>, f64) {
    // The one whose samples others read stands last among the plans, and comes first in a step.
    let encoders = plans.iter().rev().flat_map(|plan| std::iter::repeat_n(&plan.config, plan.work.encoders));
    let of_all = |head: &HeadWork| matches!(head, HeadWork::Vocabulary { positions: Positions::All, .. });
    let is_everywhere = plans.iter().flat_map(|plan| &plan.work.heads).any(of_all);
    (encoders.collect(), if is_everywhere { 1.0 } else { masked_fraction })
}

/// Bytes that training needs on the device.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MemoryEstimate {
    /// Weights, gradients and the two moments of Adam, 4 bytes each, and what else does not depend on the batch.
    pub parameters_bytes: f64,
    /// What the forward passes keep for the backward pass, and what is made meanwhile.
    pub activations_bytes: f64,
}

impl MemoryEstimate {
    /// Both together.
    pub fn total_bytes(&self) -> f64 {
        self.parameters_bytes + self.activations_bytes
    }
}

/// Estimates the memory of a step of primitives over `micro_batch` sequences, in f32. An estimate, to some 30 %: backends
/// differ in what they keep.
///
/// Counted per layer and token as in Korthikanti et al. 2022 (section 4.1), every operation keeping its input:
/// their 34 bytes per unit of hidden size and 5 per score in f16 are 17 and 2.5 values.
pub(super) fn training_memory(
    networks: &[&ElectraConfig],
    parameter_count: f64,
    micro_batch: usize,
    sequence_length: usize,
    masked_fraction: f64,
) -> MemoryEstimate {
    let tokens = micro_batch as f64 * sequence_length as f64;
    let activations = networks.iter().map(|config| {
        let per_layer = 17.0 * config.hidden_size as f64
            + 2.5 * config.num_attention_heads as f64 * sequence_length as f64
            // Their count holds a feed-forward layer of 4 x hidden, kept before and after GELU; ours is declared.
            + 2.0 * (config.intermediate_size as f64 - 4.0 * config.hidden_size as f64);
        per_layer.max(0.0) * config.num_hidden_layers as f64 + 4.0 * config.embedding_size as f64
    });
    // Logits, their softmax, the noise and the gradient of the first network's vocabulary at masked positions.
    let logits = networks.first().map_or(0.0, |config| 4.0 * masked_fraction * config.vocab_size as f64);
    MemoryEstimate {
        parameters_bytes: 16.0 * parameter_count,
        activations_bytes: 4.0 * tokens * (activations.sum::<f64>() + logits),
    }
}

/// Logits that the kernels have in memory at once, in bytes (`electra_kernels`' MLM loss).
const LOGITS_BYTES: f64 = (64 << 20) as f64;

/// What the runtime's pages hold beside the arrays themselves.
const PAGES: f64 = 1.1;

/// Estimates the memory of a step over `micro_batch` sequences where the kernels of graphics adapters run, in f32: what
/// they keep is known array by array (`electra_kernels`' encoder layer). `networks`: the first has the head with logits.
///
/// Above what was measured, by less than 20 %: the test below.
pub(super) fn kernels_memory(
    networks: &[&ElectraConfig],
    parameter_count: f64,
    micro_batch: usize,
    sequence_length: usize,
    masked_fraction: f64,
    recompute: bool,
) -> MemoryEstimate {
    let tokens = micro_batch as f64 * sequence_length as f64;
    // Values a token: those that live until the backward pass, and those of the one layer that it works on.
    let per_token = |config: &&ElectraConfig| {
        let [hidden, inner, heads, layers, embedding] = [
            config.hidden_size,
            config.intermediate_size,
            config.num_attention_heads,
            config.num_hidden_layers,
            config.embedding_size,
        ]
        .map(|size| size as f64);
        // Input, q, k, v, the attention's output and both sums before layer normalization; values before GELU; statistics.
        let layer = 7.0 * hidden + inner + 2.0 * heads + 5.0;
        // Three gradients of the layer's width, GELU's values and their gradient.
        let passing = 3.0 * hidden + 2.0 * inner;
        // Sums of embeddings before and after dropout; the head's values before and after GELU.
        let ends = 2.0 * embedding + 2.0 * hidden;
        let (kept, working) = if recompute { (hidden, layer + passing) } else { (layer, passing) };
        [layers * kept + ends, working]
    };
    let sizes: Vec<[f64; 2]> = networks.iter().map(per_token).collect();
    let working = sizes.iter().fold(0.0, |most: f64, [_, working]| most.max(*working));
    let kept = |sizes: &[[f64; 2]]| 4.0 * tokens * sizes.iter().map(|[kept, _]| kept).sum::<f64>();
    let Some((head, others)) = networks.first().zip(sizes.get(1..)) else {
        return MemoryEstimate { parameters_bytes: 16.0 * parameter_count, activations_bytes: 0.0 };
    };
    let (vocab, embedding) = (head.vocab_size as f64, head.embedding_size as f64);
    let rows = masked_fraction * tokens;
    let masked = 4.0 * rows * (head.hidden_size as f64 + 5.0 * embedding);
    let logits = LOGITS_BYTES.min(4.0 * vocab * rows.max(64.0));
    // Logits are gone before the other network begins. At the end of the backward pass there are gradients instead, not yet
    // in the optimizer's array.
    let begins = kept(&sizes[..1]) + masked + logits.max(kept(others) + 4.0 * tokens * working);
    let ends = 4.0 * parameter_count + 4.0 * tokens * working;
    MemoryEstimate {
        // Three gradients of the word table: as it comes from the logits, scaled by the loss's, and from the inputs.
        parameters_bytes: PAGES * (16.0 * parameter_count + 12.0 * vocab * embedding),
        activations_bytes: PAGES * begins.max(ends),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_those_of_the_layout() {
        let sets = ["model.sharing=none", "model.embedding_size=32", "model.type_vocab_size=1"].map(String::from);
        let all = ["model.sharing=all", "model.generator_size=1.0", "model.generator_depth=1.0"].map(String::from);
        let gdes = ["model.sharing=gdes".to_owned()];
        for name in objective::names() {
            for preset in crate::config::preset_names() {
                for sets in [&[][..], &sets[..1], &sets[1..], &all, &sets, &gdes] {
                    let sets = [sets, &[format!("objective.name={name}")]].concat();
                    let Ok(config) = crate::config::resolve(Some(preset), None, &sets) else {
                        // Neighbours want the positions' columns in the first layer; towers are no encoder to share.
                        assert!(preset == "first" || name == "electric", "{name} {preset} {sets:?}");
                        continue;
                    };
                    let layout = config.make_objective().layout();
                    assert_eq!(parameter_count(&config), layout.parameter_count() as f64, "{name} {preset} {sets:?}");
                }
            }
        }
    }

    #[test]
    fn memory_grows_with_the_micro_batch_alone() {
        let config = ElectraConfig::default();
        let one = training_memory(&[&config], 1000.0, 1, 128, 0.15);
        let four = training_memory(&[&config], 1000.0, 4, 128, 0.15);
        assert_eq!(one.parameters_bytes, four.parameters_bytes);
        assert!((four.activations_bytes / one.activations_bytes - 4.0).abs() < 1e-9);
    }
    /// Bytes of the runtime's pools after two steps, by `electra bench step --device gpu` on Mesa's llvmpipe.
    #[test]
    fn kernels_take_what_was_measured() {
        for (preset, batch, seq, recompute, measured) in [
            ("small", 8, 128, false, 480e6),
            ("small", 32, 128, false, 1076e6),
            ("small", 4, 512, false, 656e6),
            ("small", 8, 128, true, 362e6),
            ("small", 32, 128, true, 437e6),
            ("tiny", 8, 128, false, 85e6),
            ("tiny", 32, 128, false, 215e6),
            ("tiny", 64, 128, false, 375e6),
            ("tiny", 32, 128, true, 110e6),
        ] {
            let sets = [format!("train.sequence_length={seq}"), format!("train.recompute={recompute}")];
            let config = crate::config::resolve(Some(preset), None, &sets).unwrap();
            let networks = config.model.networks();
            let (both, count) = ([&networks.generator, &networks.discriminator], parameter_count(&config));
            let masked = config.data.masking_probability;
            let memory = kernels_memory(&both, count, batch, seq, masked, recompute);
            let ratio = memory.total_bytes() / measured;
            assert!((1.0..1.2).contains(&ratio), "{preset} {batch} x {seq}, recompute {recompute}: {ratio}");
        }
    }
}
