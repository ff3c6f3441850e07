//! Causal language modelling: each token from those before it, GPT's objective (Radford et al. 2018). ELECTRA paper, section 3.1.
//!
//! L = mean(-log p(token t + 1 | tokens up to t), tokens behind the first). The network is exported as `ElectraForCausalLM`.

use burn::tensor::{Tensor, TensorData};
use electra_kernels::{Visibility, mlm_loss};

use super::corruption::{kept_plan, noise};
use super::{
    NetworkPlan, Objective, ObjectiveConfig, Observations, Positions, PretrainedHead, StepContext, StepOutput, Work,
    noise_site,
};
use crate::{
    batch::DeviceBatch,
    config::ElectraConfig,
    network::Generator,
    parameters::{Layout, Parameters},
    pretraining::{DISCRIMINATOR, PretrainingConfig},
};

/// `[objective.causal]`
pub(super) type Keys = super::config::NoKeys;

pub(super) struct CausalLanguageModeling {
    network: ElectraConfig,
}

pub(super) fn new(_: &ObjectiveConfig, networks: &PretrainingConfig) -> CausalLanguageModeling {
    CausalLanguageModeling { network: networks.discriminator.clone() }
}

/// Output rows that predict the token behind each, `[batch * seq, embedding]`: what the table is multiplied with.
fn next_token_rows(network: &Generator, batch: &DeviceBatch, context: &StepContext) -> Tensor<2> {
    let input = batch.input(batch.original_ids.clone());
    let visibility = Visibility::backwards(&batch.attention_mask);
    let noise = noise(context, batch, noise_site::DISCRIMINATOR);
    network.transform(network.encoder.forward_seeing(&input, &visibility, noise).last_hidden)
}

impl Objective for CausalLanguageModeling {
    fn name(&self) -> &'static str {
        "causal"
    }

    fn layout(&self) -> Layout {
        Layout::new(Generator::specs(&self.network, DISCRIMINATOR), Vec::new())
    }

    fn networks(&self) -> Vec<NetworkPlan> {
        let work = Work::vocabulary(Positions::All, false);
        vec![kept_plan(&self.network, PretrainedHead::CausalLanguageModeling, work)]
    }

    fn step(&self, parameters: &Parameters, batch: &DeviceBatch, context: &StepContext) -> StepOutput {
        let mut network = Generator::bind(&self.network, parameters, DISCRIMINATOR);
        network.encoder.recompute = context.recompute;
        let rows = next_token_rows(&network, batch, context);
        let host = &batch.host;
        let tokens = host.original_ids.len();
        let is_last = |at: usize| (at + 1).is_multiple_of(host.seq);
        let next = |at: usize| if is_last(at) { 0 } else { host.original_ids[at + 1] };
        let weight = |at: usize| if is_last(at) { 0.0 } else { f32::from(host.attention_mask[at + 1]) };
        let device = batch.original_ids.device();
        let targets = TensorData::new((0..tokens).map(next).collect::<Vec<i32>>(), [tokens]);
        let weights = TensorData::new((0..tokens).map(weight).collect::<Vec<f32>>(), [tokens]);
        let (table, bias) = network.output();
        let (targets, weights) = (Tensor::from_data(targets, &device), Tensor::from_data(weights, &device));
        let loss = mlm_loss(rows, table, bias, targets, weights, context.totals.followers, None).loss;
        let seen = loss.clone().detach();
        StepOutput { observations: Observations { loss: Some(seen), ..Observations::default() }, loss }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::testing::{SEQ, batch, context, cpu, networks, reaches};

    #[test]
    fn a_token_changes_no_prediction_of_itself_or_of_what_is_before_it() {
        let objective = new(&ObjectiveConfig::default(), &networks());
        let parameters = Parameters::initialize(&objective.layout(), 3, &cpu());
        let network = Generator::bind(&objective.network, &parameters, DISCRIMINATOR);
        let rows = |batch: &_| next_token_rows(&network, &DeviceBatch::new(batch, &cpu()), &context(batch));
        let batch = batch();
        for (token, reached) in reaches(&batch, rows).into_iter().enumerate() {
            for (row, reached) in reached.into_iter().enumerate() {
                // Row t predicts token t + 1, and may read up to t.
                let may = row / SEQ == token / SEQ && row >= token;
                let is_token = batch.attention_mask[token] > 0;
                assert!(may || !reached, "token {token} reaches row {row}");
                assert!(reached || !(may && is_token), "row {row} does not read token {token}");
            }
        }
    }
}
