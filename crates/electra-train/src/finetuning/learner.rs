//! A task as what a trainer's steps learn.

use std::ops::Range;

use burn::tensor::{Device, Tensor, TensorData};
use electra_kernels::read::{self, Reads};
use electra_model::encoder::EncoderNoise;
use electra_model::{ElectraConfig, NoiseKey, Parameters};
use electra_task::batch::TaskBatch;

use super::head::{Pass, TaskHead};
use crate::step::learner::{Examples, Learner};

/// A head on the encoder of a network.
#[derive(Debug, Clone)]
pub struct TaskLearner {
    /// What is to be said.
    pub head: TaskHead,
    /// The encoder's sizes, with the dropout of fine-tuning.
    pub config: ElectraConfig,
    /// Keep each encoder layer's input alone for the backward pass.
    pub recompute: bool,
}

/// A step's randomness, and what its loss is divided by.
#[derive(Debug, Clone, Copy)]
pub struct TaskContext {
    key: NoiseKey,
    total: f64,
}

impl Examples for TaskBatch {
    fn count(&self) -> usize {
        self.rows
    }

    fn part(&self, examples: Range<usize>) -> Self {
        self.slice(examples)
    }

    fn tokens(&self) -> u64 {
        self.token_count() as u64
    }
}

impl Learner for TaskLearner {
    type Batch = TaskBatch;
    type Context = TaskContext;
    /// The loss without gradient.
    type Seen = Tensor<1>;
    type Asked = usize;
    /// The loss.
    type Metrics = f64;

    fn context(&self, whole: &TaskBatch, key: NoiseKey, _: u64) -> TaskContext {
        TaskContext { key: key.child_str("task"), total: whole.targets.total() }
    }

    fn learn(
        &self,
        parameters: &Parameters,
        part: &TaskBatch,
        context: &TaskContext,
        device: &Device,
    ) -> (Tensor<1>, Tensor<1>) {
        let pass = Pass {
            config: &self.config,
            parameters,
            noise: Some(EncoderNoise { key: context.key, examples: &part.example_numbers }),
            recompute: self.recompute,
            device,
        };
        let loss = self.head.loss(part, context.total, &pass);
        let seen = loss.clone().detach();
        (loss, seen)
    }

    fn loss(seen: &Tensor<1>) -> Option<&Tensor<1>> {
        Some(seen)
    }

    fn ask(seen: &Tensor<1>, reads: &mut Reads) -> usize {
        reads.floats(seen)
    }

    fn tell(&self, asked: &usize, found: &[TensorData], _: &TaskBatch, metrics: &mut f64) {
        *metrics += f64::from(read::floats_of(&found[*asked])[0]);
    }

    fn loss_of(metrics: &f64) -> f64 {
        *metrics
    }
}
