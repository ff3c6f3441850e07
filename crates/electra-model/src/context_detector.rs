//! A detector of one product, and the first values with which a discriminator computes what it does.
//!
//! The detector has two vectors a word: what it is, u, and what it says of its surroundings, v. A word is as likely in its place as
//! u of it times c of its context is large, where c has in some columns v of the word before, in some v of the word behind, and in
//! the others the mean of v over some ten words to either side. That is word2vec's model (Mikolov et al. 2013, CBOW; position-dependent
//! as in Mikolov et al. 2018), asked ELECTRA's question. It is trained a thousand times faster than a transformer, since a word costs it
//! a few rows of the table, and it holds what a young discriminator takes longest to learn: which words go together.
//!
//! A transformer's first layer can compute all of it, so that a discriminator need not start from nothing:
//! - A row of the word table is u beside v, what the word alone tells (a bias) in a column of its own, the *evidence*, and two columns of
//!   *slack* that give every row the same mean and deviation, so that layer normalization changes none of it.
//! - Heads 0 and 1 look at the tokens beside each ([`Neighbours`]), the next evenly around it, and others at the token itself: these take its
//!   own v away, so that c stands in its place.
//! - Four units of the feed-forward layer a column make their product: gelu(x) + gelu(-x) is nearly .8 x^2, and
//!   (u + c)^2 - (u - c)^2 is 4 u c. They add it to the evidence, which all other layers leave alone at first and the head reads.
//!
//! They are first values and no more: every weight is trained on from there, and the architecture is as before.

use electra_kernels::vectors::{add_scaled, dot};

use crate::{config::ElectraConfig, neighbours::Neighbours};

/// Heads that look at one neighbour each.
const NEIGHBOUR_HEADS: usize = 2;
/// Columns beside those of positions and of u and v: two of slack, and the evidence.
const OTHER_COLUMNS: usize = 3;
/// Distances at which a window's weight is less than this share of the nearest one's are left out of the detector.
const LEAST_SHARE: f64 = 0.02;
/// The farthest that a window reaches.
const FARTHEST: usize = 24;
/// What reaches the feed-forward units of a column of deviation 1. Of less the units would be the better squares, but their sum would
/// have to be amplified so much that the first steps of training ruin it (docs/LOG.md, 2026-11-27).
const UNIT_GAIN: f32 = 0.5;
/// How much less than squares such units give, in the mean.
const FLATNESS: f32 = 1.6;
/// How much larger a context is in its columns than the vectors that it is made of.
const CONTEXT_GAIN: f32 = 1.5;
/// The evidence of a logit of 1, in deviations of a column.
const EVIDENCE_GAIN: f32 = 0.35;
/// The logit that a tenth of the tokens is replaced, where the detector was asked about as many replaced words as others.
const PRIOR: f32 = -2.2;
/// The logit of an entry that the detector was never asked about: little words, special tokens.
const UNASKED: f32 = -4.0;
/// Factor of the head's other weights, which say nothing yet.
const QUIET: f32 = 0.1;

/// How many columns a detector has, so that a network can take it over.
#[derive(Debug, Clone, PartialEq)]
pub struct ContextShape {
    /// Columns of u and of v.
    pub width: usize,
    /// Those of them that hold the word before; as many hold the word behind, and the rest a window.
    pub neighbour_width: usize,
    /// Weight of the words at each distance in a window, the word itself (1) first.
    pub window: Vec<f32>,
}

impl ContextShape {
    /// For a discriminator of these sizes; `None` where it is too small, or does not look at neighbours.
    pub fn of(config: &ElectraConfig) -> Option<Self> {
        let neighbours = Neighbours::new(config)?;
        let (heads, head_dim) = (config.num_attention_heads, config.hidden_size / config.num_attention_heads);
        let width = config.hidden_size.checked_sub(neighbours.columns() + OTHER_COLUMNS)? / 2;
        let heads_for = |columns: usize| columns.div_ceil(head_dim);
        // Two sevenths of the columns for each neighbour, or what it takes to get along with the heads.
        let fits = |beside: &usize| {
            let around = width.saturating_sub(2 * beside);
            around > 0 && NEIGHBOUR_HEADS + heads_for(around) + heads_for(width) <= heads
        };
        let neighbour_width = (width * 2 / 7..=head_dim).find(fits)?;
        let fits = neighbour_width > 0 && 4 * width <= config.intermediate_size;
        let share = |distance: usize| (distance <= FARTHEST).then(|| neighbours.window_share(distance));
        let window = (0..).map_while(share).take_while(|share| *share >= LEAST_SHARE).map(|share| share as f32);
        fits.then(|| Self { width, neighbour_width, window: window.collect() })
    }

    /// Columns that hold the word before.
    fn before(&self) -> std::ops::Range<usize> {
        0..self.neighbour_width
    }

    /// Columns that hold the word behind.
    fn behind(&self) -> std::ops::Range<usize> {
        self.neighbour_width..2 * self.neighbour_width
    }

    /// The heads that look around a token; those behind them look at the token itself.
    fn window_heads(&self, head_dim: usize) -> std::ops::Range<usize> {
        NEIGHBOUR_HEADS..NEIGHBOUR_HEADS + self.around().len().div_ceil(head_dim)
    }

    /// Columns that hold a window.
    fn around(&self) -> std::ops::Range<usize> {
        2 * self.neighbour_width..self.width
    }
}

/// The detector's values, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct ContextDetector {
    /// How many columns there are.
    pub shape: ContextShape,
    /// u, `[vocab, width]`. A row of zeros: the detector was not asked about that entry.
    pub words: Vec<f32>,
    /// v, `[vocab, width]`
    pub contexts: Vec<f32>,
    /// What a word tells by itself, `[vocab]`.
    pub biases: Vec<f32>,
}

impl ContextDetector {
    /// One that knows nothing, with first values of v from `random`, which gives numbers between 0 and 1.
    pub fn new(shape: ContextShape, vocab_size: usize, mut random: impl FnMut(u64) -> f64) -> Self {
        let values = vocab_size * shape.width;
        Self {
            words: vec![0.0; values],
            contexts: (0..values as u64).map(|at| (0.3 * (random(at) - 0.5)) as f32).collect(),
            biases: vec![0.0; vocab_size],
            shape,
        }
    }

    fn row(&self, id: usize) -> std::ops::Range<usize> {
        id * self.shape.width..(id + 1) * self.shape.width
    }

    /// u of an entry.
    pub fn word(&self, id: usize) -> &[f32] {
        &self.words[self.row(id)]
    }

    /// v of an entry.
    pub fn context_of(&self, id: usize) -> &[f32] {
        &self.contexts[self.row(id)]
    }

    /// Writes c of the word at `at` of `ids`, of which it sees those of `seen`, to `context`. Returns the sum of the weights in its window.
    pub fn context(&self, ids: &[u32], at: usize, seen: std::ops::Range<usize>, context: &mut [f32]) -> f32 {
        context.fill(0.0);
        let ContextShape { window, .. } = &self.shape;
        let (around, mut total) = (self.shape.around(), window[0]);
        for other in seen.clone().filter(|other| *other != at) {
            let weight = window[other.abs_diff(at)];
            total += weight;
            let row = &self.context_of(ids[other] as usize)[around.clone()];
            add_scaled(&mut context[around.clone()], weight, row);
        }
        context[around].iter_mut().for_each(|value| *value /= total);
        let mut beside = |other: usize, columns: std::ops::Range<usize>| {
            context[columns.clone()].copy_from_slice(&self.context_of(ids[other] as usize)[columns]);
        };
        if at > seen.start {
            beside(at - 1, self.shape.before());
        }
        if at + 1 < seen.end {
            beside(at + 1, self.shape.behind());
        }
        total
    }

    /// How well an entry goes with a context: the logit that it is no replacement.
    pub fn score(&self, id: usize, context: &[f32]) -> f32 {
        self.biases[id] + dot(self.word(id), context)
    }

    /// Steps down the gradient of a loss by the score of entries in one context: `errors` are its negative derivatives. Each row has a
    /// rate of its own, the less the more it has moved (Adagrad, Duchi et al. 2011), which `memory` keeps.
    pub fn learn(&mut self, place: ContextPlace<'_>, errors: [(usize, f32); 2], rate: f32, memory: &mut ContextMemory) {
        let width = self.shape.width as f32;
        let ContextPlace { ids, at, seen, context, total } = place;
        let gradient = &mut memory.gradient;
        gradient.fill(0.0);
        let squared = dot(context, context) / width;
        for (id, error) in errors {
            let row = self.row(id);
            add_scaled(gradient, error, &self.words[row.clone()]);
            memory.words[id] += squared * error * error;
            add_scaled(&mut self.words[row], rate * error / memory.words[id].sqrt(), context);
            memory.biases[id] += error * error;
            self.biases[id] += rate * error / memory.biases[id].sqrt();
        }
        let squared = dot(gradient, gradient) / width;
        let around = self.shape.around();
        for other in seen.clone().filter(|other| *other != at) {
            let (id, weight) = (ids[other] as usize, self.shape.window[other.abs_diff(at)] / total);
            memory.contexts[id] += squared * weight * weight;
            let step = rate * weight / memory.contexts[id].sqrt();
            let row = &mut self.contexts[id * self.shape.width..][..self.shape.width];
            add_scaled(&mut row[around.clone()], step, &gradient[around.clone()]);
        }
        let mut beside = |other: usize, columns: std::ops::Range<usize>| {
            let id = ids[other] as usize;
            let row = &mut self.contexts[id * self.shape.width..][..self.shape.width];
            let step = rate / (memory.contexts[id] + squared).sqrt();
            add_scaled(&mut row[columns.clone()], step, &gradient[columns]);
        };
        if at > seen.start {
            beside(at - 1, self.shape.before());
        }
        if at + 1 < seen.end {
            beside(at + 1, self.shape.behind());
        }
    }
}

/// A word with its context, as [`ContextDetector::context`] computed it.
#[derive(Debug)]
pub struct ContextPlace<'a> {
    /// The text.
    pub ids: &'a [u32],
    /// Where the word stands.
    pub at: usize,
    /// What it sees.
    pub seen: std::ops::Range<usize>,
    /// Its context.
    pub context: &'a [f32],
    /// The sum of the weights in its window.
    pub total: f32,
}

/// How much each row has moved.
#[derive(Debug, Clone)]
pub struct ContextMemory {
    words: Vec<f32>,
    contexts: Vec<f32>,
    biases: Vec<f32>,
    /// Of the context in hand.
    gradient: Vec<f32>,
}

impl ContextMemory {
    /// For a detector that has not moved.
    pub fn new(detector: &ContextDetector) -> Self {
        const NOT_NOTHING: f32 = 1e-3;
        let rows = vec![NOT_NOTHING; detector.biases.len()];
        Self { words: rows.clone(), contexts: rows.clone(), biases: rows, gradient: vec![0.0; detector.shape.width] }
    }
}

/// A detector as first values of a discriminator.
#[derive(Debug, Clone)]
pub struct ContextInitializer<'a> {
    detector: &'a ContextDetector,
    config: &'a ElectraConfig,
    neighbours: Neighbours,
    /// Factors of u and v, which give the word table's columns a deviation of about 1.
    scales: [f32; 2],
    /// What the first layer's sum of word and context is divided by, in the mean: layer normalization's.
    shrinkage: f32,
}

/// Share of the words' rows that are taken over as they are; those of larger vectors are made smaller.
const WHOLE_ROWS: f64 = 0.95;
/// Part of a row's square that u and v have at most, each, in those rows.
const SHARE: f32 = 0.45;

impl<'a> ContextInitializer<'a> {
    /// Of a detector whose shape is that of `config`; `frequencies` weigh the words, `[vocab]`.
    ///
    /// # Panics
    /// Unless the shape is [`ContextShape::of`] of `config`.
    pub fn new(detector: &'a ContextDetector, config: &'a ElectraConfig, frequencies: &[u64]) -> Self {
        assert_eq!(Some(&detector.shape), ContextShape::of(config).as_ref(), "a detector of another shape");
        let neighbours = Neighbours::new(config).expect("a shape has neighbours");
        let square = (config.hidden_size - neighbours.columns()) as f32;
        let vocab = 0..detector.biases.len();
        let scale_of = |row: &dyn Fn(usize) -> &'a [f32]| {
            let mut squares: Vec<f32> =
                vocab.clone().filter(|id| frequencies[*id] > 0).map(|id| dot(row(id), row(id))).collect();
            squares.sort_by(f32::total_cmp);
            let largest = squares.get((squares.len() as f64 * WHOLE_ROWS) as usize).copied().unwrap_or(0.0);
            (SHARE * square / largest.max(f32::MIN_POSITIVE)).sqrt().min(1e3)
        };
        let scales = [scale_of(&|id| detector.word(id)), scale_of(&|id| detector.context_of(id))];
        // Neighbours' columns hold whole vectors, windows' means of many, which are small beside them.
        let beside = 0..2 * detector.shape.neighbour_width;
        let of_row = |id: usize| {
            let row = &detector.context_of(id)[beside.clone()];
            f64::from(dot(row, row)) * frequencies[id] as f64
        };
        let total: u64 = frequencies.iter().sum();
        let mean = vocab.map(of_row).sum::<f64>() / total.max(1) as f64;
        let added = mean as f32 * (scales[1] * CONTEXT_GAIN).powi(2) / config.hidden_size as f32;
        Self { detector, config, neighbours, scales, shrinkage: (1.0 + added).sqrt() }
    }

    /// Column of the evidence.
    fn evidence(&self) -> usize {
        self.neighbours.columns() + 2
    }

    /// Column of u's column `k`.
    fn word_column(&self, k: usize) -> usize {
        self.evidence() + 1 + k
    }

    /// Column of v's column `k`.
    fn context_column(&self, k: usize) -> usize {
        self.word_column(self.detector.shape.width) + k
    }

    /// What a feed-forward unit's product must be multiplied with to be evidence.
    fn product_gain(&self) -> f32 {
        // gelu(x) + gelu(-x) = x erf(x / sqrt(2)), which begins as sqrt(2 / pi) x^2.
        let of_squares = 4.0 * (2.0 / std::f32::consts::PI).sqrt() * UNIT_GAIN * UNIT_GAIN;
        -EVIDENCE_GAIN * FLATNESS * self.shrinkage / (of_squares * self.scales[0] * self.scales[1] * CONTEXT_GAIN)
    }

    /// Changes `values`, the first ones of the discriminator's parameter `name` (without the network's prefix), to the detector's.
    pub fn apply(&self, name: &str, values: &mut [f32]) {
        let hidden = self.config.hidden_size;
        match name {
            "electra.embeddings.word_embeddings.weight" => self.fill_word_table(values),
            "electra.embeddings.token_type_embeddings.weight" => values.fill(0.0),
            "electra.encoder.layer.0.attention.self.query.weight"
            | "electra.encoder.layer.0.attention.self.key.weight" => {
                let around = self.detector.shape.window_heads(self.head_dim());
                self.neighbours.look_at_itself(around.end, values);
                self.neighbours.look_around(around, values);
            }
            "electra.encoder.layer.0.attention.self.value.weight" => {
                for (row, k, _) in self.heads() {
                    let row = &mut values[row * hidden..][..hidden];
                    row.fill(0.0);
                    row[self.context_column(k)] = 1.0;
                }
            }
            "electra.encoder.layer.0.attention.output.dense.weight" => {
                values[self.evidence() * hidden..self.context_column(self.detector.shape.width) * hidden].fill(0.0);
                for (column, k, gain) in self.heads() {
                    values[self.context_column(k) * hidden + column] = gain;
                }
            }
            "electra.encoder.layer.0.intermediate.dense.weight" => {
                for k in 0..self.detector.shape.width {
                    for (unit, [word, context]) in
                        [[1.0, 1.0], [-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0]].into_iter().enumerate()
                    {
                        let row = &mut values[(4 * k + unit) * hidden..][..hidden];
                        row.fill(0.0);
                        row[self.word_column(k)] = UNIT_GAIN * word;
                        row[self.context_column(k)] = UNIT_GAIN * context;
                    }
                }
            }
            "electra.encoder.layer.0.output.dense.weight" => {
                let row =
                    &mut values[self.evidence() * self.config.intermediate_size..][..self.config.intermediate_size];
                row.fill(0.0);
                let gain = self.product_gain();
                for units in row[..4 * self.detector.shape.width].chunks_exact_mut(4) {
                    units.copy_from_slice(&[gain, gain, -gain, -gain]);
                }
            }
            "discriminator_predictions.dense.weight" => {
                for (row, sign) in [1.0, -1.0].into_iter().enumerate() {
                    let row = &mut values[row * hidden..][..hidden];
                    row.fill(0.0);
                    row[self.evidence()] = sign;
                }
            }
            "discriminator_predictions.dense_prediction.weight" => {
                values.iter_mut().for_each(|value| *value *= QUIET);
                // gelu(x) - gelu(-x) = x.
                values[..2].copy_from_slice(&[1.0 / EVIDENCE_GAIN, -1.0 / EVIDENCE_GAIN]);
            }
            _ if name.starts_with("electra.encoder.layer.") && name.ends_with("output.dense.weight") => {
                let inputs = values.len() / hidden;
                values[self.evidence() * inputs..][..inputs].fill(0.0);
            }
            _ => {}
        }
    }

    fn head_dim(&self) -> usize {
        self.config.hidden_size / self.config.num_attention_heads
    }

    /// The rows of all heads' values that hold a column of v, with that column and what becomes of it.
    fn heads(&self) -> impl Iterator<Item = (usize, usize, f32)> + use<'_> {
        let (shape, head_dim) = (&self.detector.shape, self.head_dim());
        let around = shape.window_heads(head_dim);
        let parts = [
            (0, shape.before(), CONTEXT_GAIN),
            (1, shape.behind(), CONTEXT_GAIN),
            (around.start, shape.around(), CONTEXT_GAIN),
            (around.end, 0..shape.width, -1.0),
        ];
        let of_part = move |(head, columns, gain): (usize, std::ops::Range<usize>, f32)| {
            columns.enumerate().map(move |(at, k)| (head * head_dim + at, k, gain))
        };
        parts.into_iter().flat_map(of_part)
    }

    fn fill_word_table(&self, values: &mut [f32]) {
        let hidden = self.config.hidden_size;
        let square = (hidden - self.neighbours.columns()) as f32;
        values.fill(0.0);
        for (id, row) in values.chunks_exact_mut(hidden).enumerate() {
            let known = id < self.detector.biases.len();
            if known {
                self.fill_row(id, row);
            } else {
                row[self.evidence()] = EVIDENCE_GAIN * (UNASKED + PRIOR);
            }
            let [sum, squares] = [row.iter().sum(), dot(row, row)];
            let (shrink, slack) = slack(sum, squares, square);
            row.iter_mut().for_each(|value| *value *= shrink);
            row[self.evidence() - 2..self.evidence()].copy_from_slice(&slack);
            row.iter_mut().for_each(|value| *value *= self.config.initializer_range as f32);
        }
    }

    fn fill_row(&self, id: usize, row: &mut [f32]) {
        let (detector, [word_scale, context_scale]) = (self.detector, self.scales);
        let (word, context) = (detector.word(id), detector.context_of(id));
        let around = detector.shape.around();
        let width = detector.shape.width;
        for (value, u) in row[self.word_column(0)..][..width].iter_mut().zip(word) {
            *value = word_scale * u;
        }
        for (value, v) in row[self.context_column(0)..][..width].iter_mut().zip(context) {
            *value = context_scale * v;
        }
        // A window has the word itself in it.
        let total = 2.0 * detector.shape.window.iter().sum::<f32>() - 1.0;
        let own = dot(&word[around.clone()], &context[around]) / total;
        let asked = word.iter().any(|u| *u != 0.0);
        let logit = if asked { -detector.biases[id] + own } else { UNASKED };
        row[self.evidence()] = EVIDENCE_GAIN * (logit + PRIOR);
    }
}

/// Two values that give a row of this sum and sum of squares a mean of 0 and a sum of squares of `square`, and the factor of the row that
/// makes that possible.
fn slack(sum: f32, squares: f32, square: f32) -> (f32, [f32; 2]) {
    // The two are -sum / 2 plus and minus the root of this.
    let rest = |factor: f32| (square - factor * factor * squares) / 2.0 - (factor * sum).powi(2) / 4.0;
    let factor = if rest(1.0) >= 0.0 { 1.0 } else { (square / (squares + sum * sum / 2.0)).sqrt() };
    let half = rest(factor).max(0.0).sqrt();
    (factor, [half - factor * sum / 2.0, -half - factor * sum / 2.0])
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use electra_kernels::noise::NoiseKey;

    use super::*;
    use crate::{
        encoder::EncoderInput,
        network::Discriminator,
        parameters::{Layout, Parameters},
    };

    const VOCAB: usize = 80;

    fn config(hidden_size: usize, heads: usize) -> ElectraConfig {
        ElectraConfig {
            vocab_size: VOCAB + 3,
            embedding_size: hidden_size,
            hidden_size,
            num_hidden_layers: 3,
            num_attention_heads: heads,
            intermediate_size: 4 * hidden_size,
            max_position_embeddings: 64,
            initializer_range: 0.03,
            ..ElectraConfig::default()
        }
    }

    /// One with values that nobody has learnt. Entries 0 to 9 were never asked about.
    fn made_up(config: &ElectraConfig) -> ContextDetector {
        let key = NoiseKey::new(4);
        let mut detector = ContextDetector::new(ContextShape::of(config).unwrap(), VOCAB, |at| key.uniform_f64(at, 0));
        let width = detector.shape.width;
        for (at, value) in detector.words.iter_mut().enumerate().skip(10 * width) {
            *value = key.uniform_f64(at as u64, 1) as f32 - 0.5;
        }
        detector.contexts.iter_mut().for_each(|value| *value *= 10.0);
        for (at, value) in detector.biases.iter_mut().enumerate().skip(10) {
            *value = key.uniform_f64(at as u64, 2) as f32 - 0.5;
        }
        detector
    }

    #[test]
    fn a_network_that_begins_as_a_detector_says_what_it_says() {
        for (hidden, heads) in [(64, 8), (256, 8), (192, 6)] {
            let config = config(hidden, heads);
            let detector = made_up(&config);
            let initializer = ContextInitializer::new(&detector, &config, &[1; VOCAB]);
            let neighbours = Neighbours::new(&config).unwrap();
            let layout = neighbours.initialize(Layout::new(Discriminator::specs(&config, ""), Vec::new()), "");
            let device = Device::flex();
            let parameters = Parameters::from_values(&layout, &device, |spec| {
                let mut values = spec.initial_values(1);
                initializer.apply(&spec.name, &mut values);
                values
            });
            let ids: Vec<u32> = (0..40).map(|at| 10 + at * at * 7 % 70).collect();
            let logits =
                Discriminator::bind(&config, &parameters, "").forward(&EncoderInput::single(&ids, &device), None);
            let logits: Vec<f64> = logits.to_data().iter::<f64>().collect();
            let mut context = vec![0.0; detector.shape.width];
            let reach = detector.shape.window.len() - 1;
            let expected = |at: usize| {
                detector.context(&ids, at, at.saturating_sub(reach)..(at + reach + 1).min(ids.len()), &mut context);
                f64::from(-detector.score(ids[at] as usize, &context))
            };
            let expected: Vec<f64> = (0..ids.len()).map(expected).collect();
            let found = correlation(&expected, &logits);
            assert!(found > 0.85, "{hidden} / {heads}: {found}, {expected:?}, {logits:?}");
        }
    }

    fn correlation(a: &[f64], b: &[f64]) -> f64 {
        let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
        let (mean_a, mean_b) = (mean(a), mean(b));
        let of = |x: &[f64], mean_x: f64, y: &[f64], mean_y: f64| {
            x.iter().zip(y).map(|(x, y)| (x - mean_x) * (y - mean_y)).sum::<f64>()
        };
        of(a, mean_a, b, mean_b) / (of(a, mean_a, a, mean_a) * of(b, mean_b, b, mean_b)).sqrt()
    }

    #[test]
    fn every_row_of_the_word_table_has_the_same_mean_and_deviation() {
        let config = config(64, 8);
        let detector = made_up(&config);
        let mut table = vec![1.0; (VOCAB + 3) * 64];
        ContextInitializer::new(&detector, &config, &[1; VOCAB])
            .apply("electra.embeddings.word_embeddings.weight", &mut table);
        for row in table.chunks_exact(64) {
            let (sum, square) = (row.iter().sum::<f32>() / 0.03, dot(row, row) / (0.03 * 0.03));
            assert!(sum.abs() < 1e-3 && (square - 56.0).abs() < 1e-2, "{sum}, {square}");
            assert!(row[..8].iter().all(|value| *value == 0.0), "the positions' columns");
        }
    }

    #[test]
    fn a_step_moves_scores_towards_the_truth() {
        let config = config(64, 8);
        let mut detector = made_up(&config);
        let mut memory = ContextMemory::new(&detector);
        let (ids, at, seen) = ([12, 13, 14, 15, 16], 2, 0..5);
        let mut context = vec![0.0; detector.shape.width];
        let score = |detector: &ContextDetector, context: &mut [f32]| {
            let total = detector.context(&ids, at, seen.clone(), context);
            (total, [14, 30].map(|id| detector.score(id, context)))
        };
        let (total, before) = score(&detector, &mut context);
        let seen_context = context.clone();
        let place = ContextPlace { ids: &ids, at, seen: seen.clone(), context: &seen_context, total };
        detector.learn(place, [(14, 0.5), (30, -0.5)], 0.01, &mut memory);
        let (_, after) = score(&detector, &mut context);
        assert!(after[0] > before[0] && after[1] < before[1], "{before:?} {after:?}");
    }

    #[test]
    fn a_network_too_small_for_a_detector_has_no_shape() {
        for heads in [2, 4] {
            assert!(ContextShape::of(&config(64, heads)).is_none(), "too few heads");
        }
        assert!(ContextShape::of(&ElectraConfig { intermediate_size: 64, ..config(64, 8) }).is_none());
        assert!(ContextShape::of(&ElectraConfig { embedding_size: 32, ..config(64, 8) }).is_none());
        let shape = ContextShape::of(&config(256, 8)).unwrap();
        assert_eq!((shape.width, shape.neighbour_width, shape.window[0]), (110, 31, 1.0));
    }
}
