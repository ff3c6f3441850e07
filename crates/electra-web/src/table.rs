//! A table that somebody gives a page: read within limits, before anything is trained on it.

use electra_task::table::{Table, TableOptions};
use electra_task::task::custom::{Decision, Flags, KindName, Need};
use electra_task::task::{LoadOptions, Split, Task, TaskData};
use electra_task::{Files, Kind, Target};
use serde::{Deserialize, Serialize};

use crate::error::EngineError;

/// Bytes of a table.
const MOST_BYTES: usize = 5 << 20;
/// Rows of a table: what a tab trains on within minutes.
const MOST_ROWS: usize = 20_000;
/// Labels to choose from.
const MOST_LABELS: usize = 20;
/// Rows that are shown.
const PREVIEW_ROWS: usize = 5;

/// What the reader says of a table; the rest is found by itself.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Columns {
    pub text: Option<String>,
    pub pair: Option<String>,
    pub label: Option<String>,
    pub kind: Option<TableKind>,
}

/// What is to be said of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TableKind {
    Classification,
    Regression,
    Multilabel,
}

/// A label and how often it stands there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LabelCount {
    pub label: String,
    pub count: usize,
}

/// A table that was read.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TableReport {
    pub columns: Vec<String>,
    pub rows: usize,
    pub text: String,
    pub pair: Option<String>,
    pub label: String,
    pub kind: TableKind,
    pub labels: Vec<LabelCount>,
    pub notes: Vec<String>,
    pub preview: Vec<Vec<String>>,
}

impl Columns {
    fn flags(&self) -> Flags {
        let kind = |kind| match kind {
            TableKind::Classification => KindName::Classification,
            TableKind::Regression => KindName::Regression,
            TableKind::Multilabel => KindName::MultiLabel,
        };
        Flags {
            text_column: self.text.clone(),
            pair_column: self.pair.clone(),
            label_column: self.label.clone(),
            kind: self.kind.map(kind),
            separator: None,
        }
    }
}

/// Reads the table called `name` and says what is in it.
///
/// # Errors
/// It is too large, not UTF-8, has too many labels, or no column that suits.
pub fn report(name: &str, bytes: &[u8], columns: &Columns) -> Result<TableReport, EngineError> {
    let table = read(name, bytes)?;
    let decision = Decision::of(&table, &columns.flags())?;
    let split = decision.read(&table, "train", Need::Labels)?;
    check_labels(name, &decision.kind)?;
    let mut notes = decision.sentences.clone();
    notes.extend(split.report.sentences());
    let cells = |row: electra_task::table::Row<'_>| {
        (0..table.columns().len()).map(|column| row.cell(column).to_owned()).collect()
    };
    Ok(TableReport {
        columns: table.columns().to_vec(),
        rows: table.len(),
        labels: counts(&split, &decision.kind),
        kind: match &decision.kind {
            Kind::Regression { .. } => TableKind::Regression,
            Kind::MultiLabel { .. } => TableKind::Multilabel,
            _ => TableKind::Classification,
        },
        notes,
        preview: table.rows().take(PREVIEW_ROWS).map(cells).collect(),
        text: decision.text_column,
        pair: decision.pair_column,
        label: decision.label_column,
    })
}

/// The examples of a table as `electra finetune --task csv` reads them, a tenth of them held out by `seed`.
///
/// # Errors
/// As [`report`]; there is too little to hold something out.
pub(crate) fn task_data(name: &str, bytes: &[u8], columns: &Columns, seed: u64) -> Result<TaskData, EngineError> {
    read(name, bytes)?;
    let options = LoadOptions { seed, custom: columns.flags(), ..LoadOptions::default() };
    let files = Files::memory("the table", [(name.to_owned(), bytes.to_vec())]);
    let data = Task::named("csv").expect("a task of this name").load(&files, &options)?;
    check_labels(name, &data.kind)?;
    Ok(data)
}

fn read(name: &str, bytes: &[u8]) -> Result<Table, EngineError> {
    if bytes.len() > MOST_BYTES {
        let problem = format!("{name}: it has {:.1} MB, and a page takes 5 MB", bytes.len() as f64 / 1e6);
        return Err(EngineError::input(format!("{problem}: use \"electra finetune\", or take some rows out")));
    }
    if let Err(error) = std::str::from_utf8(bytes) {
        let line = 1 + bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
        let byte = bytes[error.valid_up_to()];
        let problem = format!("{name}: line {line}: the byte {byte:#04x} is not UTF-8: save the table as UTF-8");
        return Err(EngineError::input(problem));
    }
    let table = Table::from_bytes(name, bytes, &TableOptions::default())?;
    if table.len() > MOST_ROWS {
        let problem = format!("{name}: it has {} rows, and a page takes {MOST_ROWS}", table.len());
        return Err(EngineError::input(format!("{problem}: use \"electra finetune\", or take some out")));
    }
    Ok(table)
}

fn check_labels(name: &str, kind: &Kind) -> Result<(), EngineError> {
    match kind.labels().len() {
        0..=MOST_LABELS => Ok(()),
        count => {
            let problem = format!("{name}: there are {count} labels, and a page takes {MOST_LABELS} at most");
            Err(EngineError::input(format!("{problem}: choose another column, or use \"electra finetune\"")))
        }
    }
}

fn counts(split: &Split, kind: &Kind) -> Vec<LabelCount> {
    let mut counts = vec![0; kind.labels().len()];
    for example in &split.examples {
        match &example.target {
            Target::Class(label) => counts[*label] += 1,
            Target::Classes(labels) => labels.iter().for_each(|label| counts[*label] += 1),
            _ => {}
        }
    }
    let of_label = |(label, count): (&String, usize)| LabelCount { label: label.clone(), count };
    kind.labels().iter().zip(counts).map(of_label).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(name: &str, bytes: &[u8]) -> String {
        report(name, bytes, &Columns::default()).unwrap_err().message
    }

    #[test]
    fn columns_labels_and_damaged_rows_are_told() {
        let csv = b"text,label\ngood film,pos\nbad film,neg\nbad,one,two\nlovely,pos\n";
        let found = report("reviews.csv", csv, &Columns::default()).unwrap();
        assert_eq!((found.text.as_str(), found.label.as_str(), found.rows), ("text", "label", 3));
        let counts: Vec<_> = found.labels.iter().map(|of| (of.label.as_str(), of.count)).collect();
        assert_eq!(counts, [("neg", 1), ("pos", 2)]);
        assert!(found.notes.iter().any(|note| note.contains("line 4")), "{:?}", found.notes);
        assert_eq!(found.preview[0], ["good film", "pos"]);
    }

    #[test]
    fn limits_are_said_with_a_remedy() {
        assert!(failure("large.csv", &vec![b'a'; MOST_BYTES + 1]).contains("5 MB"));
        assert!(failure("latin.csv", b"text,label\ncaf\xe9,a\n").contains("line 2: the byte 0xe9 is not UTF-8"));
        let rows: String = (0..=MOST_ROWS).map(|row| format!("word {row},{}\n", row % 2)).collect();
        assert!(failure("long.csv", format!("text,label\n{rows}").as_bytes()).contains("20001 rows"));
        let labels: String = (0..42).map(|row| format!("word {row},label{}\n", row % 21)).collect();
        assert!(failure("wide.csv", format!("text,label\n{labels}").as_bytes()).contains("21 labels"));
        assert!(failure("empty.csv", b"").contains("empty"));
    }
}
