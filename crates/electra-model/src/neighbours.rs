//! First weights with which a network looks at each token's neighbours before it has learnt anything.
//!
//! Attention starts almost uniform, and from a loss as noisy as replaced token detection's it takes thousands of steps
//! to find out that the tokens beside one matter most. Weights that do that from the start save those steps (after
//! Trockman and Kolter 2023, "Mimetic Initialization of Self-Attention Layers", who copy what trained layers look like).
//! They are first values and no more: every weight is trained on from there, and the architecture is as before.
//!
//! Position p is, in columns that words and types leave at zero, sin(w p + c) and cos(w p + c) for frequencies w up to pi;
//! with those of Vaswani et al. (most of them far below 1) adjacent positions are all but equal. In the first layer each
//! head's queries take these pairs as they are, and its keys take them turned back by w times the head's offset, which is
//! exact:
//!   query_i . key_j = gain^2 * amplitude^2 * (sum over pairs of cos(w (j - offset - i)))
//! That is largest at j = i + offset, and at other distances the cosines mostly cancel.

use std::f64::consts::{PI, SQRT_2};
use std::ops::Range;

use electra_kernels::noise::NoiseKey;

use crate::{
    config::ElectraConfig,
    initializer::truncated_normal,
    parameters::{Initializer, Layout},
};

/// The score that a head gives its neighbour at first, if words and types weigh as much as positions. Others' are mostly near
/// 0, so that of 64 tokens the neighbour gets nearly all of the attention. From 10 to 19 it makes no difference to what is
/// learnt (docs/LOG.md, 2026-11-25).
const SCORE: f64 = 16.0;

/// How far a head that looks around a token does, in tokens, and the score that it gives the token itself, beside others' far away of about 0.
const WINDOW_REACH: f64 = 13.0;
const WINDOW_SCORE: f64 = 8.0;

/// How one network's positions and first layer start.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbours {
    /// The first columns of the tables, which are the positions'. Even.
    columns: usize,
    heads: usize,
    head_dim: usize,
    /// Standard deviation of the tables' values.
    deviation: f64,
}

/// Which of the parameters a first value is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NeighbourPart {
    /// The position table.
    Positions,
    /// A table that leaves the positions' columns at zero: words, types.
    Others,
    /// Of the first layer.
    Queries,
    /// Of the first layer.
    Keys,
}

impl Neighbours {
    /// For a network of these sizes; `None` where embeddings are projected, so that the first layer does not see the
    /// positions' columns, or where heads are narrower than a pair.
    pub fn new(config: &ElectraConfig) -> Option<Self> {
        let heads = config.num_attention_heads;
        let head_dim = config.hidden_size.checked_div(heads)?;
        // As many as a head can take in, while at least half are left to the words.
        let columns = head_dim.min(config.hidden_size / 2) / 2 * 2;
        let fits = !config.has_projection() && head_dim >= 2 && columns >= 2;
        fits.then_some(Self { columns, heads, head_dim, deviation: config.initializer_range })
    }

    /// `layout` with these first values for the network under `prefix` (`"discriminator."`).
    #[must_use]
    pub fn initialize(self, layout: Layout, prefix: &str) -> Layout {
        let parts = [
            ("embeddings.position_embeddings", NeighbourPart::Positions),
            ("embeddings.word_embeddings", NeighbourPart::Others),
            ("embeddings.token_type_embeddings", NeighbourPart::Others),
            ("encoder.layer.0.attention.self.query", NeighbourPart::Queries),
            ("encoder.layer.0.attention.self.key", NeighbourPart::Keys),
        ];
        parts.into_iter().fold(layout, |layout, (name, part)| {
            let name = format!("{prefix}electra.{name}.weight");
            layout.with_initializer(&name, Initializer::Neighbours(self, part))
        })
    }

    /// The first columns of the tables, which are the positions'.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Factors of the pairs for a head that looks evenly around a token: a bump of [`WINDOW_REACH`] tokens.
    fn window_factors(&self) -> Vec<f64> {
        // A sum of cosines with the weights of a normal distribution is one; pairs lie the denser the lower their frequency.
        let edge = |pair: usize| PI * (pair as f64 / self.pairs() as f64).powf(1.5);
        let factor =
            |pair: usize| (-(self.frequency(pair) * WINDOW_REACH).powi(2) / 2.0).exp() * (edge(pair + 1) - edge(pair));
        let factors: Vec<f64> = (0..self.pairs()).map(factor).collect();
        let sum: f64 = factors.iter().sum();
        factors.into_iter().map(|factor| factor * WINDOW_SCORE / sum).collect()
    }

    /// What such a head gives a token at this distance, of what it gives the token itself.
    pub(crate) fn window_share(&self, distance: usize) -> f64 {
        let cosine = |pair: usize| (self.frequency(pair) * distance as f64).cos() - 1.0;
        self.window_factors().iter().enumerate().map(|(pair, factor)| factor * cosine(pair)).sum::<f64>().exp()
    }

    /// Makes `heads` of `values`, `[hidden, hidden]` of the first layer's queries or keys, look evenly around a token.
    pub(crate) fn look_around(&self, heads: Range<usize>, values: &mut [f32]) {
        // Layer normalization makes a pair's squared amplitude 2; attention divides by the root of a head's width.
        let gain = |factor: f64| (factor * (self.head_dim as f64).sqrt() / 2.0).sqrt();
        let gains: Vec<f64> = self.window_factors().into_iter().map(gain).collect();
        self.take_pairs(heads, &gains, values);
    }

    /// Makes the heads from `first` on look at the token itself.
    pub(crate) fn look_at_itself(&self, first: usize, values: &mut [f32]) {
        self.take_pairs(first..self.heads, &vec![self.gain(); self.pairs()], values);
    }

    /// Lets `heads` take the pairs as they are, each times its gain.
    fn take_pairs(&self, heads: Range<usize>, gains: &[f64], values: &mut [f32]) {
        let columns = self.heads * self.head_dim;
        for head in heads {
            let rows = &mut values[head * self.head_dim * columns..][..self.head_dim * columns];
            rows.fill(0.0);
            for (pair, gain) in gains.iter().enumerate() {
                for column in [2 * pair, 2 * pair + 1] {
                    rows[column * columns + column] = *gain as f32;
                }
            }
        }
    }

    /// Factor of a pair in the queries and in the keys of a head that looks at one place.
    fn gain(&self) -> f64 {
        // Layer normalization makes the deviation about 1, and so a pair's squared amplitude 2.
        (SCORE * (self.head_dim as f64).sqrt() / self.columns as f64).sqrt()
    }

    /// How far from a token the head looks: -1, 1, -2, 2, ...
    pub fn offset(head: usize) -> isize {
        let distance = (head / 2 + 1) as isize;
        if head.is_multiple_of(2) { -distance } else { distance }
    }

    /// Row-major values of a parameter of `columns` columns and `len` values.
    pub(crate) fn values(&self, part: NeighbourPart, len: usize, columns: usize, key: NoiseKey) -> Vec<f32> {
        match part {
            NeighbourPart::Positions => (0..len).map(|i| self.position(i / columns, i % columns) as f32).collect(),
            NeighbourPart::Others => {
                let value =
                    |i| if i % columns < self.columns { 0.0 } else { truncated_normal(key, i) * self.deviation };
                (0..len).map(|i| value(i) as f32).collect()
            }
            NeighbourPart::Queries => self.selection(len, columns, |_| 0),
            NeighbourPart::Keys => self.selection(len, columns, Self::offset),
        }
    }

    /// Pairs of (sine, cosine) among the positions' columns.
    fn pairs(&self) -> usize {
        self.columns / 2
    }

    /// Up to pi, which tells adjacent positions apart best. Not evenly: distances would come at which all pairs are in
    /// step again (with 8 pairs 32, with this exponent none below 128 at which more than seven tenths are).
    fn frequency(&self, pair: usize) -> f64 {
        PI * ((pair as f64 + 0.5) / self.pairs() as f64).powf(1.5)
    }

    fn position(&self, position: usize, column: usize) -> f64 {
        if column >= self.columns {
            return 0.0;
        }
        // A phase for each pair (the golden angle), lest all cosines be 1 at position 0: layer normalization would
        // take their mean away.
        let phase = (column / 2) as f64 * PI * (3.0 - 5f64.sqrt());
        let angle = phase + position as f64 * self.frequency(column / 2);
        // A sine's standard deviation is 1 / sqrt(2) of its amplitude.
        self.deviation * SQRT_2 * if column.is_multiple_of(2) { angle.sin() } else { angle.cos() }
    }

    /// `[hidden, hidden]`: for each head all pairs, turned back by the head's offset.
    fn selection(&self, len: usize, columns: usize, offset: impl Fn(usize) -> isize) -> Vec<f32> {
        let mut values = vec![0.0; len];
        let gain = self.gain();
        for head in 0..self.heads {
            for pair in 0..self.pairs() {
                let (sine, cosine) = (self.frequency(pair) * offset(head) as f64).sin_cos();
                let row = head * self.head_dim + 2 * pair;
                let [first, second] = [row, row + 1].map(|row| row * columns + 2 * pair);
                for (place, value) in [(first, cosine), (first + 1, -sine), (second, sine), (second + 1, cosine)] {
                    values[place] = (gain * value) as f32;
                }
            }
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        network::Discriminator,
        parameters::{ParameterSpec, Parameters},
    };
    use burn::tensor::Device;

    const SEQ: usize = 64;

    fn config(hidden_size: usize, heads: usize) -> ElectraConfig {
        ElectraConfig {
            vocab_size: 200,
            embedding_size: hidden_size,
            hidden_size,
            num_hidden_layers: 2,
            num_attention_heads: heads,
            intermediate_size: hidden_size,
            max_position_embeddings: SEQ,
            initializer_range: 0.1,
            ..ElectraConfig::default()
        }
    }

    fn layout(config: &ElectraConfig) -> Layout {
        let layout = Layout::new(Discriminator::specs(config, "d."), Vec::new());
        Neighbours::new(config).unwrap().initialize(layout, "d.")
    }

    /// What each head of the first layer gives each token of a text without meaning, `[heads][seq][seq]`, in f64.
    fn first_attention(config: &ElectraConfig) -> Vec<Vec<Vec<f64>>> {
        let parameters = Parameters::initialize(&layout(config), 3, &Device::flex());
        let table = |name: &str| -> Vec<f64> {
            let [value] = parameters.pieces(&format!("d.electra.{name}.weight")).unwrap() else { panic!("in pieces") };
            value.to_data().iter::<f64>().collect()
        };
        let width = config.hidden_size;
        let [words, positions, types] =
            ["word", "position", "token_type"].map(|name| table(&format!("embeddings.{name}_embeddings")));
        let embedding = |at: usize| -> Vec<f64> {
            let word = 5 + at * at * 7 % 190;
            let row: Vec<f64> = (0..width)
                .map(|column| words[word * width + column] + positions[at * width + column] + types[column])
                .collect();
            let mean = row.iter().sum::<f64>() / width as f64;
            let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / width as f64;
            row.iter().map(|x| (x - mean) / variance.sqrt()).collect()
        };
        let embeddings: Vec<Vec<f64>> = (0..SEQ).map(embedding).collect();
        let [queries, keys] = ["query", "key"].map(|name| {
            let weight = table(&format!("encoder.layer.0.attention.self.{name}"));
            let project = |x: &Vec<f64>| -> Vec<f64> {
                weight.chunks_exact(width).map(|row| row.iter().zip(x).map(|(w, x)| w * x).sum()).collect()
            };
            embeddings.iter().map(project).collect::<Vec<_>>()
        });
        let head_dim = width / config.num_attention_heads;
        let attention = |head: usize, i: usize| -> Vec<f64> {
            let columns = head * head_dim..(head + 1) * head_dim;
            let score = |key: &Vec<f64>| {
                let dot: f64 = columns.clone().map(|column| queries[i][column] * key[column]).sum();
                (dot / (head_dim as f64).sqrt()).exp()
            };
            let scores: Vec<f64> = keys.iter().map(score).collect();
            let sum: f64 = scores.iter().sum();
            scores.into_iter().map(|score| score / sum).collect()
        };
        (0..config.num_attention_heads).map(|head| (0..SEQ).map(|i| attention(head, i)).collect()).collect()
    }

    #[test]
    fn every_head_of_the_first_layer_starts_at_its_neighbour() {
        // `first`, `nano`, `mini` without a projection, one head, and narrow heads that share the positions' columns.
        for (hidden, heads) in [(64, 4), (64, 2), (192, 3), (64, 1), (128, 8)] {
            for (head, rows) in first_attention(&config(hidden, heads)).into_iter().enumerate() {
                let offset = Neighbours::offset(head);
                for (i, row) in rows.into_iter().enumerate() {
                    let Some(neighbour) = i.checked_add_signed(offset).filter(|j| *j < SEQ) else { continue };
                    assert!(
                        row[neighbour] > 0.8,
                        "{hidden}/{heads}, head {head} at {i}: {} at {offset}",
                        row[neighbour]
                    );
                }
            }
        }
    }

    #[test]
    fn heads_look_left_and_right_by_turns() {
        assert_eq!([0, 1, 2, 3, 4].map(Neighbours::offset), [-1, 1, -2, 2, -3]);
    }

    #[test]
    fn words_and_types_leave_the_positions_columns_alone_and_positions_theirs() {
        let config = config(64, 4);
        for spec in layout(&config).specs().iter().filter(|spec| spec.name.contains("_embeddings.weight")) {
            let values = spec.initial_values(1);
            let is_position = spec.name.contains("position");
            for row in values.chunks_exact(64) {
                let (first, rest) = row.split_at(16);
                let (zero, used) = if is_position { (rest, first) } else { (first, rest) };
                assert!(zero.iter().all(|x| *x == 0.0) && used.iter().any(|x| *x != 0.0), "{}", spec.name);
            }
            let used = if is_position { 16 } else { 48 };
            let square = values.iter().map(|x| x * x).sum::<f32>() / (values.len() / 64 * used) as f32;
            // A normal that ends at two deviations has .88 of the deviation; two types are few values.
            assert!(spec.name.contains("type") || (0.08..0.102).contains(&square.sqrt()), "{}: {square}", spec.name);
        }
    }

    #[test]
    fn the_other_layers_and_values_start_as_ever() {
        let config = config(64, 4);
        let plain = Layout::new(Discriminator::specs(&config, "d."), Vec::new());
        let changed = |spec: &&ParameterSpec| !plain.specs().contains(spec);
        let names: Vec<String> = layout(&config).specs().iter().filter(changed).map(|spec| spec.name.clone()).collect();
        let expected = [
            "embeddings.word_embeddings",
            "embeddings.position_embeddings",
            "embeddings.token_type_embeddings",
            "encoder.layer.0.attention.self.query",
            "encoder.layer.0.attention.self.key",
        ];
        assert_eq!(names, expected.map(|name| format!("d.electra.{name}.weight")));
    }

    #[test]
    fn a_projection_or_a_head_of_one_column_is_refused() {
        assert_eq!(Neighbours::new(&ElectraConfig { embedding_size: 32, ..config(64, 4) }), None);
        assert_eq!(Neighbours::new(&config(64, 64)), None);
        assert!(Neighbours::new(&config(64, 32)).is_some());
    }
}
