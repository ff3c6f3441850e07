//! Whether labels are classes, numbers, or several to a cell; by what they look like, or as asked.

use std::collections::{BTreeSet, HashMap};

use super::labels::{pieces, sorted};
use super::{Decision, Flags, KindName, LabelList};
use crate::table::Table;
use crate::{Kind, Result, TaskError};

/// Whole numbers of more values than this are numbers to be predicted, unless their column is called a label.
const MOST_NUMBERED_CLASSES: usize = 20;
/// Fractions of fewer values than this are classes.
const FEWEST_FRACTIONS: usize = 5;
/// Texts of more values than this, most of them single, are no labels.
const MOST_SINGLE_LABELS: usize = 20;
/// Names of columns whose whole numbers are classes, however many.
const CLASS_NAMES: &[&str] = &["label", "labels", "class", "category", "topic", "intent", "tag", "genre", "gold_label"];
/// Characters that may stand between the labels of a cell.
const SEPARATORS: [char; 2] = ['|', ';'];
/// One cell in so many must hold several labels, for all to be lists.
const LISTS_IN: usize = 100;

/// A kind, and how cells hold several labels.
pub(super) struct Found {
    pub kind: Kind,
    pub list: Option<LabelList>,
}

/// Chooses the kind of the labels in `column`, and says why.
pub(super) fn choose(table: &Table, column: usize, flags: &Flags, sentences: &mut Vec<String>) -> Result<Found> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for row in table.rows() {
        *counts.entry(row.cell(column).trim()).or_default() += 1;
    }
    let without = counts.remove("").unwrap_or(0);
    let filled = table.len() - without;
    let name = &table.columns()[column];
    if filled == 0 {
        let reason = format!("the column {name:?} has no label in any row");
        return Err(TaskError::unsuitable(table.name(), reason, "name the right one with --label-column"));
    }
    let numbers: Option<Vec<f64>> =
        counts.keys().map(|cell| cell.parse().ok().filter(|number: &f64| number.is_finite())).collect();
    let list = list_of(&counts, filled, flags);
    let declared = table.label_names(column);
    let (kind, why) = match (flags.kind, list, &numbers) {
        (Some(kind), _, _) => (kind, "as asked".to_owned()),
        (None, Some(LabelList::Json), _) => (KindName::MultiLabel, "cells are lists".to_owned()),
        (None, Some(LabelList::Separated(by)), _) => (KindName::MultiLabel, format!("labels have {by:?} between them")),
        (None, None, _) if declared.is_some() => (KindName::Classification, "the file names the classes".to_owned()),
        (None, None, Some(numbers)) => by_numbers(name, numbers, filled),
        (None, None, None) => (KindName::Classification, format!("{} different values", counts.len())),
    };
    let override_with = |other: &str| {
        if flags.kind.is_some() { String::new() } else { format!("; --kind {other} would have it otherwise") }
    };
    Ok(match kind {
        KindName::Regression => {
            let Some(numbers) = numbers else {
                let other = counts.keys().find(|cell| cell.parse::<f64>().is_err()).unwrap_or(&"");
                let reason = format!("the column {name:?} is to hold numbers, and holds {other:?}");
                return Err(TaskError::unsuitable(table.name(), reason, "correct it, or leave --kind away"));
            };
            if numbers.len() < 2 {
                return Err(one_class(table, name, filled, &numbers[0].to_string()));
            }
            let least = numbers.iter().copied().fold(f64::INFINITY, f64::min);
            let most = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let scale = most.abs().max(least.abs());
            sentences
                .push(format!("labels are numbers from {least} to {most} ({why}){}", override_with("classification")));
            Found { kind: Kind::Regression { scale }, list: None }
        }
        KindName::Classification => {
            let labels = match declared {
                Some(names) => names.to_vec(),
                None => sorted(counts.keys().copied()),
            };
            if counts.len() < 2 {
                return Err(one_class(table, name, filled, counts.keys().next().unwrap_or(&"")));
            }
            if flags.kind.is_none() && counts.len() > MOST_SINGLE_LABELS && counts.len() * 2 > filled {
                let reason = format!(
                    "the column {name:?} has {} different values in {filled} rows, too many for labels",
                    counts.len()
                );
                let remedy =
                    "name the right one with --label-column; if it is right, say so with --kind classification";
                return Err(TaskError::unsuitable(table.name(), reason, remedy));
            }
            let other = if numbers.is_some() { override_with("regression") } else { String::new() };
            sentences.push(format!("one of {} labels for each text: {} ({why}){other}", labels.len(), shown(&labels)));
            Found { kind: Kind::Classification { labels }, list: None }
        }
        KindName::MultiLabel => {
            let list = list.unwrap_or(LabelList::Separated(flags.separator.unwrap_or(SEPARATORS[0])));
            let labels: BTreeSet<String> =
                counts.keys().flat_map(|cell| pieces(cell, list).unwrap_or_default()).collect();
            if labels.is_empty() {
                return Err(one_class(table, name, filled, ""));
            }
            let labels = sorted(labels.iter().map(String::as_str));
            sentences.push(format!(
                "any of {} labels for each text: {} ({why}){}",
                labels.len(),
                shown(&labels),
                override_with("classification")
            ));
            if without > 0 {
                sentences.push(format!("{without} rows have no label, which is taken for none of them"));
            }
            Found { kind: Kind::MultiLabel { labels }, list: Some(list) }
        }
    })
}

/// Takes the labels of further tables of the same training set in.
pub(super) fn widen(decision: &mut Decision, tables: &[Table]) -> Result<()> {
    let (Kind::Classification { labels } | Kind::MultiLabel { labels }) = &mut decision.kind else { return Ok(()) };
    let mut all: BTreeSet<String> = labels.iter().cloned().collect();
    for table in tables {
        let column = table.column_named(&decision.label_column, "--label-column")?;
        if table.label_names(column).is_some() {
            return Ok(());
        }
        for cell in table.rows().map(|row| row.cell(column).trim()).filter(|cell| !cell.is_empty()) {
            match decision.list {
                Some(list) => all.extend(pieces(cell, list).unwrap_or_default()),
                None if !all.contains(cell) => drop(all.insert(cell.to_owned())),
                None => {}
            }
        }
    }
    *labels = sorted(all.iter().map(String::as_str));
    Ok(())
}

/// The kind of a column whose different values are these numbers.
fn by_numbers(name: &str, numbers: &[f64], filled: usize) -> (KindName, String) {
    let count = numbers.len();
    if numbers.iter().any(|number| number.fract() != 0.0) {
        return match count {
            0..FEWEST_FRACTIONS => (KindName::Classification, format!("{count} different values")),
            _ => (KindName::Regression, "fractions".into()),
        };
    }
    if count <= MOST_NUMBERED_CLASSES {
        return (KindName::Classification, format!("whole numbers of {count} values"));
    }
    // Labels repeat.
    if CLASS_NAMES.contains(&name.to_lowercase().as_str()) && count * 2 <= filled {
        return (KindName::Classification, "whole numbers in a column called so".into());
    }
    (KindName::Regression, format!("whole numbers of {count} values"))
}

/// How cells hold several labels, if they do.
fn list_of(counts: &HashMap<&str, usize>, filled: usize, flags: &Flags) -> Option<LabelList> {
    if flags.kind.is_some_and(|kind| kind != KindName::MultiLabel) {
        return None;
    }
    if let Some(separator) = flags.separator {
        return Some(LabelList::Separated(separator));
    }
    if counts.keys().all(|cell| cell.starts_with('[') && pieces(cell, LabelList::Json).is_some()) {
        return Some(LabelList::Json);
    }
    SEPARATORS.into_iter().map(LabelList::Separated).find(|list| {
        let LabelList::Separated(by) = list else { return false };
        let several: usize = counts.iter().filter(|(cell, _)| cell.contains(*by)).map(|(_, count)| count).sum();
        several > 0 && several * LISTS_IN >= filled
    })
}

fn one_class(table: &Table, name: &str, filled: usize, label: &str) -> TaskError {
    let reason = format!("all {filled} labels in the column {name:?} are {label:?}, so there is nothing to learn");
    TaskError::unsuitable(
        table.name(),
        reason,
        "add examples of another label, or name the right column with --label-column",
    )
}

/// The first few labels.
fn shown(labels: &[String]) -> String {
    let shown: Vec<&str> = labels.iter().take(6).map(String::as_str).collect();
    format!("{}{}", shown.join(", "), if labels.len() > shown.len() { ", ..." } else { "" })
}
