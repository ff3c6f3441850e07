//! Entities in sequences of tags, as seqeval counts them: one is right if its type, its first and its last word are.
//!
//! By default as conlleval does, which makes the best of any sequence (BIO, IOB1, BIOES, and mixtures that are none of them); the strict
//! readings take what a scheme allows and nothing else.

use std::collections::{BTreeMap, HashSet};

use super::{Rates, Tally, macro_average, micro_average, weighted_average};
use crate::error::{Result, TaskError};

/// How tags become entities.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TagScheme {
    /// Any of B, I, E and S; where an entity may be meant, there is one. seqeval's default.
    #[default]
    Lenient,
    /// An entity is a B and the I of its type behind it. seqeval's `mode="strict", scheme=IOB2`.
    StrictIob2,
    /// An entity is an S, or a B, any number of I and an E, all of one type. seqeval's `mode="strict", scheme=IOBES`.
    StrictIobes,
}

/// What was found of each type of entity.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EntityScores {
    /// The types that occur, in alphabetical order.
    pub types: Vec<(String, Tally)>,
}

impl EntityScores {
    /// Rates of all entities taken together: the F1 by which taggers are compared.
    pub fn micro(&self) -> Rates {
        micro_average(&self.tallies())
    }

    /// Mean over types; NaN where there are none.
    pub fn macro_mean(&self) -> Rates {
        macro_average(&self.tallies())
    }

    /// Mean over types by their support.
    pub fn weighted(&self) -> Rates {
        weighted_average(&self.tallies())
    }

    fn tallies(&self) -> Vec<Tally> {
        self.types.iter().map(|(_, tally)| *tally).collect()
    }
}

/// Compares the entities of tags `[sequence][word]`, written as `O`, `B-PER` and so on. Without a type behind the letter, the type is `_`.
///
/// # Errors
/// A tag that is empty, or whose letter a strict scheme does not have.
///
/// # Panics
/// If the lengths differ.
pub fn entity_scores<T: AsRef<str>>(right: &[Vec<T>], predicted: &[Vec<T>], scheme: TagScheme) -> Result<EntityScores> {
    assert_eq!(right.len(), predicted.len(), "one prediction for each sequence");
    for (right, predicted) in right.iter().zip(predicted) {
        assert_eq!(right.len(), predicted.len(), "one predicted tag for each word");
    }
    let (right, predicted) = (entities(right, scheme)?, entities(predicted, scheme)?);
    let mut types: BTreeMap<&str, Tally> = BTreeMap::new();
    right.iter().for_each(|entity| types.entry(entity.kind).or_default().support += 1);
    predicted.iter().for_each(|entity| types.entry(entity.kind).or_default().predicted += 1);
    let right: HashSet<Entity<'_>> = right.into_iter().collect();
    for entity in predicted.iter().filter(|entity| right.contains(*entity)) {
        types.entry(entity.kind).or_default().hits += 1;
    }
    Ok(EntityScores { types: types.into_iter().map(|(kind, tally)| (kind.to_owned(), tally)).collect() })
}

/// Places count through all sequences, with one between any two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Entity<'a> {
    kind: &'a str,
    first: usize,
    last: usize,
}

fn entities<T: AsRef<str>>(sequences: &[Vec<T>], scheme: TagScheme) -> Result<Vec<Entity<'_>>> {
    // An O behind each sequence ends what is open there.
    let tags = sequences.iter().flat_map(|tags| tags.iter().map(AsRef::as_ref).chain(["O"]));
    match scheme {
        TagScheme::Lenient => lenient(tags),
        TagScheme::StrictIob2 => strict(tags, "BIO", 'I', |letter| matches!(letter, 'B' | 'I')),
        TagScheme::StrictIobes => strict(tags, "BIOES", 'E', |letter| matches!(letter, 'S' | 'E')),
    }
}

/// The letter, and what is behind it.
fn letter(tag: &str) -> Result<(char, &str)> {
    let mut rest = tag.chars();
    let Some(letter) = rest.next() else {
        return Err(TaskError::unsuitable(
            "tags",
            "one of them is empty",
            "write O for a word that is no part of an entity",
        ));
    };
    Ok((letter, rest.as_str()))
}

/// conlleval's rules, as seqeval/metrics/sequence_labeling.py has them.
fn lenient<'a>(tags: impl Iterator<Item = &'a str>) -> Result<Vec<Entity<'a>>> {
    let mut entities = Vec::new();
    let (mut before, mut kind_before, mut first) = ('O', "", 0);
    for (place, tag) in tags.enumerate() {
        let (letter, rest) = letter(tag)?;
        let kind =
            Some(rest.split_once('-').map_or(rest, |(_, kind)| kind)).filter(|kind| !kind.is_empty()).unwrap_or("_");
        let is_part = |letter| letter != 'O' && letter != '.';
        let changes = kind != kind_before;
        let ends = match (before, letter) {
            ('E' | 'S', _) | ('B' | 'I', 'B' | 'S' | 'O') => true,
            _ => is_part(before) && changes,
        };
        let begins = match (before, letter) {
            (_, 'B' | 'S') | ('E', 'E' | 'I') | ('S' | 'O', 'E' | 'I') => true,
            _ => is_part(letter) && changes,
        };
        if ends {
            // Ends come behind begins: there is a word before this one.
            entities.push(Entity { kind: kind_before, first, last: place - 1 });
        }
        if begins {
            first = place;
        }
        (before, kind_before) = (letter, kind);
    }
    Ok(entities)
}

/// A scheme of `letters` in which B and S begin an entity, `closing` and I go on with it, and it counts if its last letter `may_end` it.
fn strict<'a>(
    tags: impl Iterator<Item = &'a str>,
    letters: &str,
    closing: char,
    may_end: impl Fn(char) -> bool,
) -> Result<Vec<Entity<'a>>> {
    let mut entities = Vec::new();
    let mut open: Option<(Entity<'a>, char)> = None;
    for (place, tag) in tags.enumerate() {
        let (letter, rest) = letter(tag)?;
        if !letters.contains(letter) {
            let reason = format!("\"{tag}\" is no tag of a scheme of {letters}");
            return Err(TaskError::unsuitable(
                "tags",
                reason,
                "count entities leniently, or name the scheme that the labels are of",
            ));
        }
        let kind = Some(rest.trim_matches('-')).filter(|kind| !kind.is_empty()).unwrap_or("_");
        match &mut open {
            Some((entity, last))
                if (letter == 'I' || letter == closing) && matches!(*last, 'B' | 'I') && entity.kind == kind =>
            {
                entity.last = place;
                *last = letter;
            }
            _ => {
                entities.extend(open.take().filter(|(_, last)| may_end(*last)).map(|(entity, _)| entity));
                open = matches!(letter, 'B' | 'S').then_some((Entity { kind, first: place, last: place }, letter));
            }
        }
    }
    Ok(entities)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micro(right: &str, predicted: &str, scheme: TagScheme) -> f64 {
        let tags = |text: &str| vec![text.split(' ').map(str::to_owned).collect::<Vec<_>>()];
        entity_scores(&tags(right), &tags(predicted), scheme).unwrap().micro().f1
    }

    #[test]
    fn an_entity_that_begins_with_i_counts_unless_strict() {
        let (right, predicted) = ("B-PER I-PER O", "I-PER I-PER O");
        assert_eq!(micro(right, predicted, TagScheme::Lenient), 1.0);
        assert_eq!(micro(right, predicted, TagScheme::StrictIob2), 0.0);
    }

    #[test]
    fn an_entity_without_its_end_counts_unless_strict() {
        let (right, predicted) = ("B-PER E-PER S-LOC", "B-PER I-PER S-LOC");
        assert_eq!(micro(right, predicted, TagScheme::Lenient), 1.0);
        assert_eq!(micro(right, predicted, TagScheme::StrictIobes), 2.0 / 3.0);
    }

    #[test]
    fn an_entity_does_not_go_on_in_the_next_sequence() {
        let tags = |all: [&str; 2]| all.map(|tag| vec![tag.to_owned()]);
        let found = entity_scores(&tags(["B-PER", "I-PER"]), &tags(["B-PER", "O"]), TagScheme::Lenient).unwrap();
        assert_eq!(found.types, [("PER".to_owned(), Tally { hits: 1, predicted: 1, support: 2 })]);
    }

    #[test]
    fn a_letter_that_the_scheme_does_not_have_is_named() {
        let tags = [vec!["S-PER"]];
        let error = entity_scores(&tags, &tags, TagScheme::StrictIob2).unwrap_err().to_string();
        assert!(error.contains("\"S-PER\"") && error.contains("BIO"), "{error}");
        assert!(entity_scores(&[vec![""]], &[vec!["O"]], TagScheme::Lenient).is_err());
    }
}
