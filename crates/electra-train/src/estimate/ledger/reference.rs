//! The reference's rule: that of google-research/electra's `flops_computation.py`, so that our numbers stand beside the paper's.
//!
//! An operation on an element counts one, a multiply-add two, the backward pass as much as the forward pass, an embedding
//! look-up as the product it replaces.

use electra_model::ElectraConfig;
use electra_model::objective::{HeadWork, NetworkPlan, Positions, PretrainedHead, Work};
use serde::Serialize;

use super::phases;
use crate::config::RunConfig;

/// Operations of a step of `networks` by the reference's rule: `flops_computation.py` of google-research/electra, which counts
/// the logits of 20 of 128 positions. What it knows no rule for (towers, query streams, phases) is counted by the same ones.
pub fn reference(networks: &[NetworkPlan], batch_size: usize, sequence_length: usize) -> f64 {
    networks.iter().map(|plan| network_step_flops(plan, batch_size, sequence_length)).sum()
}

/// Operations of a step of `config` by the reference's rule, a mean over its phases.
pub fn reference_of(config: &RunConfig) -> f64 {
    let (objective, train) = (config.make_objective(), &config.train);
    let of_phase = |(phase, steps): (&str, u64)| {
        steps as f64 * reference(&objective.networks_in(phase), train.batch_size, train.sequence_length)
    };
    phases(&*objective, train.steps).into_iter().map(of_phase).sum::<f64>() / train.steps as f64
}

/// Share of positions whose logits the reference counts: 20 of 128.
const MASKED_FRACTION: f64 = 0.15625;

/// Operations per token of one forward pass through the encoder, embeddings included.
fn encoder_flops_per_token(config: &ElectraConfig, sequence_length: usize) -> f64 {
    let [hidden, embedding, vocab, seq] =
        [config.hidden_size, config.embedding_size, config.vocab_size, sequence_length].map(|size| size as f64);
    let (heads, inner) = (config.num_attention_heads as f64, config.intermediate_size as f64);
    let layer = 3.0 * (2.0 * hidden * hidden + hidden) // query, key, value
        + 4.0 * hidden * seq + 10.0 * seq * heads // scores, softmax, dropout, weighted sum
        + 2.0 * hidden * hidden + hidden + 5.0 * hidden + 5.0 // output, dropout, residual, layer norm
        + 4.0 * hidden * inner + 9.0 * inner + 11.0 * hidden; // feed-forward, GELU, layer norm
    let projection = if embedding == hidden { 0.0 } else { 2.0 * hidden * embedding + hidden };
    let input = 2.0 * embedding * vocab + 2.0 * embedding * (seq + 2.0) + 11.0 * embedding + projection;
    layer * config.num_hidden_layers as f64 + input
}

/// Operations per token of the generator's head, of whose positions `masked_fraction` get logits.
fn mlm_head_flops_per_token(config: &ElectraConfig, masked_fraction: f64) -> f64 {
    let [hidden, embedding, vocab] =
        [config.hidden_size, config.embedding_size, config.vocab_size].map(|size| size as f64);
    masked_fraction * (2.0 * embedding * vocab + 2.0 * embedding * hidden + 14.0 * embedding + 7.0 * vocab)
}

/// Operations per token of the discriminator's head.
fn rtd_head_flops_per_token(config: &ElectraConfig) -> f64 {
    let hidden = config.hidden_size as f64;
    2.0 * hidden * hidden + 11.0 * hidden
}

/// Operations of one training step of a network as an objective plans it: one pass where it is not trained, two where it is.
fn network_step_flops(plan: &NetworkPlan, batch_size: usize, sequence_length: usize) -> f64 {
    let work = &plan.work;
    let streams = work.encoders as f64 + if work.has_query_stream { MASKED_FRACTION } else { 0.0 };
    let head = |head: &HeadWork| match head {
        HeadWork::Binary(_) => rtd_head_flops_per_token(&plan.config),
        HeadWork::Vocabulary { positions: Positions::All, .. } => mlm_head_flops_per_token(&plan.config, 1.0),
        HeadWork::Vocabulary { .. } => mlm_head_flops_per_token(&plan.config, MASKED_FRACTION),
    };
    // The reference's rule counts a head once.
    let learns = |head: &&HeadWork| !matches!(head, HeadWork::Vocabulary { is_repeated: true, .. });
    let heads: f64 = work.heads.iter().filter(learns).map(head).sum();
    let passes = if work.is_trained { 2.0 } else { 1.0 };
    let per_token = streams * encoder_flops_per_token(&plan.config, sequence_length) + heads;
    passes * per_token * (batch_size * sequence_length) as f64
}

/// A published number of the reference's `flops_computation.py`.
#[derive(Debug, Clone, Serialize)]
pub struct Published {
    /// Whose it is.
    pub name: &'static str,
    /// What was trained, in words.
    pub of: &'static str,
    /// Operations of the whole training.
    pub flops: f64,
}

/// The seven numbers that the reference prints, counted by its rule.
pub fn published() -> Vec<Published> {
    let network = |hidden: usize, layers, embedding, vocab| ElectraConfig {
        vocab_size: vocab,
        embedding_size: embedding,
        hidden_size: hidden,
        num_hidden_layers: layers,
        num_attention_heads: (hidden / 64).max(1),
        intermediate_size: 4 * hidden,
        ..ElectraConfig::default()
    };
    let plan = |config, work| NetworkPlan {
        role: "network",
        prefix: "",
        head: PretrainedHead::MaskedLanguageModeling,
        other_heads: &[],
        is_exported: false,
        config,
        work,
    };
    let electra = |hidden, generator, layers, embedding, seq, batch, steps: f64| {
        let [generator, discriminator] = [generator, hidden].map(|width| network(width, layers, embedding, 30522));
        let work = Work::vocabulary(Positions::Masked, true);
        steps * reference(&[plan(generator, work), plan(discriminator, Work::detection())], batch, seq)
    };
    let mlm = |network: ElectraConfig, seq, batch, steps: f64, positions| {
        steps * reference(&[plan(network, Work::vocabulary(positions, false))], batch, seq)
    };
    let number = |name, of, flops| Published { name, of, flops };
    vec![
        number("electra_small", "1M steps of 128 x 128", electra(256, 64, 12, 128, 128, 128, 1e6)),
        number(
            "bert_small",
            "1.45M steps of 128 x 128",
            mlm(network(256, 12, 128, 30522), 128, 128, 1.45e6, Positions::Masked),
        ),
        number("electra_base", "766k steps of 256 x 512", electra(768, 256, 12, 768, 512, 256, 766e3)),
        number("electra_400k", "large, 400k steps of 2048 x 512", electra(1024, 256, 24, 1024, 512, 2048, 400e3)),
        number("electra_1.75M", "large, 1.75M steps of 2048 x 512", electra(1024, 256, 24, 1024, 512, 2048, 1.75e6)),
        number(
            "gpt",
            "960,800 steps of 128 x 512",
            mlm(network(768, 12, 768, 40_000), 512, 128, 960_800.0, Positions::All),
        ),
        number(
            "roberta",
            "large, 500k steps of 8000 x 512",
            mlm(network(1024, 24, 1024, 50_265), 512, 8000, 500e3, Positions::Masked),
        ),
    ]
}
