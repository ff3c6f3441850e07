//! `--task csv`: a user's own table. Columns and kind are found by themselves and said, or named; a [`Decision`] is what was found, and
//! later reads tables to predict in the same way.

mod columns;
mod kind;
mod labels;

use serde::{Deserialize, Serialize};

use super::beside::beside;
use super::{LoadOptions, Source, Split, Task, TaskData, hold_out};
use crate::files::Files;
use crate::table::{Table, Trouble};
use crate::{Example, Input, Kind, Result, Target, TaskError};

use labels::Labels;

pub(super) const TASK: Task = Task {
    name: "csv",
    title: "a table",
    about: "any CSV, TSV, JSONL or Parquet file: classes, numbers or several labels",
    metrics: &[],
    in_glue_average: false,
    epochs: 3.0,
    max_length: 128,
    both_orders: false,
    note: "",
    source: Source::Read(load),
};

/// What a user says of a table; the rest is found by name and content.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--text-column`
    pub text_column: Option<String>,
    /// `--pair-column`
    pub pair_column: Option<String>,
    /// `--label-column`
    pub label_column: Option<String>,
    /// `--kind`
    pub kind: Option<KindName>,
    /// `--separator`: between the labels of a cell.
    pub separator: Option<char>,
}

/// The kinds that a table can be of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KindName {
    /// One label a row.
    Classification,
    /// A number.
    Regression,
    /// Any number of labels a row.
    MultiLabel,
}

/// How a cell holds several labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelList {
    /// A JSON list: `["a", "b"]`
    Json,
    /// Labels with this between them: `a|b`
    Separated(char),
}

/// How a table is read: its columns, its kind, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The column of the text, or of the first of two.
    pub text_column: String,
    /// The column of the second text.
    pub pair_column: Option<String>,
    /// The column of what is right.
    pub label_column: String,
    /// What is to be said of a text.
    pub kind: Kind,
    /// How a cell holds several labels; none where it does not.
    pub list: Option<LabelList>,
    /// What was decided and why, a sentence each.
    pub sentences: Vec<String>,
}

/// Whether rows need a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Rows without one are left out and counted.
    Labels,
    /// There is something to predict: labels are not looked at, and their column may be absent.
    TextsAlone,
}

impl Decision {
    /// Decides how `table`, the one to train on, is read.
    ///
    /// # Errors
    /// A column that is named is not there; none looks like a text, or like labels; the labels are of one class alone, or not such as the
    /// kind needs.
    pub fn of(table: &Table, flags: &Flags) -> Result<Self> {
        let chosen = columns::choose(table, flags)?;
        let mut sentences = chosen.sentences;
        let found = kind::choose(table, chosen.label, flags, &mut sentences)?;
        let name = |column: usize| table.columns()[column].clone();
        Ok(Self {
            text_column: name(chosen.text),
            pair_column: chosen.pair.map(name),
            label_column: name(chosen.label),
            kind: found.kind,
            list: found.list,
            sentences,
        })
    }

    /// The examples of a table that is read this way.
    ///
    /// # Errors
    /// A column is missing; a label that training did not have; no row can be used.
    pub fn read(&self, table: &Table, name: &str, need: Need) -> Result<Split> {
        let text = table.column_named(&self.text_column, "--text-column")?;
        let pair = self.pair_column.as_deref().map(|column| table.column_named(column, "--pair-column")).transpose()?;
        let label = match need {
            Need::Labels => Some(table.column_named(&self.label_column, "--label-column")?),
            Need::TextsAlone => None,
        };
        let labels = self.labels(table, label);
        let mut report = table.report().clone();
        let mut examples = Vec::with_capacity(table.len());
        for row in table.rows() {
            let line = row.line();
            let target = match label.map_or(Ok(Some(Target::Unknown)), |column| labels.target(row.cell(column).trim()))
            {
                Ok(Some(target)) => target,
                Ok(None) => {
                    report.note(Trouble::NoLabel, table.name(), line, || format!("nothing in {:?}", self.label_column));
                    continue;
                }
                Err(labels::Bad::NoLabel(reason)) => {
                    report.note(Trouble::BadLabel, table.name(), line, || reason);
                    continue;
                }
                Err(labels::Bad::Unseen(label)) => return Err(self.unseen(table, line, &label)),
            };
            let texts = [Some(text), pair].map(|column| column.map(|column| row.cell(column)));
            if texts.iter().flatten().any(|text| text.trim().is_empty()) {
                report.note(Trouble::EmptyText, table.name(), line, || "no word".into());
            }
            let input = match texts {
                [Some(first), Some(second)] => Input::Pair(first.into(), second.into()),
                [first, _] => Input::Text(first.unwrap_or_default().into()),
            };
            examples.push(Example { id: row.number().to_string(), input, target });
        }
        if examples.is_empty() {
            let reason = format!("no row can be used: {}", report.sentences().join("; "));
            let remedy = format!("see whether {:?} is the right column (--label-column)", self.label_column);
            return Err(TaskError::unsuitable(table.name(), reason, remedy));
        }
        Ok(Split { name: name.into(), files: vec![table.name().to_owned()], examples, report, submission: None })
    }

    /// Whether a table says what is right of any of its rows.
    pub fn has_labels(&self, table: &Table) -> bool {
        let Some(column) = table.column(&self.label_column) else { return false };
        let labels = self.labels(table, Some(column));
        table
            .rows()
            .map(|row| row.cell(column).trim())
            .any(|cell| !cell.is_empty() && !matches!(labels.target(cell), Ok(None)))
    }

    fn labels<'t>(&'t self, table: &'t Table, column: Option<usize>) -> Labels<'t> {
        Labels::new(&self.kind, self.list, column.and_then(|column| table.label_names(column)))
    }

    fn unseen(&self, table: &Table, line: u64, label: &str) -> TaskError {
        let known = self.kind.labels();
        let shown: Vec<&str> = known.iter().take(20).map(String::as_str).collect();
        let more = if known.len() > shown.len() { ", ..." } else { "" };
        TaskError::record(
            table.name(),
            format!("line {line}"),
            format!(
                "the label {label:?} is none of the {} that training has ({}{more}), so no network can learn it",
                known.len(),
                shown.join(", ")
            ),
            "correct it, take its rows out, or add examples of it to the training file",
        )
    }
}

fn load(files: &Files, options: &LoadOptions) -> Result<TaskData> {
    let found = beside(files, options)?;
    let table = |name: &String| files.table(name, &options.table);
    let first = table(&found.train[0])?;
    let mut decision = Decision::of(&first, &options.custom)?;
    let mut train = decision.read(&first, "train", Need::Labels);
    if found.train.len() > 1 {
        // A label may be in another shard alone: the kind is that of all of them.
        let mut tables = vec![first];
        for name in &found.train[1..] {
            tables.push(table(name)?);
        }
        kind::widen(&mut decision, &tables)?;
        train = read_all(&decision, &tables, "train", Need::Labels);
    } else {
        drop(first);
    }
    let mut train = train?;
    let mut data = TaskData::of(decision.kind.clone());
    data.notes = found.notes;
    for (names, name) in [(&found.dev, "dev"), (&found.test, "test")] {
        let tables = names.iter().map(table).collect::<Result<Vec<Table>>>()?;
        if !tables.is_empty() {
            let is_labelled = name == "dev" || tables.iter().all(|table| decision.has_labels(table));
            let need = if is_labelled { Need::Labels } else { Need::TextsAlone };
            let split = read_all(&decision, &tables, name, need)?;
            if name == "dev" { data.dev.push(split) } else { data.test.push(split) }
        }
    }
    if data.dev.is_empty() {
        data.notes.push(hold_out::from_train(&mut train, &mut data.dev, &data.kind, options)?);
    }
    data.train = Some(train);
    data.decision = Some(decision);
    Ok(data)
}

fn read_all(decision: &Decision, tables: &[Table], name: &str, need: Need) -> Result<Split> {
    let mut all = Split { name: name.into(), ..Split::default() };
    for table in tables {
        let split = decision.read(table, name, need)?;
        all.files.extend(split.files);
        all.report.add(&split.report);
        let before = all.examples.len();
        all.examples.extend(
            split
                .examples
                .into_iter()
                .enumerate()
                .map(|(number, example)| Example { id: (before + number).to_string(), ..example }),
        );
    }
    Ok(all)
}
