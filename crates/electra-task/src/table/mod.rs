//! Tables of text: named columns, and rows that know their line in the file.
//!
//! A table is held in memory as one text with the places where its cells end: a row costs its bytes and a few numbers. Everything is
//! text here, as the file has it (a label `01` stays `01`); what is absent is an empty cell.

mod read;
mod report;

pub use report::{Place, Problem, Report, Trouble};

use crate::{Result, TaskError};

/// How a table's file is laid out, where name and content must not decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableFormat {
    /// Fields between separators, some in quotes; the first line shows the separator.
    Csv,
    /// Fields between tabs; a quote is part of the text.
    Tsv,
    /// Objects: one a line, or in an array.
    Json,
}

/// How a table is read; the default goes by name and content.
#[derive(Debug, Clone, Default)]
pub struct TableOptions {
    /// The layout.
    pub format: Option<TableFormat>,
    /// What separates fields.
    pub delimiter: Option<u8>,
    /// Whether fields may stand in quotes.
    pub quoting: Option<bool>,
    /// Whether the first record has the columns' names; without names they are called 1, 2, ... Unless it is said, a first record with a
    /// number in it, or with a long text, is no header.
    pub header: Option<bool>,
}

/// A table in memory.
#[derive(Debug, Clone, Default)]
pub struct Table {
    name: String,
    columns: Vec<String>,
    /// What the numbers of a column stand for, in a file that says so.
    label_names: Vec<Option<Vec<String>>>,
    has_header: bool,
    /// All cells, one behind the other.
    text: String,
    /// Where each cell ends in the text.
    cell_ends: Vec<usize>,
    /// Cells up to each row's end.
    row_ends: Vec<usize>,
    lines: Vec<u64>,
    report: Report,
}

/// A row of a table.
#[derive(Debug, Clone, Copy)]
pub struct Row<'t> {
    table: &'t Table,
    number: usize,
}

impl Table {
    /// The file's name, for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Names of the columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Whether the file itself names its columns.
    pub fn has_header(&self) -> bool {
        self.has_header
    }

    /// The first column of that name.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }

    /// The first column of that name, or the only one that differs from it in upper and lower case alone.
    ///
    /// # Errors
    /// There is none; the message lists those that there are, and names `flag`.
    pub fn column_named(&self, name: &str, flag: &str) -> Result<usize> {
        let alike = || {
            let mut found = self.columns.iter().enumerate().filter(|(_, column)| column.eq_ignore_ascii_case(name));
            found.next().filter(|_| found.next().is_none()).map(|(column, _)| column)
        };
        self.column(name).or_else(alike).ok_or_else(|| {
            let reason = format!("there is no column {name:?}; its columns are {}", self.columns.join(", "));
            TaskError::unsuitable(&self.name, reason, format!("name one of them with {flag}"))
        })
    }

    /// What the numbers of a column stand for, where the file says so (a `ClassLabel` of Hugging Face's datasets).
    pub fn label_names(&self, column: usize) -> Option<&[String]> {
        self.label_names.get(column)?.as_deref()
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// All rows, in the file's order.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        (0..self.len()).map(|number| Row { table: self, number })
    }

    /// Lines that were left out.
    pub fn report(&self) -> &Report {
        &self.report
    }

    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    fn push<'c>(&mut self, line: u64, cells: impl IntoIterator<Item = &'c str>) {
        for cell in cells {
            self.text.push_str(cell);
            self.cell_ends.push(self.text.len());
        }
        self.row_ends.push(self.cell_ends.len());
        self.lines.push(line);
    }

    fn malformed(&mut self, line: u64, reason: impl FnOnce() -> String) {
        self.report.note(Trouble::Malformed, &self.name, line, reason);
    }

    /// Refuses a table without rows.
    fn with_rows(self) -> Result<Self> {
        if !self.is_empty() {
            return Ok(self);
        }
        let first = self.report.problems().first().and_then(|problem| problem.first.first());
        Err(match first {
            Some(place) => TaskError::record(
                &self.name,
                format!("line {}", place.line),
                format!("{}, and no other row can be read either", place.reason),
                "see whether this is the right file, and in the layout that its name says",
            ),
            None if self.columns.is_empty() => {
                TaskError::unsuitable(&self.name, "the file is empty", "give one with column names and rows")
            }
            None => {
                let reason = format!("there are no rows below the column names {}", self.columns.join(", "));
                TaskError::unsuitable(&self.name, reason, "give a file with a row for each example")
            }
        })
    }
}

impl<'t> Row<'t> {
    /// A cell; empty where the row has none.
    pub fn cell(&self, column: usize) -> &'t str {
        let table = self.table;
        let row_start = if self.number == 0 { 0 } else { table.row_ends[self.number - 1] };
        let cell = row_start + column;
        if cell >= table.row_ends[self.number] {
            return "";
        }
        let start = if cell == 0 { 0 } else { table.cell_ends[cell - 1] };
        &table.text[start..table.cell_ends[cell]]
    }

    /// Its line in the file, from 1; in Parquet the number of the row, from 1.
    pub fn line(&self) -> u64 {
        self.table.lines[self.number]
    }

    /// Its number in the table, from 0.
    pub fn number(&self) -> usize {
        self.number
    }
}
