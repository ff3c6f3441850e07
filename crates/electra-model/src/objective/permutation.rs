//! Permutation language modelling with two streams: XLNet's objective (Yang et al. 2019), on ELECTRA's encoder.
//!
//! Tokens that are not chosen have rank 0; the chosen ones ranks 1, 2, ... in a random order. The content stream reads every
//! token, which sees ranks up to its own. The query stream is of the chosen positions alone: it begins as [MASK]'s embedding at
//! their places, sees content of ranks below its own, and predicts the token: L = mean(-log p(original), chosen positions). Both
//! streams go through the same weights. Used, and exported as `ElectraForMaskedLM`, with full attention on the content stream.

use burn::tensor::{Int, Tensor};
use electra_data::Batch;
use electra_kernels::noise::NoiseKey;
use electra_kernels::{Visibility, gather_positions};

use super::corruption::{at_tokens, kept_plan, masked_loss, masked_output, noise};
use super::{
    NetworkPlan, Objective, ObjectiveConfig, Positions, PretrainedHead, StepContext, StepOutput, Work,
    noise_site,
};
use crate::{
    batch::DeviceBatch,
    config::ElectraConfig,
    encoder::QueryStream,
    network::Generator,
    parameters::{Layout, Parameters},
    pretraining::{DISCRIMINATOR, PretrainingConfig},
};

/// `[objective.permutation]`
pub(super) type Keys = super::config::NoKeys;

pub(super) struct PermutationLanguageModeling {
    network: ElectraConfig,
}

pub(super) fn new(_: &ObjectiveConfig, networks: &PretrainingConfig) -> PermutationLanguageModeling {
    PermutationLanguageModeling { network: networks.discriminator.clone() }
}

/// Ranks of the chosen positions, `[batch, max_masked]`: 1 to their number in an order of each example's own, 0 for an unused slot.
pub(crate) fn random_ranks(batch: &Batch, key: NoiseKey) -> Vec<u32> {
    let mut ranks = vec![0; batch.mask_weights.len()];
    let rows = ranks.chunks_mut(batch.max_masked).zip(batch.mask_weights.chunks(batch.max_masked));
    for ((ranks, weights), &example) in rows.zip(&batch.example_numbers) {
        let key = key.child(u64::from(example));
        let mut slots: Vec<usize> = (0..weights.len()).filter(|&slot| weights[slot] > 0.0).collect();
        slots.sort_by_key(|&slot| (key.bits(slot as u32), slot));
        for (place, slot) in slots.into_iter().enumerate() {
            ranks[slot] = place as u32 + 1;
        }
    }
    ranks
}

/// Output rows for the masked positions, `[slots, embedding]`: what the table is multiplied with.
pub(crate) fn query_rows(
    network: &Generator,
    batch: &DeviceBatch,
    ranks: &[u32],
    context: &StepContext,
) -> Tensor<2> {
    let mask = &batch.attention_mask;
    let of_tokens = batch.of_tokens(at_tokens(&batch.host, |slot| ranks[slot] as f32));
    let below = batch.of_slots(ranks.iter().map(|&rank| rank as f32 - 1.0).collect());
    let [examples, seq] = batch.original_ids.dims();
    let masks: Tensor<2, Int> = Tensor::full([examples, seq], i64::from(context.special.mask), &batch.original_ids.device());
    let own_noise = noise(context, batch, noise_site::SECOND);
    let embedded = network.encoder.embed(&batch.input(masks), own_noise);
    let queries = QueryStream {
        embedded: gather_positions(embedded, &batch.masked_positions, seq),
        visibility: Visibility::ranked(mask, of_tokens.clone(), below),
        noise: own_noise,
    };
    let content = Visibility::ranked(mask, of_tokens.clone(), of_tokens);
    let input = batch.input(batch.original_ids.clone());
    let noise = noise(context, batch, noise_site::DISCRIMINATOR);
    network.transform(network.encoder.two_streams(&input, &content, queries, noise))
}

impl Objective for PermutationLanguageModeling {
    fn name(&self) -> &'static str {
        "permutation"
    }

    fn layout(&self) -> Layout {
        Layout::new(Generator::specs(&self.network, DISCRIMINATOR), Vec::new())
    }

    fn networks(&self) -> Vec<NetworkPlan> {
        let work = Work { has_query_stream: true, ..Work::vocabulary(Positions::Masked, false) };
        vec![kept_plan(&self.network, PretrainedHead::MaskedLanguageModeling, work)]
    }

    fn step(&self, parameters: &Parameters, batch: &DeviceBatch, context: &StepContext) -> StepOutput {
        let mut network = Generator::bind(&self.network, parameters, DISCRIMINATOR);
        network.encoder.recompute = context.recompute;
        let drawn = || random_ranks(&batch.host, context.key.child(noise_site::ORDER));
        let ranks = context.given.ranks.clone().unwrap_or_else(drawn);
        let rows = query_rows(&network, batch, &ranks, context);
        let (table, bias) = network.output();
        let output = masked_loss(rows, table, bias, batch, context.totals.masked, None);
        let loss = output.loss.clone();
        masked_output(output, loss, batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::testing::{SEQ, batch, context, cpu, networks, reaches};

    #[test]
    fn a_chosen_token_changes_no_prediction_of_its_rank_or_lower() {
        let objective = new(&ObjectiveConfig::default(), &networks());
        let parameters = Parameters::initialize(&objective.layout(), 3, &cpu());
        let network = Generator::bind(&objective.network, &parameters, DISCRIMINATOR);
        let batch = batch();
        let ranks = random_ranks(&batch, NoiseKey::new(7));
        let rows =
            |batch: &_| query_rows(&network, &DeviceBatch::new(batch, &cpu()), &ranks, &context(batch));
        let of_tokens = at_tokens(&batch, |slot| ranks[slot] as f32);
        for (token, reached) in reaches(&batch, rows).into_iter().enumerate() {
            for (slot, reached) in reached.into_iter().enumerate() {
                let is_used = ranks[slot] > 0;
                let same = slot / batch.max_masked == token / SEQ;
                let may = same && is_used && of_tokens[token] < ranks[slot] as f32;
                assert!(may || !reached, "token {token} of rank {} reaches slot {slot}", of_tokens[token]);
                let is_token = batch.attention_mask[token] > 0;
                assert!(reached || !(may && is_token), "slot {slot} does not read token {token}");
            }
        }
    }

    #[test]
    fn ranks_are_an_order_of_the_chosen_positions_of_each_example() {
        let batch = batch();
        let ranks = random_ranks(&batch, NoiseKey::new(7));
        for row in ranks.chunks(batch.max_masked) {
            let mut used: Vec<u32> = row[..4].to_vec();
            used.sort_unstable();
            assert_eq!(used, [1, 2, 3, 4]);
            assert_eq!(row[4], 0);
        }
        assert_ne!(ranks, random_ranks(&batch, NoiseKey::new(8)));
        // An example has its order wherever it stands.
        let second = random_ranks(&batch.slice(1..2), NoiseKey::new(7));
        assert_eq!(second, ranks[batch.max_masked..]);
    }
}
