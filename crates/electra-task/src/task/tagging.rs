//! Tagging: a word a line in columns, a blank line between sentences, as CoNLL's shared tasks write them (Tjong Kim Sang and De Meulder,
//! 2003). Tags say where entities begin and end (IOB1, BIO, BIOES and its twin BILOU), or are plain ones such as parts of speech.

use std::collections::HashMap;

use super::beside::beside;
use super::{LoadOptions, Source, Split, Task, TaskData, hold_out};
use crate::files::Files;
use crate::table::{Report, Trouble};
use crate::{Example, Input, Kind, Result, Target, TaskError};

pub(super) const TASK: Task = Task {
    name: "tagging",
    title: "tagging",
    about: "a label for each word, from CoNLL's columns",
    metrics: &[],
    in_glue_average: false,
    epochs: 3.0,
    max_length: 128,
    both_orders: false,
    note: "",
    source: Source::Read(load),
};

/// How tags say where entities begin and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// They do not: each word has a tag of its own.
    Plain,
    /// I-, and B- only where an entity follows another of its type.
    Iob1,
    /// B- begins an entity, I- goes on; also called IOB2.
    Bio,
    /// Also E- for the last word of an entity, and S- for the only one.
    Bioes,
    /// BIOES with L- and U- in place of E- and S-.
    Bilou,
}

/// A sentence with its tags, as the file has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tagged {
    /// Its words.
    pub words: Vec<String>,
    /// Each word's.
    pub tags: Vec<String>,
    /// The line of its first word, from 1.
    pub line: u64,
}

/// Sentences of CoNLL's columns, between tabs or else blanks; `-DOCSTART-` and comments (`# id = 1`) are passed over. A line with another
/// number of columns than the first leaves its sentence out, since a sentence without one of its words is another one. `tag_column`: the
/// last where none is given.
pub fn read_conll(name: &str, text: &[u8], word_column: usize, tag_column: Option<usize>) -> (Vec<Tagged>, Report) {
    let mut sentences: Vec<Tagged> = Vec::new();
    let mut report = Report::default();
    let mut sentence = Tagged { words: Vec::new(), tags: Vec::new(), line: 0 };
    let mut is_broken = false;
    let mut width = None;
    let end = |sentence: &mut Tagged, is_broken: &mut bool, sentences: &mut Vec<Tagged>| {
        let done = std::mem::replace(sentence, Tagged { words: Vec::new(), tags: Vec::new(), line: 0 });
        if !std::mem::take(is_broken) && !done.words.is_empty() {
            sentences.push(done);
        }
    };
    for (number, line) in text.split(|&byte| byte == b'\n').enumerate() {
        let number = number as u64 + 1;
        let Ok(line) = std::str::from_utf8(line) else {
            report.note(Trouble::Malformed, name, number, || "not valid UTF-8; its sentence is left out".into());
            is_broken = true;
            continue;
        };
        let line = line.trim_end();
        if line.trim_start().is_empty() || line.starts_with("-DOCSTART-") {
            end(&mut sentence, &mut is_broken, &mut sentences);
            continue;
        }
        if line.starts_with('#') && line.contains(" = ") {
            continue;
        }
        let columns: Vec<&str> =
            if line.contains('\t') { line.split('\t').collect() } else { line.split_whitespace().collect() };
        let width = *width.get_or_insert(columns.len());
        let tag_column = tag_column.unwrap_or(width - 1);
        let is_whole = columns.len() == width && word_column.max(tag_column) < width && word_column != tag_column;
        let cells = is_whole.then(|| (columns[word_column].trim(), columns[tag_column].trim()));
        let Some((word, tag)) = cells.filter(|(word, tag)| !word.is_empty() && !tag.is_empty()) else {
            report.note(Trouble::Malformed, name, number, || {
                let found = columns.len();
                let what = if found == width { "no word or no tag".into() } else { format!("not {width} columns") };
                format!("{found} columns, {what}; its sentence is left out")
            });
            is_broken = true;
            continue;
        };
        if sentence.words.is_empty() {
            sentence.line = number;
        }
        sentence.words.push(word.to_owned());
        sentence.tags.push(tag.to_owned());
    }
    end(&mut sentence, &mut is_broken, &mut sentences);
    (sentences, report)
}

/// The prefix of a tag and its type: `B-PER`.
fn parts(tag: &str) -> Option<(char, &str)> {
    let (prefix, kind) = tag.split_once('-')?;
    let mut characters = prefix.chars();
    characters.next().filter(|_| characters.next().is_none()).map(|prefix| (prefix, kind))
}

impl Scheme {
    /// The scheme that sentences are tagged in.
    pub fn of(sentences: &[Tagged]) -> Self {
        let tags = || sentences.iter().flat_map(|sentence| &sentence.tags).filter(|tag| *tag != "O");
        let has = |prefix| tags().any(|tag| parts(tag).is_some_and(|(found, _)| found == prefix));
        if tags().next().is_none() || !tags().all(|tag| parts(tag).is_some_and(|(p, _)| "BIESLU".contains(p))) {
            return Self::Plain;
        }
        if has('L') || has('U') {
            return Self::Bilou;
        }
        if has('E') || has('S') {
            return Self::Bioes;
        }
        // In BIO every entity begins with B-; files with a slip or two are BIO still.
        let mut begun = [0u64; 2];
        for sentence in sentences {
            let mut before = None;
            for tag in &sentence.tags {
                let now = parts(tag);
                match now {
                    Some(('B', _)) => begun[0] += 1,
                    Some((_, kind)) if before.is_none_or(|(_, before)| before != kind) => begun[1] += 1,
                    _ => {}
                }
                before = now;
            }
        }
        if begun[1] > begun[0] { Self::Iob1 } else { Self::Bio }
    }

    /// Tags in BIO or BIOES, in place.
    fn normalize(self, tags: &mut [String]) {
        let mut before: Option<(char, String)> = None;
        for tag in tags {
            let now = parts(tag).map(|(prefix, kind)| (prefix, kind.to_owned()));
            if let Some((prefix, kind)) = &now {
                let follows = before.as_ref().is_some_and(|(_, before)| before == kind);
                match (self, prefix) {
                    (Self::Iob1, 'I') if !follows => *tag = format!("B-{kind}"),
                    (Self::Bilou, 'L') => *tag = format!("E-{kind}"),
                    (Self::Bilou, 'U') => *tag = format!("S-{kind}"),
                    _ => {}
                }
            }
            before = now;
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain tags",
            Self::Iob1 => "IOB1, which is read as BIO",
            Self::Bio => "BIO",
            Self::Bioes => "BIOES",
            Self::Bilou => "BILOU, which is read as BIOES",
        }
    }
}

/// Labels in a fixed order: `O` first, then by type, in each B, I, E, S.
fn sort_labels(labels: &mut [String]) {
    labels.sort_by_cached_key(|tag| match parts(tag) {
        _ if tag == "O" => (String::new(), 0, String::new()),
        Some((prefix, kind)) => (kind.to_owned(), "BIES".find(prefix).map_or(9, |at| at + 1), tag.clone()),
        None => (tag.clone(), 0, tag.clone()),
    });
}

fn load(files: &Files, options: &LoadOptions) -> Result<TaskData> {
    let found = beside(files, options)?;
    let read = |names: &[String]| -> Result<(Vec<Tagged>, Report)> {
        let (mut sentences, mut report) = (Vec::new(), Report::default());
        for name in names {
            let text = files.text(name)?;
            let (of_file, file_report) = read_conll(name, &text, options.word_column, options.tag_column);
            if of_file.is_empty() {
                let trouble = file_report.sentences().join("; ");
                let reason = if text.trim_ascii().is_empty() {
                    "the file is empty".into()
                } else {
                    format!("no sentence can be used: {trouble}")
                };
                let remedy =
                    "give a word a line in columns, with a blank line between sentences (--word-column, --tag-column)";
                return Err(TaskError::unsuitable(name, reason, remedy));
            }
            sentences.extend(of_file);
            report.add(&file_report);
        }
        Ok((sentences, report))
    };
    let (mut train, train_report) = read(&found.train)?;
    let scheme = Scheme::of(&train);
    train.iter_mut().for_each(|sentence| scheme.normalize(&mut sentence.tags));
    let mut labels: Vec<String> = train.iter().flat_map(|sentence| &sentence.tags).cloned().collect();
    labels.sort();
    labels.dedup();
    sort_labels(&mut labels);
    if labels.len() < 2 {
        let reason = format!("every word has the tag {}, so there is nothing to learn", labels.join(""));
        return Err(TaskError::unsuitable(&found.train[0], reason, "see whether --tag-column is right"));
    }
    let mut notes = found.notes;
    notes.push(format!("tags are {}", scheme.name()));
    let mut rest = Vec::new();
    for (names, name) in [(&found.dev, "dev"), (&found.test, "test")] {
        if names.is_empty() {
            continue;
        }
        let (mut sentences, report) = read(names)?;
        sentences.iter_mut().for_each(|sentence| scheme.normalize(&mut sentence.tags));
        let mut unseen: Vec<String> =
            sentences.iter().flat_map(|sentence| &sentence.tags).filter(|tag| !labels.contains(tag)).cloned().collect();
        unseen.sort();
        unseen.dedup();
        if !unseen.is_empty() {
            // Leaving them out would flatter the scores: they count, and can only be wrong.
            notes.push(format!(
                "{} in {} that no training sentence has: they count as labels, which a network cannot have learned",
                unseen.join(", "),
                names.join(", ")
            ));
            labels.extend(unseen);
        }
        rest.push((name, names, sentences, report));
    }
    let numbers: HashMap<&str, usize> = labels.iter().enumerate().map(|(at, label)| (label.as_str(), at)).collect();
    let split = |name: &str, names: &[String], sentences: Vec<Tagged>, report| Split {
        name: name.into(),
        files: names.to_vec(),
        examples: examples(sentences, &numbers),
        report,
        submission: None,
    };
    let mut data = TaskData::of(Kind::Tagging { labels: labels.clone() });
    data.notes = notes;
    let mut train = split("train", &found.train, train, train_report);
    for (name, names, sentences, report) in rest {
        let split = split(name, names, sentences, report);
        if name == "dev" { data.dev.push(split) } else { data.test.push(split) }
    }
    if data.dev.is_empty() {
        data.notes.push(hold_out::from_train(&mut train, &mut data.dev, &data.kind, options)?);
    }
    data.train = Some(train);
    Ok(data)
}

fn examples(sentences: Vec<Tagged>, numbers: &HashMap<&str, usize>) -> Vec<Example> {
    let example = |(number, sentence): (usize, Tagged)| Example {
        id: number.to_string(),
        target: Target::Tags(sentence.tags.iter().map(|tag| numbers[tag.as_str()]).collect()),
        input: Input::Words(sentence.words),
    };
    sentences.into_iter().enumerate().map(example).collect()
}

#[cfg(test)]
mod tests;
