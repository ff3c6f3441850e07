//! The compute ledger: what one training step computes and moves, part by part.
//!
//! Two rules. The reference's ([`reference()`]) is for standing beside the paper's numbers: it counts an
//! embedding look-up as a product with the whole vocabulary, and a backward pass as one more forward pass. The exact rule
//! counts what our own step does:
//!   - a multiply-add is two operations; every other arithmetic operation, comparison, exponential or logarithm one; hashes
//!     of dropout and sampling none;
//!   - the backward pass of a product is two products; attention's are those that the kernels run ([`Place`]);
//!   - bytes are those that each of our operations reads and writes if it touches every value once, in 32 bits: what no
//!     cache can save.

mod parts;
mod reference;
#[cfg(test)]
mod tests;

use std::iter::Sum;
use std::ops::{Add, Mul};

use burn::backend::DispatchDevice;
use burn::tensor::Device;
use electra_model::Objective;
use electra_model::objective::NetworkPlan;
use serde::Serialize;

pub use self::reference::{Published, published, reference, reference_of};
use crate::config::{MicroBatch, RunConfig};

/// Where the step runs. The CPU keeps attention's probabilities for the backward pass; kernels of adapters keep none, and
/// compute scores and their gradients once for queries and once more for keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The host's processor.
    Cpu,
    /// A graphics adapter with our kernels.
    Adapter,
}

impl Place {
    /// That of a device.
    pub fn of(device: &Device) -> Self {
        let on_host = matches!(device.clone().inner().as_dispatch(), DispatchDevice::Flex(_));
        if on_host { Self::Cpu } else { Self::Adapter }
    }
}

/// Sizes of one step.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// Examples of a step.
    pub batch_size: usize,
    /// Examples at a time: weights are read once for each.
    pub micro_batch: usize,
    /// Tokens of an example.
    pub sequence_length: usize,
    /// Masked positions of an example.
    pub masked: usize,
    /// Whether layers are computed once more in the backward pass.
    pub recompute: bool,
    /// Where it is computed.
    pub place: Place,
    /// Values that the optimizer updates.
    pub parameters: f64,
}

impl Step {
    /// That of a run of `config`, which learns `objective`.
    pub fn of(config: &RunConfig, objective: &dyn Objective, place: Place) -> Self {
        let train = &config.train;
        Self {
            batch_size: train.batch_size,
            micro_batch: match train.micro_batch {
                MicroBatch::Size(size) => size.min(train.batch_size),
                MicroBatch::Auto => train.batch_size,
            },
            sequence_length: train.sequence_length,
            masked: config.masking().max_masked(train.sequence_length),
            recompute: train.recompute,
            place,
            parameters: objective.layout().parameter_count() as f64,
        }
    }

    fn tokens(&self) -> f64 {
        (self.batch_size * self.sequence_length) as f64
    }

    fn micro_batches(&self) -> f64 {
        self.batch_size.div_ceil(self.micro_batch) as f64
    }
}

/// Operations and bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Cost {
    /// Floating-point operations.
    pub flops: f64,
    /// Bytes read and written.
    pub bytes: f64,
}

impl Cost {
    /// `values` are of 32 bits.
    fn new(flops: f64, values: f64) -> Self {
        Self { flops, bytes: 4.0 * values }
    }
}

impl Add for Cost {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { flops: self.flops + other.flops, bytes: self.bytes + other.bytes }
    }
}

impl Mul<f64> for Cost {
    type Output = Self;
    fn mul(self, by: f64) -> Self {
        Self { flops: self.flops * by, bytes: self.bytes * by }
    }
}

impl Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(costs: I) -> Self {
        costs.fold(Self::default(), Add::add)
    }
}

/// A part of a network, or of what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Look-ups of words, positions and types, their layer normalization and dropout.
    Embeddings,
    /// Dense layers of the encoder and the projection before it.
    Products,
    /// Scores, softmax, dropout and weighted sums.
    Attention,
    /// GELU, residual connections, dropout and layer normalization of the encoder.
    Elementwise,
    /// From the encoder's output to the loss, the draw of samples included.
    Head,
    /// Clipping, Adam, weight decay.
    Optimizer,
}

/// One line of the ledger: a part of one network, for a whole step.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// `None` for what all networks share.
    pub network: Option<&'static str>,
    /// What of it.
    pub part: Part,
    /// Its forward pass.
    pub forward: Cost,
    /// Its backward pass.
    pub backward: Cost,
    /// The forward pass once more, in the backward pass.
    pub recompute: Cost,
}

impl Row {
    /// All three together.
    pub fn total(&self) -> Cost {
        self.forward + self.backward + self.recompute
    }
}

/// What a step costs by the exact rule.
pub fn exact(networks: &[NetworkPlan], step: &Step) -> Vec<Row> {
    let mut rows: Vec<Row> = networks.iter().flat_map(|network| parts::of_network(network, step)).collect();
    // Gather the gradient and take its norm; then clip (1), both moments (3 + 4), the update (4), weight decay (2), the step (2).
    let update = Cost::new(2.0 + 16.0, 2.0 + 1.0 + 7.0) * step.parameters;
    rows.push(Row {
        network: None,
        part: Part::Optimizer,
        forward: update,
        backward: Cost::default(),
        recompute: Cost::default(),
    });
    rows
}

/// The phases of a run of `steps` steps, with their number of steps; those that it does not reach are left out.
pub fn phases(objective: &dyn Objective, steps: u64) -> Vec<(&'static str, u64)> {
    // A phase begins once and ends once: the first step that is no longer of it is found by halving.
    let end_of = |phase: &str, first: u64| {
        let (mut low, mut high) = (first, steps);
        while low < high {
            let middle = low + (high - low) / 2;
            if objective.phase(middle) == phase { low = middle + 1 } else { high = middle }
        }
        low
    };
    let (mut found, mut first) = (Vec::new(), 0);
    while first < steps {
        let phase = objective.phase(first);
        let end = end_of(phase, first);
        found.push((phase, end - first));
        first = end;
    }
    found
}

/// What a step of `phase` costs by the exact rule, in operations.
pub fn flops_of_phase(config: &RunConfig, objective: &dyn Objective, phase: &str, place: Place) -> f64 {
    let step = Step::of(config, objective, place);
    exact(&objective.networks_in(phase), &step).iter().map(|row| row.total().flops).sum()
}
