//! Tasks of sentences and pairs of them, at known places: the official TSVs, in any compression, or the columns of Hugging Face's Parquet.

use electra_data::record::without_compression;

use super::{LoadOptions, Split, Task, TaskData, hold_out, plain};
use crate::files::Files;
use crate::table::{Row, Table, TableFormat, TableOptions, Trouble};
use crate::{Example, Input, Kind, Result, Target, TaskError};

/// Where a task's sentences lie and what is said of them.
#[derive(Debug)]
pub struct Sentences {
    /// Names of its folder; `-`, `_` and upper case mean nothing.
    pub folders: &'static [&'static str],
    /// What is right.
    pub answers: Answers,
    /// Parquet's columns of the text, or of both texts.
    pub columns: &'static [&'static str],
    /// Its sets.
    pub sets: &'static [Set],
}

/// What is said of sentences.
#[derive(Debug)]
pub enum Answers {
    /// One of these labels, in the order of Hugging Face's numbers.
    Labels(&'static [Label]),
    /// A number.
    Score {
        /// The least.
        least: f64,
        /// The most; what a network predicts is divided by it.
        most: f64,
    },
}

/// A label by its two names.
#[derive(Debug)]
pub struct Label {
    /// As a person would say it.
    pub name: &'static str,
    /// As the official files have it, submissions too.
    pub written: &'static str,
}

/// What a set is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// To train on.
    Train,
    /// To compare checkpoints on.
    Dev,
    /// To predict.
    Test,
}

/// One set of examples.
#[derive(Debug)]
pub struct Set {
    /// Such as `dev_matched`.
    pub name: &'static str,
    /// What it is for.
    pub role: Role,
    /// The official files that may hold it, of which the first is taken that is there, and how each is laid out.
    pub files: &'static [(&'static str, Tsv)],
    /// How names of its Parquet files begin.
    pub parquet: &'static str,
    /// Folders beside the task's that it may lie in.
    pub folders: &'static [&'static str],
    /// The file that GLUE's server takes its predictions in.
    pub submission: Option<&'static str>,
}

/// How a TSV is laid out: tabs, no quoting. Columns count from 0, negative ones from the end: -1 is the last.
#[derive(Debug, Clone, Copy)]
pub struct Tsv {
    /// Whether the first line has names.
    pub header: bool,
    /// The text, or both.
    pub texts: &'static [isize],
    /// The label, if there is any.
    pub label: Option<isize>,
}

impl Tsv {
    /// A file with a header and labels.
    pub const fn labelled(texts: &'static [isize], label: isize) -> Self {
        Self { header: true, texts, label: Some(label) }
    }

    /// A file with a header and without labels.
    pub const fn unlabelled(texts: &'static [isize]) -> Self {
        Self { header: true, texts, label: None }
    }
}

impl Set {
    /// `train.tsv`
    pub const fn train(files: &'static [(&'static str, Tsv)]) -> Self {
        Self { name: "train", role: Role::Train, files, parquet: "train", folders: &[], submission: None }
    }

    /// `dev.tsv`; Hugging Face says "validation".
    pub const fn dev(files: &'static [(&'static str, Tsv)]) -> Self {
        Self { name: "dev", role: Role::Dev, files, parquet: "validation", folders: &[], submission: None }
    }

    /// `test.tsv`, whose labels only the server knows.
    pub const fn test(files: &'static [(&'static str, Tsv)], submission: &'static str) -> Self {
        Self { name: "test", role: Role::Test, files, parquet: "test", folders: &[], submission: Some(submission) }
    }
}

impl Answers {
    /// What a network is to say.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Labels(labels) => {
                Kind::Classification { labels: labels.iter().map(|label| label.name.to_owned()).collect() }
            }
            Self::Score { most, .. } => Kind::Regression { scale: *most },
        }
    }

    /// What a cell says; `None` if it is no label.
    fn target(&self, cell: &str) -> Option<Target> {
        match self {
            Self::Labels(labels) => {
                let named = labels.iter().position(|label| label.written == cell || label.name == cell);
                // In Parquet labels are numbers.
                named.or_else(|| cell.parse().ok().filter(|number| *number < labels.len())).map(Target::Class)
            }
            Self::Score { least, most } => {
                cell.parse().ok().filter(|score| (*least..=*most).contains(score)).map(Target::Value)
            }
        }
    }
}

/// Both orders of every pair: the examples, and behind them the same with their texts swapped. For MRPC and STS-B, in which neither
/// text comes first (the reference's `double_unordered`).
pub fn in_both_orders(examples: &[Example]) -> Vec<Example> {
    let swapped = examples.iter().filter_map(|example| match &example.input {
        Input::Pair(first, second) => {
            Some(Example { input: Input::Pair(second.clone(), first.clone()), ..example.clone() })
        }
        _ => None,
    });
    examples.iter().cloned().chain(swapped).collect()
}

/// A set's files among `files`, and how they are laid out: none for Parquet.
struct Found<'f> {
    names: Vec<&'f str>,
    tsv: Option<Tsv>,
}

fn find_set<'f>(sentences: &Sentences, set: &Set, files: &'f Files) -> Option<Found<'f>> {
    let in_folder = |names: &[&str], file: &'f str| {
        let (folder, own) = file.split_once('/')?;
        names.iter().any(|name| plain(name) == plain(folder)).then_some(own)
    };
    // The folder among GLUE's folders, else the folder itself.
    let places: [&dyn Fn(&'f str) -> Option<&'f str>; 3] =
        [&|file| in_folder(sentences.folders, file), &|file| in_folder(set.folders, file), &|file| {
            (!file.contains('/')).then_some(file)
        }];
    places.iter().find_map(|own| {
        let here = || files.names().filter_map(|file| own(file).map(|own| (file, own)));
        let tsv = set.files.iter().find_map(|(name, tsv)| {
            let exact = here().find(|(_, own)| own == name);
            let packed = || here().find(|(_, own)| without_compression(own) == *name);
            exact.or_else(packed).map(|(file, _)| Found { names: vec![file], tsv: Some(*tsv) })
        });
        let is_shard = |own: &str| {
            let stem = own.strip_suffix(".parquet").and_then(|stem| stem.strip_prefix(set.parquet));
            stem.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        tsv.or_else(|| {
            let names: Vec<&str> = here().filter(|(_, own)| is_shard(own)).map(|(file, _)| file).collect();
            (!names.is_empty()).then_some(Found { names, tsv: None })
        })
    })
}

/// Whether there is something to train on or to compare checkpoints on, in a folder of the task's name.
pub(super) fn has_data(sentences: &Sentences, files: &Files) -> bool {
    let is_own = |name: &str| sentences.folders.iter().any(|folder| plain(folder) == plain(name));
    let root_is_own = files.root().rsplit(['/', '\\']).find(|part| !part.is_empty()).is_some_and(is_own);
    let sets = || sentences.sets.iter().filter(|set| set.role != Role::Test);
    sets().filter_map(|set| find_set(sentences, set, files)).any(|found| {
        found.names.iter().any(|name| name.split_once('/').map_or(root_is_own, |(folder, _)| is_own(folder)))
    })
}

pub(super) fn load(task: &Task, sentences: &Sentences, files: &Files, options: &LoadOptions) -> Result<TaskData> {
    let mut data = TaskData::of(sentences.answers.kind());
    for set in sentences.sets {
        let Some(found) = find_set(sentences, set, files) else { continue };
        let mut split = Split { name: set.name.into(), submission: set.submission, ..Split::default() };
        for name in found.names {
            read_file(task, sentences, set, found.tsv, name, files, &mut split)?;
        }
        if split.examples.is_empty() {
            let first = split.report.sentences().join("; ");
            let remedy = format!("see whether these are the files of {}", task.title);
            return Err(TaskError::unsuitable(split.files.join(", "), format!("no row can be used: {first}"), remedy));
        }
        match set.role {
            Role::Train => data.train = Some(split),
            Role::Dev => data.dev.push(split),
            Role::Test => data.test.push(split),
        }
    }
    if data.train.is_none() && data.dev.is_empty() && data.test.is_empty() {
        let official = sentences.sets.iter().filter_map(|set| set.files.first()).map(|(name, _)| *name);
        let official: Vec<&str> = official.collect();
        let reason = format!(
            "no file of {} is here, neither {} (packed or not) nor Parquet such as train-00000-of-00001.parquet",
            task.title,
            official.join(", ")
        );
        let remedy = format!("give the task's folder, or one with a folder {} in it", sentences.folders[0]);
        return Err(TaskError::unsuitable(files.root(), reason, remedy));
    }
    if data.dev.is_empty()
        && let Some(train) = &mut data.train
    {
        data.notes.push(hold_out::from_train(train, &mut data.dev, &data.kind, options)?);
    }
    Ok(data)
}

fn read_file(
    task: &Task,
    sentences: &Sentences,
    set: &Set,
    tsv: Option<Tsv>,
    name: &str,
    files: &Files,
    split: &mut Split,
) -> Result<()> {
    let options = TableOptions {
        format: tsv.map(|_| TableFormat::Tsv),
        header: tsv.map(|tsv| tsv.header),
        ..TableOptions::default()
    };
    let table = files.table(name, &options)?;
    let (texts, label) = match tsv {
        Some(tsv) => {
            let texts: Result<Vec<usize>> = tsv.texts.iter().map(|at| place(task, &table, *at)).collect();
            (texts?, tsv.label.map(|at| place(task, &table, at)).transpose()?)
        }
        None => {
            let texts = sentences.columns.iter().map(|column| column_of(task, &table, column));
            (texts.collect::<Result<Vec<usize>>>()?, table.column("label"))
        }
    };
    let id = table.columns().iter().position(|column| ["index", "idx", "id"].contains(&column.to_lowercase().as_str()));
    let id = id.filter(|_| table.has_header());
    split.report.add(table.report());
    for row in table.rows() {
        let cells: Vec<&str> = texts.iter().map(|column| row.cell(*column)).collect();
        if cells.iter().any(|text| text.trim().is_empty()) {
            split.report.note(Trouble::EmptyText, table.name(), row.line(), || "no word".into());
        }
        let Some(target) = target_of(sentences, set, &table, row, label, split) else { continue };
        let input = match cells[..] {
            [first, second] => Input::Pair(first.into(), second.into()),
            _ => Input::Text(cells[0].into()),
        };
        let number = split.examples.len();
        let id = id.map_or_else(|| number.to_string(), |column| row.cell(column).to_owned());
        split.examples.push(Example { id, input, target });
    }
    split.files.push(table.name().to_owned());
    Ok(())
}

/// What is right of a row; `None` where it is left out.
fn target_of(
    sentences: &Sentences,
    set: &Set,
    table: &Table,
    row: Row<'_>,
    label: Option<usize>,
    split: &mut Split,
) -> Option<Target> {
    let cell = label.map_or("", |column| row.cell(column)).trim();
    // Hugging Face's test sets say -1 for what nobody may know.
    let is_absent = cell.is_empty() || (set.role == Role::Test && cell.parse() == Ok(-1.0));
    match sentences.answers.target(cell) {
        _ if is_absent && set.role == Role::Test => Some(Target::Unknown),
        _ if is_absent => {
            split.report.note(Trouble::NoLabel, table.name(), row.line(), || "no label".into());
            None
        }
        None => {
            split.report.note(Trouble::BadLabel, table.name(), row.line(), || format!("the label {cell:?}"));
            None
        }
        target => target,
    }
}

fn place(task: &Task, table: &Table, at: isize) -> Result<usize> {
    let width = table.columns().len();
    let found = if at < 0 { width.checked_add_signed(at) } else { Some(at.unsigned_abs()) };
    found.filter(|column| *column < width).ok_or_else(|| {
        let reason = format!("lines of {width} columns, too few for {}", task.title);
        TaskError::unsuitable(table.name(), reason, "give the official file, with tabs between its columns")
    })
}

fn column_of(task: &Task, table: &Table, column: &str) -> Result<usize> {
    table.column(column).ok_or_else(|| {
        let reason = format!("there is no column {column:?}, only {}", table.columns().join(", "));
        TaskError::unsuitable(table.name(), reason, format!("give {} as Hugging Face lays it out", task.title))
    })
}
