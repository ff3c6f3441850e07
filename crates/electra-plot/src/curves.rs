//! Which curves there are: one panel for each metric and split, one series in it for each run.

use std::collections::BTreeSet;

use crate::error::{PlotError, Result};
use crate::rows::Run;
use crate::style::MAX_RUNS;

/// What stands on the horizontal axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum X {
    /// Updates.
    #[default]
    Steps,
    /// Read, padding included.
    Tokens,
    /// Floating-point operations, as rows have them.
    Flops,
    /// Of training, pauses between processes left out.
    Hours,
}

impl X {
    /// As an axis says it.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Steps => "steps",
            Self::Tokens => "tokens, padding included",
            Self::Flops => "floating-point operations",
            Self::Hours => "hours of training",
        }
    }

    /// Its values by step, ascending; those between are interpolated.
    fn table(self, run: &Run) -> Result<Vec<(u64, f64)>> {
        let table = match self {
            Self::Steps => vec![(1, 1.0)],
            Self::Tokens => run.tokens_per_step().map_or_else(Vec::new, |tokens| vec![(1, tokens)]),
            Self::Flops => {
                let column = run.column("train", "flops").into_iter();
                column.filter_map(|(step, flops)| Some((step, flops?))).collect()
            }
            Self::Hours => run.hours(),
        };
        let what = match self {
            Self::Flops => "its floating-point operations (rows of earlier releases do not)",
            _ => "its times (timings.jsonl)",
        };
        if table.is_empty() { Err(PlotError::NoAxis { run: run.name.clone(), what }) } else { Ok(table) }
    }
}

/// What is drawn, and how.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Options {
    /// The horizontal axis …
    pub x: X,
    /// … and whether it is logarithmic.
    pub log_x: bool,
    /// Weight of the past in a moving average of training's rows, 0 (none) to below 1.
    pub smoothing: f64,
    /// Columns to show; empty: [`usual`].
    pub metrics: Vec<String>,
}

/// How the vertical axis of a metric is best read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Vertical {
    Linear,
    /// Logarithmic where the values span much.
    LogIfWide,
}

/// Metrics that are shown unasked, in their order: column, title, axis.
const USUAL: &[(&str, &str, Vertical)] = &[
    ("loss", "Loss", Vertical::LogIfWide),
    ("generator_loss", "Language model's loss (nats)", Vertical::LogIfWide),
    ("generator_accuracy", "Language model's accuracy", Vertical::Linear),
    ("discriminator_loss", "Discriminator's loss", Vertical::LogIfWide),
    ("discriminator_auc", "Discriminator's AUC", Vertical::Linear),
    ("discriminator_accuracy", "Discriminator's accuracy", Vertical::Linear),
    ("discriminator_recall", "Discriminator's recall", Vertical::Linear),
    ("swap_auc", "AUC on swapped words", Vertical::Linear),
    ("replaced_rate", "Replaced tokens", Vertical::Linear),
    ("learning_rate", "Learning rate", Vertical::Linear),
    ("gradient_norm", "Gradient's norm before clipping", Vertical::LogIfWide),
    ("tokens_per_second", "Tokens per second", Vertical::Linear),
];

/// Columns that are shown unasked, where a run has them.
pub fn usual() -> impl Iterator<Item = &'static str> {
    USUAL.iter().map(|(metric, ..)| *metric)
}

/// One metric of one split.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// In words.
    pub title: String,
    /// What stands on the horizontal axis, with its unit.
    pub x_label: &'static str,
    /// Whether that axis is logarithmic.
    pub log_x: bool,
    /// Ends of that axis, the same for all panels: what happened at once stands below one another.
    pub(crate) x_range: (f64, f64),
    pub(crate) vertical: Vertical,
    /// One for each run that was given, those without such a metric empty, so that a run looks the same in each panel.
    pub series: Vec<Series>,
}

/// Runs up to here are better read in minutes.
const SHORT_HOURS: f64 = 2.0;

impl Panel {
    /// From hours.
    fn take_minutes(&mut self) {
        self.x_label = "minutes of training";
        self.x_range = (60.0 * self.x_range.0, 60.0 * self.x_range.1);
        for series in &mut self.series {
            let points = series.points.iter_mut().chain(series.smoothed.iter_mut().flatten());
            points.for_each(|(x, _)| *x *= 60.0);
        }
    }
}

/// The curve of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The run's.
    pub name: String,
    /// By x. `None` where a row has no such number: the curve has a gap there.
    pub points: Vec<(f64, Option<f64>)>,
    /// The same smoothed, where that was asked for; as long as `points`.
    pub smoothed: Option<Vec<(f64, Option<f64>)>>,
}

/// What `options` ask for of `runs`.
///
/// # Errors
/// Nothing to show, an unknown metric, a run without what stands on the horizontal axis, too many runs.
pub fn panels(runs: &[Run], options: &Options) -> Result<Vec<Panel>> {
    if runs.len() > MAX_RUNS {
        return Err(PlotError::TooMany { given: runs.len(), most: MAX_RUNS });
    }
    let known: BTreeSet<&str> = runs.iter().flat_map(Run::metrics).collect();
    let metrics: Vec<(&str, &str, Vertical)> = if options.metrics.is_empty() {
        let is_score =
            |name: &&&str| usual().all(|usual| usual != **name) && runs.iter().any(|run| run.has_score(name));
        let scores = known.iter().filter(is_score);
        USUAL.iter().copied().chain(scores.map(|name| (*name, *name, Vertical::LogIfWide))).collect()
    } else {
        let named = |name: &'_ str| USUAL.iter().find(|(metric, ..)| *metric == name).copied();
        let asked = options.metrics.iter().map(String::as_str);
        asked.map(|name| named(name).unwrap_or((name, name, Vertical::LogIfWide))).collect()
    };
    if let Some(name) = options.metrics.iter().find(|name| !known.contains(name.as_str())) {
        let known = known.into_iter().collect::<Vec<_>>().join(", ");
        return Err(PlotError::UnknownMetric { name: name.clone(), known });
    }
    let tables = runs.iter().map(|run| options.x.table(run)).collect::<Result<Vec<_>>>()?;
    let (mut panels, mut alone) = (Vec::new(), Vec::new());
    for (metric, title, vertical) in metrics {
        let mut splits = Vec::new();
        for split in runs.iter().flat_map(|run| run.splits_with(metric)) {
            if !splits.contains(&split) {
                splits.push(split);
            }
        }
        // Two splits of a metric stand side by side in two columns; what has one comes after them.
        let is_alone = splits.len() % 2 == 1;
        for split in splits {
            let series = runs.iter().zip(&tables).map(|(run, table)| series(run, table, split, metric, options));
            let place = if is_alone { &mut alone } else { &mut panels };
            place.push(Panel {
                title: match split {
                    "validation" => format!("{title}, held out"),
                    "train" | "timing" => title.to_owned(),
                    other => format!("{title}, {other}"),
                },
                x_label: options.x.label(),
                log_x: options.log_x,
                x_range: (0.0, 0.0),
                vertical,
                series: series.collect(),
            });
        }
    }
    panels.append(&mut alone);
    let xs = || panels.iter().flat_map(|panel| &panel.series).flat_map(|series| &series.points).map(|(x, _)| *x);
    let first = xs().filter(|x| *x > 0.0).fold(f64::INFINITY, f64::min);
    let x_range = (if options.log_x { first } else { 0.0 }, xs().fold(0.0, f64::max));
    panels.iter_mut().for_each(|panel| panel.x_range = x_range);
    if options.x == X::Hours && x_range.1 < SHORT_HOURS {
        panels.iter_mut().for_each(Panel::take_minutes);
    }
    if panels.is_empty() {
        let names: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
        return Err(PlotError::Empty { runs: names.join(", ") });
    }
    Ok(panels)
}

fn series(run: &Run, table: &[(u64, f64)], split: &str, metric: &str, options: &Options) -> Series {
    let column = run.column(split, metric).into_iter();
    let points: Vec<_> = column.map(|(step, value)| (at(table, step), value)).collect();
    // A run without the metric has no curve, not one of gaps.
    let points = if points.iter().all(|(_, value)| value.is_none()) { Vec::new() } else { points };
    let is_noisy = split != "validation" && metric != "learning_rate";
    let smoothed = (options.smoothing > 0.0 && is_noisy).then(|| smooth(&points, options.smoothing));
    Series { name: run.name.clone(), points, smoothed }
}

/// The value of `step` in a table of ascending steps that begins at (0, 0), interpolated or carried on.
fn at(table: &[(u64, f64)], step: u64) -> f64 {
    let next = table.partition_point(|(other, _)| *other < step).min(table.len() - 1);
    let before = if next == 0 { (0, 0.0) } else { table[next - 1] };
    let (span, rise) = ((table[next].0 - before.0).max(1) as f64, table[next].1 - before.1);
    before.1 + rise * (step.saturating_sub(before.0) as f64 / span)
}

/// An exponential moving average, divided by what its weights add up to, so that it does not begin at 0. Gaps stay gaps.
fn smooth(points: &[(f64, Option<f64>)], weight: f64) -> Vec<(f64, Option<f64>)> {
    let (mut sum, mut weights) = (0.0, 0.0);
    let mut next = |value: f64| {
        sum = weight * sum + (1.0 - weight) * value;
        weights = weight * weights + (1.0 - weight);
        sum / weights
    };
    points.iter().map(|(x, value)| (*x, value.map(&mut next))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(name: &str, rows: &[(u64, &str, &str)]) -> Run {
        let line =
            |(step, split, rest): &(u64, &str, &str)| format!("{{\"step\":{step},\"split\":\"{split}\",{rest}}}\n");
        Run::parse(name, &rows.iter().map(line).collect::<String>(), "").unwrap()
    }

    #[test]
    fn a_run_without_a_metric_keeps_its_place() {
        let runs = [
            run("mlm", &[(1, "train", "\"loss\":1,\"discriminator_auc\":null")]),
            run("rtd", &[(1, "train", "\"loss\":2,\"discriminator_auc\":0.5"), (1, "validation", "\"loss\":3")]),
        ];
        let drawn = panels(&runs, &Options::default()).unwrap();
        let titles: Vec<&str> = drawn.iter().map(|panel| panel.title.as_str()).collect();
        assert_eq!(titles, ["Loss", "Loss, held out", "Discriminator's AUC"]);
        assert!(drawn.iter().all(|panel| panel.x_range == (0.0, 1.0)));
        assert!(drawn.iter().all(|panel| panel.series.len() == 2));
        assert!(drawn[2].series[0].points.is_empty() && drawn[2].series[1].points == [(1.0, Some(0.5))]);
    }

    #[test]
    fn any_column_can_be_asked_for_and_an_unknown_one_is_answered_with_those_there_are() {
        let rows =
            [(1, "validation", "\"epoch\":1,\"matthews\":0.4"), (2, "validation", "\"epoch\":2,\"matthews\":0.5")];
        let runs = [run("a", &rows)];
        let ask = |name: &str| panels(&runs, &Options { metrics: vec![name.to_owned()], ..Options::default() });
        assert_eq!(ask("matthews").unwrap()[0].title, "matthews, held out");
        assert!(ask("f1").unwrap_err().to_string().contains("there are epoch, matthews"));
        assert_eq!(
            panels(&runs, &Options::default()).unwrap()[0].title,
            "matthews, held out",
            "a task's scores, unasked"
        );
        let empty = panels(&[run("b", &[(1, "train", "\"loss\":null")])], &Options::default()).unwrap_err();
        assert!(empty.to_string().contains("b: no row with a number yet"));
    }

    #[test]
    fn validation_finds_its_place_among_the_operations_of_training() {
        let rows = [
            (10, "train", "\"loss\":2,\"flops\":1e9"),
            (15, "validation", "\"loss\":3"),
            (20, "train", "\"loss\":1,\"flops\":3e9"),
        ];
        let options = Options { x: X::Flops, ..Options::default() };
        let drawn = panels(&[run("a", &rows)], &options).unwrap();
        assert_eq!(drawn[1].series[0].points, [(2e9, Some(3.0))]);
        let without = panels(&[run("old", &[(10, "train", "\"loss\":2")])], &options).unwrap_err().to_string();
        assert!(without.contains("old: it does not record"), "{without}");
    }

    #[test]
    fn smoothing_begins_at_the_first_value_and_keeps_gaps() {
        let points = [(0.0, Some(4.0)), (1.0, None), (2.0, Some(1.0))];
        let smoothed = smooth(&points, 0.5);
        assert_eq!(smoothed[0], (0.0, Some(4.0)));
        assert_eq!(smoothed[1], (1.0, None));
        // Weights .25 and .5 of .75.
        assert!((smoothed[2].1.unwrap() - 2.0).abs() < 1e-12);
    }

    #[test]
    fn more_runs_than_can_be_told_apart_are_refused() {
        let runs: Vec<Run> = (0..=MAX_RUNS).map(|i| run(&i.to_string(), &[(1, "train", "\"loss\":1")])).collect();
        assert!(panels(&runs, &Options::default()).is_err());
        assert!(panels(&runs[1..], &Options::default()).is_ok());
    }
}
