//! Curves of healthy runs, to hold a run's own beside.
//!
//! healthy.json has what was measured: held-out values of small presets on public-domain books, with where they come from. Runs are
//! compared after as many tokens (padding included), since batches differ. Losses depend on the vocabulary, areas and rates hardly.

use serde::{Deserialize, Serialize};

use super::record::Record;
use crate::pretraining::metrics::MetricsRow;

const CURVES: &str = include_str!("healthy.json");
/// Rows of the run that are shown.
const SHOWN: usize = 6;

/// Held-out rows that show a curve.
const ENOUGH_ROWS: usize = 3;

/// A healthy run's held-out rows.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Curve {
    about: String,
    objective: String,
    hidden_size: usize,
    num_hidden_layers: usize,
    tokens_per_step: u64,
    columns: Vec<String>,
    /// The step, then a value for each of `columns`.
    rows: Vec<Vec<f64>>,
}

/// A run beside a healthy one of its kind.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Beside {
    /// What the healthy run is.
    pub about: String,
    /// Whether this run's rows are those of training, for want of held-out ones; the healthy run's are held out.
    pub is_of_training: bool,
    /// Metrics that both have, as rows name them.
    pub metrics: Vec<String>,
    /// After as many tokens each.
    pub rows: Vec<BesideRow>,
}

/// One moment of both runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BesideRow {
    /// Of this run.
    pub step: u64,
    /// Read by both, padding included.
    pub tokens: u64,
    /// This run's values, one for each metric.
    pub here: Vec<Option<f64>>,
    /// The healthy run's; none beyond its ends.
    pub healthy: Vec<Option<f64>>,
}

fn curves() -> Vec<Curve> {
    serde_json::from_str(CURVES).expect("healthy.json is part of the program")
}

/// The healthy run nearest in kind and size, beside `record`.
pub(super) fn beside(record: &Record) -> Option<Beside> {
    let kind = match record.config.objective.name.as_str() {
        "causal" => "causal",
        _ if record.judged().is_empty() => "mlm",
        _ => "rtd",
    };
    let size = |hidden: usize, layers: usize| (hidden as f64).powi(2) * layers as f64;
    let model = &record.config.model;
    let own = size(model.hidden_size, model.num_hidden_layers).ln();
    let distance = |curve: &Curve| (size(curve.hidden_size, curve.num_hidden_layers).ln() - own).abs();
    let of_kind = curves().into_iter().filter(|curve| curve.objective == kind);
    let curve = of_kind.min_by(|a, b| distance(a).total_cmp(&distance(b)))?;

    let is_of_training = record.validation.len() < ENOUGH_ROWS && record.train.len() > record.validation.len();
    let source = if is_of_training { &record.train } else { &record.validation };
    let metrics: Vec<String> =
        curve.columns.iter().filter(|metric| source.iter().any(|row| value(row, metric).is_some())).cloned().collect();
    let rows: Vec<BesideRow> = spread(source)
        .map(|row| {
            let tokens = row.step * record.tokens_per_step();
            let healthy = |metric: &String| curve.after(tokens, metric);
            BesideRow {
                step: row.step,
                tokens,
                here: metrics.iter().map(|metric| value(row, metric)).collect(),
                healthy: metrics.iter().map(healthy).collect(),
            }
        })
        .collect();
    let is_comparable = rows.iter().any(|row| row.healthy.iter().any(Option::is_some));
    is_comparable.then_some(Beside { about: curve.about, is_of_training, metrics, rows })
}

/// Some of `rows`, the last among them, closer together at the start, where curves are steep.
fn spread(rows: &[MetricsRow]) -> impl Iterator<Item = &MetricsRow> {
    let last = rows.last().map_or(0, |row| row.step);
    let wanted = (0..SHOWN).rev().map(move |halvings| last >> halvings);
    let mut chosen: Vec<usize> = wanted.filter_map(|step| rows.iter().position(|row| row.step >= step)).collect();
    chosen.dedup();
    chosen.into_iter().map(|at| &rows[at])
}

/// A column of `row` by its name.
fn value(row: &MetricsRow, metric: &str) -> Option<f64> {
    match metric {
        "loss" => row.loss,
        "generator_loss" => row.generator_loss,
        "generator_accuracy" => row.generator_accuracy,
        "discriminator_auc" => row.discriminator_auc,
        "discriminator_recall" => row.discriminator_recall,
        "replaced_rate" => row.replaced_rate,
        other => row.extra.get(other).copied().flatten(),
    }
}

impl Curve {
    /// Interpolated along the logarithm of the tokens, as curves are straight.
    fn after(&self, tokens: u64, metric: &str) -> Option<f64> {
        let column = 1 + self.columns.iter().position(|column| column == metric)?;
        let place = |row: &Vec<f64>| row[0] * self.tokens_per_step as f64;
        let next = self.rows.iter().position(|row| place(row) >= tokens as f64)?;
        let (to, after) = (place(&self.rows[next]), self.rows[next][column]);
        if to == tokens as f64 {
            return Some(after);
        }
        let before = &self.rows[next.checked_sub(1)?];
        let share = (tokens as f64 / place(before)).ln() / (to / place(before)).ln();
        Some(before[column] + share * (after - before[column]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_curve_is_whole_and_learns() {
        for curve in curves() {
            assert!(curve.rows.len() >= 4, "{}", curve.about);
            assert!(curve.rows.iter().all(|row| row.len() == curve.columns.len() + 1), "{}", curve.about);
            assert!(curve.rows.windows(2).all(|pair| pair[0][0] < pair[1][0]), "{}", curve.about);
            let ends = |metric: &str| {
                let at = curve.columns.iter().position(|column| column == metric).map(|at| at + 1)?;
                Some((curve.rows[0][at], curve.rows[curve.rows.len() - 1][at]))
            };
            assert!(
                ends("discriminator_auc").is_none_or(|(first, last)| last > first && last > 0.8),
                "{}",
                curve.about
            );
            let loss = ends("generator_loss").or_else(|| ends("loss"));
            assert!(loss.is_some_and(|(first, last)| last < first), "{}", curve.about);
        }
        for kind in ["rtd", "mlm", "causal"] {
            assert!(curves().iter().any(|curve| curve.objective == kind), "{kind}");
        }
    }

    #[test]
    fn values_between_two_rows_are_between_them_and_there_are_none_beyond() {
        let curve = Curve {
            about: String::new(),
            objective: "rtd".into(),
            hidden_size: 1,
            num_hidden_layers: 1,
            tokens_per_step: 10,
            columns: vec!["loss".into()],
            rows: vec![vec![100.0, 8.0], vec![400.0, 4.0]],
        };
        assert_eq!(curve.after(1000, "loss"), Some(8.0));
        assert!((curve.after(2000, "loss").unwrap() - 6.0).abs() < 1e-12);
        assert_eq!((curve.after(4001, "loss"), curve.after(999, "loss"), curve.after(1000, "auc")), (None, None, None));
    }

    #[test]
    fn rows_are_chosen_closer_together_at_the_start() {
        let row = |step: u64| MetricsRow { step, ..crate::diagnosis::tests::row(step, "validation") };
        let rows: Vec<MetricsRow> = (1..=64).map(|number| row(100 * number)).collect();
        let chosen: Vec<u64> = spread(&rows).map(|row| row.step).collect();
        assert_eq!(chosen, [200, 400, 800, 1600, 3200, 6400]);
        assert_eq!(spread(&rows[..1]).count(), 1);
    }
}
