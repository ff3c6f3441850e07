//! The compute ledger: what one training step computes and moves, part by part.
//!
//! Two rules. The reference's ([`reference`], [`crate::estimate::flops`]) is for standing beside the paper's numbers: it counts an
//! embedding look-up as a product with the whole vocabulary, and a backward pass as one more forward pass. The exact rule
//! counts what our own step does:
//!   - a multiply-add is two operations; every other arithmetic operation, comparison, exponential or logarithm one; hashes
//!     of dropout and sampling none;
//!   - the backward pass of a product is two products; attention's are those that the kernels run ([`Place`]);
//!   - bytes are those that each of our operations reads and writes if it touches every value once, in 32 bits: what no
//!     cache can save.

use std::iter::Sum;
use std::ops::{Add, Mul};

use burn::backend::DispatchDevice;
use burn::tensor::Device;
use electra_model::objective::{HeadWork, NetworkPlan, Positions, PretrainedHead};
use electra_model::{ElectraConfig, Objective};
use serde::Serialize;

use crate::config::{MicroBatch, RunConfig};
use crate::estimate::flops;

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
    let mut rows: Vec<Row> = networks.iter().flat_map(|network| network_rows(network, step)).collect();
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

/// Operations of a step of `networks` by the reference's rule: `flops_computation.py` of google-research/electra, which counts
/// the logits of 20 of 128 positions. What it knows no rule for (towers, query streams, phases) is counted by the same ones.
pub fn reference(networks: &[NetworkPlan], batch_size: usize, sequence_length: usize) -> f64 {
    networks.iter().map(|plan| flops::network_step_flops(plan, batch_size, sequence_length)).sum()
}

/// Operations of a step of `config` by the reference's rule, a mean over its phases.
pub fn reference_of(config: &RunConfig) -> f64 {
    let (objective, train) = (config.make_objective(), &config.train);
    let of_phase = |(phase, steps): (&str, u64)| {
        steps as f64 * reference(&objective.networks_in(phase), train.batch_size, train.sequence_length)
    };
    phases(&*objective, train.steps).into_iter().map(of_phase).sum::<f64>() / train.steps as f64
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

/// A dense layer over `rows`: forward, and the gradients of its input, weight and bias.
fn dense(rows: f64, inputs: f64, outputs: f64, micro_batches: f64) -> [Cost; 2] {
    let weight = inputs * outputs * micro_batches;
    let forward = Cost::new(rows * (2.0 * inputs * outputs + outputs), rows * (inputs + outputs) + weight);
    let to_input = Cost::new(rows * 2.0 * inputs * outputs, rows * (inputs + outputs) + weight);
    let to_weight = Cost::new(rows * (2.0 * inputs * outputs + outputs), rows * (inputs + outputs) + weight);
    [forward, to_input + to_weight]
}

/// Layer normalization of `rows`, alone: mean (1), variance (3), normalizing (2), scale and shift (2).
fn layer_norm(rows: f64, width: f64) -> [Cost; 2] {
    [Cost::new(8.0 * rows * width, 2.0 * rows * width), Cost::new(11.0 * rows * width, 3.0 * rows * width)]
}

/// GELU's polynomial, exponential and products, and its slope; on the way of a product, so that only the values before it are
/// kept beside.
fn gelu(rows: f64, width: f64) -> [Cost; 2] {
    [Cost::new(17.0 * rows * width, rows * width), Cost::new(20.0 * rows * width, rows * width)]
}

/// Rows that a head looks at.
fn rows_of(positions: Positions, step: &Step) -> f64 {
    match positions {
        Positions::All => step.tokens(),
        Positions::Masked => (step.batch_size * step.masked) as f64,
    }
}

fn both(costs: &[[Cost; 2]]) -> [Cost; 2] {
    [0, 1].map(|pass| costs.iter().map(|cost| cost[pass]).sum::<Cost>())
}

fn head(work: HeadWork, config: &ElectraConfig, step: &Step) -> [Cost; 2] {
    let [hidden, embedding, vocab] =
        [config.hidden_size, config.embedding_size, config.vocab_size].map(|size| size as f64);
    let times = step.micro_batches();
    match work {
        HeadWork::Vocabulary { positions, states, is_sampled, is_repeated } => {
            let rows = rows_of(positions, step);
            // Softmax's maximum, exponential and sum; the noise's two logarithms with what is around them, sum and maximum.
            let draw = if is_sampled { 8.0 } else { 0.0 };
            let logits = rows * vocab;
            let loss = [Cost::new((5.0 + draw) * logits, 2.0 * logits), Cost::new(3.0 * logits, 2.0 * logits)];
            let logits = both(&[dense(rows, embedding, vocab, times), loss]);
            if is_repeated {
                return [logits[0], Cost::default()];
            }
            both(&[
                dense(rows, states as f64 * hidden, embedding, times),
                gelu(rows, embedding),
                layer_norm(rows, embedding),
                logits,
            ])
        }
        HeadWork::Binary(positions) => {
            let rows = rows_of(positions, step);
            let loss = [Cost::new(8.0 * rows, 3.0 * rows), Cost::new(4.0 * rows, 3.0 * rows)];
            both(&[dense(rows, hidden, hidden, times), gelu(rows, hidden), dense(rows, hidden, 1.0, times), loss])
        }
    }
}

/// Products, attention and what is between them of one layer for a stream of `queries` positions an example, of which each sees
/// `step.sequence_length` keys. A stream that reads another one projects that one's keys and values as well.
fn layer(config: &ElectraConfig, step: &Step, queries: f64, reads_another: bool) -> [[Cost; 2]; 3] {
    let [hidden, inner, heads] =
        [config.hidden_size, config.intermediate_size, config.num_attention_heads].map(|size| size as f64);
    let (rows, keys, times) = (step.batch_size as f64 * queries, step.sequence_length as f64, step.micro_batches());
    let read = step.batch_size as f64 * keys;
    let dropped = |probability: f64| if probability > 0.0 { 1.0 } else { 0.0 };
    let drop = dropped(config.hidden_dropout_prob);

    // Queries, keys and values of a stream's own come of one product.
    let projections = if reads_another {
        both(&[dense(rows, hidden, hidden, times), dense(read, hidden, 2.0 * hidden, times)])
    } else {
        dense(rows, hidden, 3.0 * hidden, times)
    };
    let products = both(&[
        projections,
        dense(rows, hidden, hidden, times),
        dense(rows, hidden, inner, times),
        dense(rows, inner, hidden, times),
    ]);

    // A score and its query's value are `hidden / heads` multiply-adds each; scale, maximum, exponential, sum, and dropout are by score.
    let pairs = rows * keys;
    let drop_probability = dropped(config.attention_probs_dropout_prob);
    let (again, moved) = match step.place {
        Place::Cpu => (8.0, rows * hidden * 7.0 + 2.0 * pairs * heads),
        Place::Adapter => (14.0, rows * hidden * 12.0),
    };
    let kept = if step.place == Place::Cpu { pairs * heads } else { 0.0 };
    let attention = [
        Cost::new(pairs * (4.0 * hidden + (5.0 + drop_probability) * heads), 4.0 * rows * hidden + kept),
        Cost::new(pairs * (again * hidden + (5.0 + 2.0 * drop_probability) * heads) + 2.0 * rows * hidden, moved),
    ];

    let residual = [Cost::new(rows * hidden, 2.0 * rows * hidden), Cost::new(rows * hidden, rows * hidden)];
    let dropout = [Cost::new(drop * rows * hidden, 0.0), Cost::new(drop * rows * hidden, 0.0)];
    let half = both(&[residual, dropout, layer_norm(rows, hidden)]);
    [products, attention, both(&[half, half, gelu(rows, inner)])]
}

fn network_rows(network: &NetworkPlan, step: &Step) -> Vec<Row> {
    let (config, work) = (&network.config, &network.work);
    let [hidden, embedding, layers] =
        [config.hidden_size, config.embedding_size, config.num_hidden_layers].map(|size| size as f64);
    let (tokens, times) = (step.tokens(), step.micro_batches());
    let drop = if config.hidden_dropout_prob > 0.0 { 1.0 } else { 0.0 };

    // A query stream begins with embeddings of whole sequences, too.
    let embedded = (work.encoders + usize::from(work.has_query_stream)) as f64;
    let look_up = [
        Cost::new(2.0 * tokens * embedding, 4.0 * tokens * embedding),
        Cost::new(3.0 * tokens * embedding, 4.0 * tokens * embedding),
    ];
    let dropout = [Cost::new(drop * tokens * embedding, 0.0), Cost::new(drop * tokens * embedding, 0.0)];
    let embeddings = both(&[look_up, layer_norm(tokens, embedding), dropout]);
    let projection =
        if config.has_projection() { dense(tokens, embedding, hidden, times) } else { [Cost::default(); 2] };

    let encoders = work.encoders as f64;
    let content = layer(config, step, step.sequence_length as f64, false).map(|part| part.map(|cost| cost * encoders));
    let parts: [[Cost; 2]; 3] = if work.has_query_stream {
        let queries = layer(config, step, step.masked as f64, true);
        // Nobody reads the content behind the last layer.
        [0, 1, 2].map(|part| [0, 1].map(|pass| content[part][pass] * (layers - 1.0) + queries[part][pass] * layers))
    } else {
        content.map(|part| part.map(|cost| cost * layers))
    };
    let [products, attention, elementwise] = parts;
    let heads: Vec<[Cost; 2]> = work.heads.iter().map(|&work| head(work, config, step)).collect();

    let row = |part, [forward, backward]: [Cost; 2], again: Cost| Row {
        network: Some(network.role),
        part,
        forward,
        backward: if work.is_trained { backward } else { Cost::default() },
        recompute: if step.recompute && work.is_trained { again } else { Cost::default() },
    };
    let times = |costs: [Cost; 2], by: f64| costs.map(|cost| cost * by);
    vec![
        row(Part::Embeddings, times(embeddings, embedded), Cost::default()),
        row(Part::Products, both(&[products, times(projection, embedded)]), products[0]),
        row(Part::Attention, attention, attention[0]),
        row(Part::Elementwise, elementwise, elementwise[0]),
        row(Part::Head, both(&heads), Cost::default()),
    ]
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
    let fraction = flops::REFERENCE_MASKED_FRACTION;
    let electra = |hidden, generator, layers, embedding, seq, batch, steps: f64| {
        let [generator, discriminator] = [generator, hidden].map(|width| network(width, layers, embedding, 30522));
        let networks = [
            (PretrainedHead::MaskedLanguageModeling, &generator),
            (PretrainedHead::ReplacedTokenDetection, &discriminator),
        ];
        steps * flops::training_step_flops(networks, batch, seq, fraction)
    };
    let mlm = |network: ElectraConfig, seq, batch, steps: f64, fraction| {
        let networks = [(PretrainedHead::MaskedLanguageModeling, &network)];
        steps * flops::training_step_flops(networks, batch, seq, fraction)
    };
    let number = |name, of, flops| Published { name, of, flops };
    vec![
        number("electra_small", "1M steps of 128 x 128", electra(256, 64, 12, 128, 128, 128, 1e6)),
        number("bert_small", "1.45M steps of 128 x 128", mlm(network(256, 12, 128, 30522), 128, 128, 1.45e6, fraction)),
        number("electra_base", "766k steps of 256 x 512", electra(768, 256, 12, 768, 512, 256, 766e3)),
        number("electra_400k", "large, 400k steps of 2048 x 512", electra(1024, 256, 24, 1024, 512, 2048, 400e3)),
        number("electra_1.75M", "large, 1.75M steps of 2048 x 512", electra(1024, 256, 24, 1024, 512, 2048, 1.75e6)),
        number("gpt", "960,800 steps of 128 x 512", mlm(network(768, 12, 768, 40_000), 512, 128, 960_800.0, 1.0)),
        number(
            "roberta",
            "large, 500k steps of 8000 x 512",
            mlm(network(1024, 24, 1024, 50_265), 512, 8000, 500e3, fraction),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(place: Place, recompute: bool) -> Step {
        Step { batch_size: 4, micro_batch: 2, sequence_length: 32, masked: 5, recompute, place, parameters: 1000.0 }
    }

    fn networks() -> Vec<NetworkPlan> {
        let config = |hidden| ElectraConfig {
            vocab_size: 100,
            embedding_size: 16,
            hidden_size: hidden,
            num_hidden_layers: 3,
            num_attention_heads: 2,
            intermediate_size: 4 * hidden,
            ..ElectraConfig::default()
        };
        let networks = electra_model::PretrainingConfig {
            discriminator: config(64),
            generator: config(16),
            sharing: Default::default(),
        };
        let objective = electra_model::objective::from_config(&Default::default(), &networks);
        objective.expect("the default").networks()
    }

    #[test]
    fn published_numbers_are_the_references() {
        let expected = [1.294e18, 1.419e18, 6.425e19, 7.118e20, 3.114e21, 3.969e19, 3.187e21];
        for (published, expected) in published().iter().zip(expected) {
            assert_eq!(format!("{:.3e}", published.flops), format!("{expected:.3e}"), "{}", published.name);
        }
    }

    /// By hand: what a product, a backward pass of one and attention are.
    #[test]
    fn parts_are_what_a_step_runs() {
        let (networks, step) = (networks(), step(Place::Adapter, false));
        let rows = exact(&networks, &step);
        let of = |network, part| {
            rows.iter().find(|row| row.network == Some(network) && row.part == part).expect("a row").clone()
        };
        let tokens = 128.0;
        let products = of("discriminator", Part::Products);
        // 12 h^2 weights and 9 h biases a layer; the projection from 16.
        let weights = 3.0 * 12.0 * 64.0 * 64.0 + 16.0 * 64.0;
        let biases = 3.0 * 9.0 * 64.0 + 64.0;
        assert_eq!(products.forward.flops, tokens * (2.0 * weights + biases));
        assert_eq!(products.backward.flops, tokens * (4.0 * weights + biases));
        let attention = of("discriminator", Part::Attention);
        assert_eq!(attention.forward.flops, 3.0 * tokens * 32.0 * (4.0 * 64.0 + 6.0 * 2.0));
        // A generator as wide as its embeddings has no projection.
        assert_eq!(of("generator", Part::Products).forward.flops, tokens * 3.0 * (24.0 * 256.0 + 9.0 * 16.0));
        let head = of("generator", Part::Head).forward.flops;
        let slots = 20.0;
        let expected =
            slots * (2.0 * 16.0 * 16.0 + 16.0 + 17.0 * 16.0 + 8.0 * 16.0 + 2.0 * 16.0 * 100.0 + 100.0 + 13.0 * 100.0);
        assert_eq!(head, expected);
        assert_eq!(rows.iter().filter(|row| row.network.is_none()).count(), 1);
    }

    /// The networks of `name` in `phase`, with the generator as large as the discriminator.
    fn networks_of(name: &str, phase: &str) -> Vec<NetworkPlan> {
        let sets = [
            format!("objective.name={name}"),
            "model.generator_size=1.0".to_owned(),
            "model.generator_depth=1.0".to_owned(),
        ];
        crate::config::resolve(Some("nano"), None, &sets).unwrap().make_objective().networks_in(phase)
    }

    #[test]
    fn towers_streams_and_frozen_networks_are_counted_as_they_run() {
        let step = step(Place::Adapter, false);
        let of = |name: &str, phase: &str, network: &str, part: Part| {
            let rows = exact(&networks_of(name, phase), &step);
            rows.into_iter().find(|row| row.network == Some(network) && row.part == part).expect("a row")
        };
        let one = of("rtd", "joint", "generator", Part::Attention);
        let towers = of("electric", "joint", "generator", Part::Attention);
        assert_eq!(towers.total().flops, 2.0 * one.total().flops);
        // Logits of every token where there were those of five masked ones in 32.
        let [few, all] = [("rtd", "generator"), ("causal", "discriminator")]
            .map(|(name, network)| of(name, "joint", network, Part::Head).backward.flops);
        assert!((all / few - 32.0 / 5.0).abs() < 1e-9, "{all} {few}");
        // Content is computed in all layers but the last, queries of the masked positions in all; nano has two.
        let plain = of("mlm", "joint", "generator", Part::Attention);
        let streams = of("permutation", "joint", "discriminator", Part::Attention);
        let expected = plain.forward.flops / 2.0 + plain.forward.flops * 5.0 / 32.0;
        assert!((streams.forward.flops / expected - 1.0).abs() < 1e-12);
        let frozen = of("two_stage", "discriminator", "generator", Part::Products);
        assert!(frozen.forward.flops > 0.0 && frozen.backward.flops == 0.0);
        assert_eq!(networks_of("two_stage", "generator").len(), 1);
    }

    #[test]
    fn phases_are_found_with_their_number_of_steps() {
        let sets = ["objective.name=two_stage", "train.steps=1000", "objective.two_stage.generator_steps=317"];
        let config = crate::config::resolve(Some("nano"), None, &sets.map(String::from)).unwrap();
        let objective = config.make_objective();
        assert_eq!(phases(&*objective, 1000), [("generator", 317), ("discriminator", 683)]);
        assert_eq!(phases(&*objective, 317), [("generator", 317)]);
        let rtd = crate::config::resolve(Some("nano"), None, &[]).unwrap().make_objective();
        assert_eq!(phases(&*rtd, 1000), [("joint", 1000)]);
    }

    #[test]
    fn recomputing_adds_the_layers_forward_pass_and_nothing_else() {
        let networks = networks();
        for place in [Place::Cpu, Place::Adapter] {
            let (once, twice) = (exact(&networks, &step(place, false)), exact(&networks, &step(place, true)));
            for (once, twice) in once.iter().zip(&twice) {
                assert_eq!((once.forward, once.backward), (twice.forward, twice.backward));
                let layers = [Part::Products, Part::Attention, Part::Elementwise].contains(&once.part);
                assert_eq!(twice.recompute.flops > 0.0, layers, "{:?}", once.part);
                assert!(twice.recompute.flops <= once.forward.flops);
            }
        }
    }

    #[test]
    fn an_adapter_computes_attention_again_and_moves_less() {
        let networks = networks();
        let attention = |place| {
            let rows = exact(&networks, &step(place, false));
            let rows = rows.iter().filter(|row| row.part == Part::Attention);
            rows.map(Row::total).sum::<Cost>()
        };
        let (cpu, adapter) = (attention(Place::Cpu), attention(Place::Adapter));
        assert!(adapter.flops > cpu.flops);
    }

    #[test]
    fn more_micro_batches_move_more_and_compute_the_same() {
        let networks = networks();
        let total = |micro_batch| {
            exact(&networks, &Step { micro_batch, ..step(Place::Cpu, false) }).iter().map(Row::total).sum::<Cost>()
        };
        let (whole, cut) = (total(4), total(1));
        assert_eq!(whole.flops, cut.flops);
        assert!(cut.bytes > whole.bytes);
    }

    #[test]
    fn the_exact_count_of_small_is_below_the_references() {
        let config = crate::config::resolve(Some("small"), None, &[]).expect("a preset");
        let networks = config.trained_networks();
        let step = Step {
            batch_size: 128,
            micro_batch: 128,
            sequence_length: 128,
            masked: 19,
            recompute: false,
            place: Place::Cpu,
            parameters: 14e6,
        };
        let exact: f64 = exact(&networks, &step).iter().map(|row| row.total().flops).sum();
        let reference = reference(&networks, 128, 128);
        assert!((reference * 1e6 / 1.294e18 - 1.0).abs() < 1e-3, "{reference:e}");
        // The reference adds a product for every look-up and takes one off every backward pass.
        assert!((0.9..1.4).contains(&(exact / reference)), "{exact:e} {reference:e}");
    }
}
