//! Which columns of a user's table hold text and labels: by flags, by names, and by what is in them.

use std::collections::HashSet;

use super::Flags;
use crate::table::Table;
use crate::{Result, TaskError};

/// Names of label columns, the likeliest first.
const LABEL_NAMES: &[&str] = &[
    "label",
    "labels",
    "class",
    "category",
    "categories",
    "target",
    "gold_label",
    "sentiment",
    "topic",
    "intent",
    "emotion",
    "score",
    "rating",
    "stars",
    "similarity",
    "tag",
    "tags",
    "genre",
    "genres",
    "is_duplicate",
    "y",
];
/// Names of text columns, the likeliest first.
const TEXT_NAMES: &[&str] = &[
    "text",
    "sentence",
    "content",
    "body",
    "review",
    "comment",
    "tweet",
    "message",
    "document",
    "article",
    "utterance",
    "query",
    "question",
    "headline",
    "title",
];
/// Names of two columns that are read together.
const PAIRS: &[(&str, &str)] = &[
    ("sentence1", "sentence2"),
    ("sentence_1", "sentence_2"),
    ("premise", "hypothesis"),
    ("question1", "question2"),
    ("text1", "text2"),
    ("text_1", "text_2"),
    ("text_a", "text_b"),
    ("sentence_a", "sentence_b"),
    ("question", "context"),
    ("question", "passage"),
    ("question", "sentence"),
    ("query", "passage"),
    ("query", "document"),
    ("text", "text_pair"),
];
/// A column that more values differ in than this is not counted to its end.
const MOST_COUNTED: usize = 10_000;
/// Labels are no longer than this on average, in bytes.
const LONGEST_LABEL_BYTES: usize = 40;

/// The columns, by number.
pub(super) struct Columns {
    pub text: usize,
    pub pair: Option<usize>,
    pub label: usize,
    pub sentences: Vec<String>,
}

/// What is in a column.
struct Profile {
    filled: usize,
    /// Different values, up to [`MOST_COUNTED`].
    distinct: usize,
    mean_bytes: usize,
    is_numbers: bool,
    has_fractions: bool,
}

impl Profile {
    fn of(table: &Table, column: usize) -> Self {
        let (mut filled, mut bytes, mut is_numbers, mut has_fractions) = (0, 0, true, false);
        let mut values: HashSet<&str> = HashSet::new();
        for row in table.rows() {
            let cell = row.cell(column);
            if cell.trim().is_empty() {
                continue;
            }
            filled += 1;
            bytes += cell.len();
            if is_numbers {
                let number: Option<f64> = cell.trim().parse().ok();
                is_numbers = number.is_some();
                has_fractions |= number.is_some_and(|number| number.fract() != 0.0);
            }
            if values.len() < MOST_COUNTED {
                values.insert(cell);
            }
        }
        Self { filled, distinct: values.len(), mean_bytes: bytes / filled.max(1), is_numbers, has_fractions }
    }

    /// Whether values repeat as labels do, or are numbers to be predicted.
    fn looks_like_labels(&self) -> bool {
        let repeat = self.distinct >= 2 && self.distinct * 2 <= self.filled && self.mean_bytes <= LONGEST_LABEL_BYTES;
        repeat || (self.is_numbers && self.has_fractions && self.distinct > 2)
    }
}

/// Chooses the columns of the table to train on.
pub(super) fn choose(table: &Table, flags: &Flags) -> Result<Columns> {
    let named = |name: &Option<String>, flag| name.as_deref().map(|name| table.column_named(name, flag)).transpose();
    let text_asked = named(&flags.text_column, "--text-column")?;
    let pair_asked = named(&flags.pair_column, "--pair-column")?;
    let label_asked = named(&flags.label_column, "--label-column")?;
    let profiles: Vec<Profile> = (0..table.columns().len()).map(|column| Profile::of(table, column)).collect();
    let shown = |column: usize| format!("{:?}", table.columns()[column]);
    let mut sentences = Vec::new();
    if !table.has_header() {
        sentences.push("the first line has no names, so the columns are called 1, 2, ...".to_owned());
    }

    let taken: Vec<usize> = [text_asked, pair_asked].into_iter().flatten().collect();
    let (label, why) = match label_asked {
        Some(column) => (column, "as asked".to_owned()),
        None => find_label(table, &profiles, &taken).ok_or_else(|| no_labels(table))?,
    };
    if taken.contains(&label) {
        let reason = format!("the column {} is to be text and label", shown(label));
        return Err(TaskError::unsuitable(table.name(), reason, "name different ones"));
    }
    let free = |column: &usize| *column != label && Some(*column) != pair_asked;
    let column_called = |name: &str| table.columns().iter().position(|column| column.eq_ignore_ascii_case(name));
    let is_text = |column: &usize| free(column) && profiles[*column].filled > 0 && !profiles[*column].is_numbers;
    let by_pair = PAIRS.iter().find_map(|(first, second)| {
        let columns = [column_called(first)?, column_called(second)?];
        columns.iter().all(&is_text).then_some(columns)
    });
    let (text, why_text) = match (text_asked, by_pair) {
        (Some(column), _) => (column, "as asked".to_owned()),
        (None, Some([first, _])) => (first, "by its name".to_owned()),
        (None, None) => {
            let by_name = TEXT_NAMES.iter().filter_map(|name| column_called(name)).find(is_text);
            let longest = || (0..profiles.len()).filter(is_text).max_by_key(|column| profiles[*column].mean_bytes);
            match (by_name, longest()) {
                (Some(column), _) => (column, "by its name".to_owned()),
                (None, Some(column)) => {
                    (column, format!("the longest, {} bytes on average", profiles[column].mean_bytes))
                }
                (None, None) => return Err(no_text(table, &shown(label))),
            }
        }
    };
    let (pair, why_pair) = match (pair_asked, by_pair) {
        (Some(column), _) => (Some(column), "as asked"),
        (None, Some([first, second])) if first == text => (Some(second), "by its name"),
        _ => (None, ""),
    };
    if pair == Some(text) {
        let reason = format!("the column {} is to be both texts of a pair", shown(text));
        return Err(TaskError::unsuitable(table.name(), reason, "name different ones"));
    }
    sentences.push(format!("text is the column {} ({why_text})", shown(text)));
    if let Some(pair) = pair {
        sentences.push(format!("its pair is the column {} ({why_pair})", shown(pair)));
    }
    sentences.push(format!("labels are the column {} ({why})", shown(label)));
    let rest: Vec<String> = (0..profiles.len())
        .filter(|column| ![Some(text), pair, Some(label)].contains(&Some(*column)))
        .map(shown)
        .collect();
    if !rest.is_empty() {
        sentences.push(format!("left alone: {}", rest.join(", ")));
    }
    Ok(Columns { text, pair, label, sentences })
}

fn find_label(table: &Table, profiles: &[Profile], taken: &[usize]) -> Option<(usize, String)> {
    let free = |column: &usize| !taken.contains(column) && profiles[*column].filled > 0;
    let declared = || (0..profiles.len()).filter(free).find(|column| table.label_names(*column).is_some());
    let named = || {
        LABEL_NAMES
            .iter()
            .filter_map(|name| table.columns().iter().position(|column| column.eq_ignore_ascii_case(name)))
    };
    if let Some(column) = declared() {
        return Some((column, "as the file declares it".into()));
    }
    if let Some(column) = named().find(free) {
        return Some((column, "by its name".into()));
    }
    let longest = (0..profiles.len()).max_by_key(|column| profiles[*column].mean_bytes);
    let is_label = |column: &usize| free(column) && Some(*column) != longest && profiles[*column].looks_like_labels();
    let by_content = (0..profiles.len()).rev().find(is_label).map(|column| {
        let Profile { distinct, filled, .. } = profiles[column];
        (column, format!("by its content: {distinct} different values in {filled} rows"))
    });
    // One without any label is an error that says so.
    by_content.or_else(|| Some((named().find(|column| !taken.contains(column))?, "by its name".into())))
}

fn no_labels(table: &Table) -> TaskError {
    let reason = format!("no column looks like labels; its columns are {}", table.columns().join(", "));
    TaskError::unsuitable(table.name(), reason, "name one of them with --label-column")
}

fn no_text(table: &Table, label: &str) -> TaskError {
    let reason =
        format!("no column beside the labels {label} looks like text; its columns are {}", table.columns().join(", "));
    TaskError::unsuitable(
        table.name(),
        reason,
        "name one of them with --text-column, or the labels' with --label-column",
    )
}
