//! From a cell to what is right.

use std::collections::HashMap;

use serde_json::Value;

use super::LabelList;
use crate::{Kind, Target};

/// Labels in the order of a network's outputs: numbers by size, whatever they are written like, else by their characters.
pub(super) fn sorted<'l>(labels: impl Iterator<Item = &'l str>) -> Vec<String> {
    let mut labels: Vec<(Option<f64>, &str)> = labels.map(|label| (label.parse().ok(), label)).collect();
    let are_numbers = labels.iter().all(|(number, _)| number.is_some());
    labels.sort_by(|(a, a_text), (b, b_text)| {
        let by_number = a.unwrap_or(0.0).total_cmp(&b.unwrap_or(0.0));
        if are_numbers { by_number.then(a_text.cmp(b_text)) } else { a_text.cmp(b_text) }
    });
    labels.into_iter().map(|(_, label)| label.to_owned()).collect()
}

/// The labels of a cell; `None` if it is no list.
pub(super) fn pieces(cell: &str, list: LabelList) -> Option<Vec<String>> {
    match list {
        LabelList::Separated(by) => {
            Some(cell.split(by).map(str::trim).filter(|piece| !piece.is_empty()).map(str::to_owned).collect())
        }
        LabelList::Json => {
            // Python writes its own lists with single quotes.
            let json = serde_json::from_str(cell).or_else(|_| serde_json::from_str(&cell.replace('\'', "\"")));
            let piece = |value: &Value| match value {
                Value::String(text) => Some(text.trim().to_owned()),
                Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
                _ => None,
            };
            json.ok().and_then(|values: Vec<Value>| values.iter().map(piece).collect())
        }
    }
}

/// Why a cell is no label.
pub(super) enum Bad {
    /// It is none of the kind.
    NoLabel(String),
    /// It is one that training has not.
    Unseen(String),
}

/// Labels by name.
pub(super) struct Labels<'k> {
    kind: &'k Kind,
    list: Option<LabelList>,
    numbers: HashMap<&'k str, usize>,
    /// What numbers in the file stand for, where it says so.
    declared: Option<&'k [String]>,
}

impl<'k> Labels<'k> {
    pub(super) fn new(kind: &'k Kind, list: Option<LabelList>, declared: Option<&'k [String]>) -> Self {
        let numbers = kind.labels().iter().enumerate().map(|(number, label)| (label.as_str(), number)).collect();
        Self { kind, list, numbers, declared }
    }

    /// What a trimmed cell says; `None` if it is empty, which in lists means none of the labels only where training says so.
    pub(super) fn target(&self, cell: &str) -> Result<Option<Target>, Bad> {
        match self.kind {
            Kind::Regression { .. } if cell.is_empty() => Ok(None),
            Kind::Regression { .. } => match cell.parse::<f64>() {
                Ok(value) if value.is_finite() => Ok(Some(Target::Value(value))),
                _ => Err(Bad::NoLabel(format!("{cell:?} is no number"))),
            },
            Kind::MultiLabel { .. } => {
                let list = self.list.unwrap_or(LabelList::Separated('|'));
                if cell.is_empty() {
                    return Ok(Some(Target::Classes(Vec::new())));
                }
                let pieces =
                    pieces(cell, list).ok_or_else(|| Bad::NoLabel(format!("{cell:?} is no list of labels")))?;
                let mut labels = pieces.iter().map(|piece| self.number(piece)).collect::<Result<Vec<usize>, Bad>>()?;
                labels.sort_unstable();
                labels.dedup();
                Ok(Some(Target::Classes(labels)))
            }
            _ if cell.is_empty() => Ok(None),
            // Hugging Face's test sets say -1 for what nobody may know.
            _ if self.declared.is_some() && cell == "-1" => Ok(None),
            _ => self.number(self.name(cell)).map(|label| Some(Target::Class(label))),
        }
    }

    /// What a cell stands for: a name, where it is a number that the file explains.
    fn name<'c>(&self, cell: &'c str) -> &'c str
    where
        'k: 'c,
    {
        let declared = self.declared.and_then(|names| names.get(cell.parse::<usize>().ok()?));
        declared.map_or(cell, String::as_str)
    }

    fn number(&self, label: &str) -> Result<usize, Bad> {
        self.numbers.get(label).copied().ok_or_else(|| Bad::Unseen(label.to_owned()))
    }
}
