//! A run's rows as they stand in its files: any column of numbers, by split, and how steps become tokens, operations and hours.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::error::{PlotError, Result};

/// Columns that say where a row stands, and are no curves.
const PLACES: [&str; 2] = ["step", "split"];
/// The column that rows of fine-tuning have and those of pre-training have not.
const EPOCH: &str = "epoch";
/// The split of rows that do not name one: those of timings.jsonl.
const TIMING: &str = "timing";

/// One row: its step, and its numbers. What is null, or no number, is not in it.
#[derive(Debug, Clone)]
struct Row {
    step: u64,
    split: String,
    numbers: BTreeMap<String, f64>,
}

/// The rows of one run.
#[derive(Debug, Clone)]
pub struct Run {
    /// What it is called in the picture.
    pub name: String,
    /// metrics.jsonl's and timings.jsonl's, in their order.
    rows: Vec<Row>,
    /// Padding included, where the times say so.
    tokens_per_step: Option<f64>,
}

impl Run {
    /// From the texts of metrics.jsonl and timings.jsonl (empty where there is none). A last line without an end is being written,
    /// and left out.
    ///
    /// # Errors
    /// A line that is no JSON object with a step.
    pub fn parse(name: impl Into<String>, metrics: &str, timings: &str) -> Result<Self> {
        let name = name.into();
        let mut rows = Vec::new();
        for (file, text) in [("metrics.jsonl", metrics), ("timings.jsonl", timings)] {
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            for (number, line) in whole.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
                let row = row(line);
                rows.push(row.map_err(|reason| PlotError::Row {
                    run: name.clone(),
                    file,
                    line: number + 1,
                    reason,
                })?);
            }
        }
        let tokens_per_step = tokens_per_step(&rows);
        let mut run = Self { name, rows, tokens_per_step };
        run.take_speed_by_row();
        Ok(run)
    }

    /// Splits that have a number under `metric`, in the order of the rows.
    pub(crate) fn splits_with(&self, metric: &str) -> Vec<&str> {
        let mut splits = Vec::new();
        for row in self.rows.iter().filter(|row| row.numbers.contains_key(metric)) {
            if !splits.contains(&row.split.as_str()) {
                splits.push(row.split.as_str());
            }
        }
        splits
    }

    /// Every row of `split` by its step; `None` where it has no number under `metric`.
    pub(crate) fn column(&self, split: &str, metric: &str) -> Vec<(u64, Option<f64>)> {
        let rows = self.rows.iter().filter(|row| row.split == split);
        rows.map(|row| (row.step, row.numbers.get(metric).copied().filter(|number| number.is_finite()))).collect()
    }

    /// Whether it is of fine-tuning and was judged by the score `name`: a column of its held-out rows, by whatever name its task has.
    pub(crate) fn has_score(&self, name: &str) -> bool {
        let is_judged =
            |row: &Row| row.split == "validation" && row.numbers.contains_key(EPOCH) && row.numbers.contains_key(name);
        name != EPOCH && self.rows.iter().any(is_judged)
    }

    /// Names of all columns of numbers.
    pub(crate) fn metrics(&self) -> BTreeSet<&str> {
        self.rows.iter().flat_map(|row| row.numbers.keys().map(String::as_str)).collect()
    }

    /// Tokens of a step, padding included.
    pub(crate) fn tokens_per_step(&self) -> Option<f64> {
        self.tokens_per_step
    }

    /// Hours of training by step. Seconds begin anew where a run was resumed.
    pub(crate) fn hours(&self) -> Vec<(u64, f64)> {
        let (mut before, mut last, mut hours) = (0.0, 0.0, Vec::new());
        for (step, seconds) in self.column(TIMING, "seconds") {
            let Some(seconds) = seconds else { continue };
            if seconds < last {
                before += last;
            }
            last = seconds;
            hours.push((step, (before + seconds) / 3600.0));
        }
        hours
    }

    /// Turns the mean speed since the process began, which timings.jsonl has, into that since the row before.
    fn take_speed_by_row(&mut self) {
        let Some(tokens_per_step) = self.tokens_per_step else { return };
        let mut before = (0, 0.0);
        for row in self.rows.iter_mut().filter(|row| row.split == TIMING) {
            let (Some(&seconds), Some(&mean)) = (row.numbers.get("seconds"), row.numbers.get("tokens_per_second"))
            else {
                continue;
            };
            let is_of_one_process = seconds > before.1 && row.step > before.0 && before.0 > 0;
            let since = (row.step.saturating_sub(before.0)) as f64 * tokens_per_step / (seconds - before.1);
            row.numbers.insert("tokens_per_second".to_owned(), if is_of_one_process { since } else { mean });
            before = (row.step, seconds);
        }
    }
}

/// What the two speeds of timings.jsonl say of a step.
fn tokens_per_step(rows: &[Row]) -> Option<f64> {
    let of = |row: &Row| Some(row.numbers.get("tokens_per_second")? / row.numbers.get("steps_per_second")?);
    let tokens = rows.iter().filter(|row| row.split == TIMING).find_map(of)?;
    tokens.is_finite().then(|| tokens.round())
}

fn row(line: &str) -> std::result::Result<Row, String> {
    let value: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let fields = value.as_object().ok_or("no JSON object")?;
    let step = fields.get("step").and_then(Value::as_u64).ok_or("\"step\" is no whole number")?;
    let split = fields.get("split").and_then(Value::as_str).unwrap_or(TIMING).to_owned();
    let numbers = fields.iter().filter(|(name, _)| !PLACES.contains(&name.as_str()));
    Ok(Row {
        step,
        split,
        numbers: numbers.filter_map(|(name, value)| Some((name.clone(), value.as_f64()?))).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_is_being_written_is_left_out_and_a_broken_one_is_named() {
        let run = Run::parse("r", "{\"step\":1,\"split\":\"train\",\"loss\":2}\n{\"step\":2,\"spl", "").unwrap();
        assert_eq!(run.column("train", "loss"), [(1, Some(2.0))]);
        let message = Run::parse("r", "{\"step\":1}\n[3]\n", "").unwrap_err().to_string();
        assert!(message.contains("r: line 2 of metrics.jsonl"), "{message}");
        assert!(Run::parse("r", "{\"loss\":1}\n", "").unwrap_err().to_string().contains("\"step\""));
    }

    #[test]
    fn hours_go_on_and_speed_is_of_its_own_row_where_a_run_was_resumed() {
        let timing = |step: u64, seconds: f64, mean: f64| {
            format!(
                "{{\"step\":{step},\"seconds\":{seconds},\"steps_per_second\":{mean},\"tokens_per_second\":{}}}\n",
                mean * 64.0
            )
        };
        // Ten steps a second, then five; and a second process with twenty.
        let text = timing(10, 1.0, 10.0) + &timing(20, 3.0, 20.0 / 3.0) + &timing(30, 0.5, 20.0);
        let run = Run::parse("r", "", &text).unwrap();
        assert_eq!(run.hours(), [(10, 1.0 / 3600.0), (20, 3.0 / 3600.0), (30, 3.5 / 3600.0)]);
        let speed: Vec<f64> = run.column(TIMING, "tokens_per_second").iter().filter_map(|(_, speed)| *speed).collect();
        assert_eq!(speed, [640.0, 320.0, 1280.0]);
        assert_eq!(run.tokens_per_step(), Some(64.0), "whatever the speed");
    }
}
