//! What a step learns: pre-training's objectives and fine-tuning's tasks are such.

use std::fmt::Debug;
use std::ops::Range;

use burn::tensor::{Device, Tensor, TensorData};
use electra_kernels::read::Reads;
use electra_model::{NoiseKey, Parameters};

/// Examples of one step, on the host.
pub trait Examples: Clone + Debug + Send + Sync {
    /// Examples.
    fn count(&self) -> usize;

    /// Some of them, which keep their numbers in the whole batch.
    #[must_use]
    fn part(&self, examples: Range<usize>) -> Self;

    /// Tokens but padding.
    fn tokens(&self) -> u64;
}

/// What a step learns, and what there is to see of it.
pub trait Learner: Send + Sync {
    /// Examples of a step.
    type Batch: Examples;
    /// What a step's micro-batches have in common: its randomness, and counts of the whole batch.
    type Context: Send + Sync;
    /// What a micro-batch shows, on the device until somebody reads it.
    type Seen: Clone + Debug + Send + Sync;
    /// What was asked of a micro-batch: numbers among the results of a read.
    type Asked: Debug;
    /// A step's numbers.
    type Metrics: Clone + Debug + Default;

    /// Before the micro-batches of `whole` are learnt. `key` is of (seed, step); `step` counts the steps done before.
    fn context(&self, whole: &Self::Batch, key: NoiseKey, step: u64) -> Self::Context;

    /// What is minimised over `part`, `[1]`, and what there is to see. Losses and gradients of a batch's parts add up to the
    /// batch's.
    fn learn(
        &self,
        parameters: &Parameters,
        part: &Self::Batch,
        context: &Self::Context,
        device: &Device,
    ) -> (Tensor<1>, Self::Seen);

    /// The part's share of the batch's loss, without gradient, `[1]`.
    fn loss(seen: &Self::Seen) -> Option<&Tensor<1>>;

    /// Asks for what is to be read of a part.
    fn ask(seen: &Self::Seen, reads: &mut Reads) -> Self::Asked;

    /// Adds what a part showed to the step's numbers.
    fn tell(&self, asked: &Self::Asked, found: &[TensorData], part: &Self::Batch, metrics: &mut Self::Metrics);

    /// The loss among a step's numbers.
    fn loss_of(metrics: &Self::Metrics) -> f64;
}
