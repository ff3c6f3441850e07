//! Reads SQuAD's JSON: articles of paragraphs of questions.
//!
//! The JSON is walked by hand rather than by a derived reader, so that an error names the article, the paragraph and the question.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::error::{Result, TaskError};
use crate::example::{Answer, Example, Input, Target};

const REMEDY: &str = "expected JSON as SQuAD's: data, paragraphs, qas, answers";

/// A file of SQuAD.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Squad {
    /// As the file says: "1.1", "v2.0".
    pub version: Option<String>,
    /// In the file's order.
    pub articles: Vec<Article>,
}

/// An article of Wikipedia.
#[derive(Debug, Clone, PartialEq)]
pub struct Article {
    /// As in its address; empty where the file has none.
    pub title: String,
    /// Those that people asked about.
    pub paragraphs: Vec<Paragraph>,
}

/// A paragraph and what was asked about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Paragraph {
    /// The text that answers are parts of.
    pub context: String,
    /// In the file's order.
    pub questions: Vec<Question>,
}

/// A question.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// By which predictions name it.
    pub id: String,
    /// Its text.
    pub text: String,
    /// Answers that people gave; None where the file has no such key: a test set.
    pub answers: Option<Vec<Answer>>,
    /// `is_impossible` of SQuAD 2.0; None where the file has no such key.
    pub is_impossible: Option<bool>,
}

/// What a file holds, and what was amiss.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadReport {
    /// Questions, with and without an answer.
    pub questions: u64,
    /// Those that have no answer, as far as the file says.
    pub unanswerable: u64,
    /// Answers of all questions.
    pub answers: u64,
    /// Answers that did not stand at their `answer_start`, and were found elsewhere in the context.
    pub repaired: u64,
    /// Ids of questions with an answer that stands nowhere in the context. Its text counts in evaluation; training takes another of the
    /// question's answers, or leaves the question out.
    pub misplaced: Vec<String>,
    /// Ids that stand there more than once.
    pub repeated: Vec<String>,
}

/// Where an answer stands in its context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placed {
    /// At this byte, as the file says.
    AsSaid(usize),
    /// Not where the file says, but first at this byte.
    Elsewhere(usize),
    /// Nowhere.
    Nowhere,
}

/// Looks for `answer` where it says it is, then for its first occurrence. An empty text stands nowhere.
pub fn place_answer(context: &str, answer: &Answer) -> Placed {
    let said = context.char_indices().map(|(byte, _)| byte).nth(answer.start);
    match (answer.text.as_str(), said) {
        ("", _) => Placed::Nowhere,
        (text, Some(byte)) if context[byte..].starts_with(text) => Placed::AsSaid(byte),
        (text, _) => context.find(text).map_or(Placed::Nowhere, Placed::Elsewhere),
    }
}

impl Squad {
    /// Whether the file says of questions that they have no answer: SQuAD 2.0.
    pub fn has_unanswerable(&self) -> bool {
        self.questions().any(|(_, question)| question.is_impossible.is_some())
    }

    /// All questions with their contexts, in the file's order.
    pub fn questions(&self) -> impl Iterator<Item = (&str, &Question)> {
        let paragraphs = self.articles.iter().flat_map(|article| &article.paragraphs);
        paragraphs
            .flat_map(|paragraph| paragraph.questions.iter().map(|question| (paragraph.context.as_str(), question)))
    }

    /// All questions as examples: the question, then its context.
    pub fn examples(&self) -> Vec<Example> {
        let example = |(context, question): (&str, &Question)| Example {
            id: question.id.clone(),
            input: Input::Pair(question.text.clone(), context.to_owned()),
            target: match &question.answers {
                _ if question.is_impossible == Some(true) => Target::Answers(Vec::new()),
                Some(answers) => Target::Answers(answers.clone()),
                None => Target::Unknown,
            },
        };
        self.questions().map(example).collect()
    }
}

/// Reads the text of a SQuAD file. `path` stands in errors. An answer's start is set right where its text stands elsewhere.
///
/// # Errors
/// What is not such JSON, naming article, paragraph and question; a file without questions.
pub fn read_squad(bytes: &[u8], path: &str) -> Result<(Squad, ReadReport)> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let root: Value = serde_json::from_slice(bytes)
        .map_err(|error| TaskError::unsuitable(path, format!("malformed JSON: {error}"), REMEDY))?;
    let file = Record { path, place: "the file".to_owned(), fields: object(path, "the file", &root)? };
    let mut report = ReadReport::default();
    let version = match file.fields.get("version") {
        Some(Value::String(version)) => Some(version.clone()),
        Some(Value::Number(version)) => Some(version.to_string()),
        _ => None,
    };
    let articles =
        file.list("data")?.iter().enumerate().map(|(number, value)| article(path, number, value, &mut report));
    let squad = Squad { version, articles: articles.collect::<Result<_>>()? };
    if report.questions == 0 {
        return Err(TaskError::unsuitable(path, "there is no question in it", REMEDY));
    }
    let mut seen = HashSet::new();
    let repeats = squad.questions().filter(|(_, question)| !seen.insert(question.id.as_str()));
    report.repeated = repeats.map(|(_, question)| question.id.clone()).collect();
    Ok((squad, report))
}

fn article(path: &str, number: usize, value: &Value, report: &mut ReadReport) -> Result<Article> {
    let mut place = format!("article {}", number + 1);
    let title = value["title"].as_str().unwrap_or_default();
    if !title.is_empty() {
        place.push_str(&format!(" (\"{title}\")"));
    }
    let record = Record { path, fields: object(path, &place, value)?, place };
    let paragraphs = record.list("paragraphs")?.iter().enumerate();
    let paragraphs = paragraphs.map(|(number, value)| {
        let place = format!("{}, paragraph {}", record.place, number + 1);
        let record = Record { path, fields: object(path, &place, value)?, place };
        let context = record.text("context")?;
        let questions = record.list("qas")?.iter().enumerate();
        let questions = questions.map(|(number, value)| question(&record, number, value, context, report));
        Ok(Paragraph { questions: questions.collect::<Result<_>>()?, context: context.to_owned() })
    });
    Ok(Article { title: title.to_owned(), paragraphs: paragraphs.collect::<Result<_>>()? })
}

fn question(of: &Record<'_>, number: usize, value: &Value, context: &str, report: &mut ReadReport) -> Result<Question> {
    let id = match &value["id"] {
        Value::String(id) => id.clone(),
        Value::Number(id) => id.to_string(),
        _ => String::new(),
    };
    let name = if id.is_empty() { String::new() } else { format!(" (id \"{id}\")") };
    let place = format!("{}, question {}{name}", of.place, number + 1);
    let record = Record { path: of.path, fields: object(of.path, &place, value)?, place };
    if id.is_empty() {
        return Err(record.error("it has no \"id\""));
    }
    let text = record.text("question")?.to_owned();
    let is_impossible = match record.fields.get("is_impossible") {
        None | Some(Value::Null) => None,
        Some(Value::Bool(is_impossible)) => Some(*is_impossible),
        Some(_) => return Err(record.error("\"is_impossible\" is neither true nor false")),
    };
    let answers = match record.fields.get("answers") {
        None | Some(Value::Null) => None,
        Some(_) => {
            let answers = record.list("answers")?.iter().enumerate();
            let answers = answers.map(|(number, value)| answer(&record, number, value));
            Some(answers.collect::<Result<Vec<_>>>()?)
        }
    };
    let mut question = Question { id, text, answers, is_impossible };
    report.questions += 1;
    let has_none = question.answers.as_ref().is_some_and(Vec::is_empty);
    report.unanswerable += u64::from(question.is_impossible == Some(true) || has_none);
    let mut misplaced = false;
    for answer in question.answers.iter_mut().flatten() {
        report.answers += 1;
        match place_answer(context, answer) {
            Placed::AsSaid(_) => {}
            Placed::Elsewhere(byte) => {
                answer.start = context[..byte].chars().count();
                report.repaired += 1;
            }
            Placed::Nowhere => misplaced = true,
        }
    }
    report.misplaced.extend(misplaced.then(|| question.id.clone()));
    Ok(question)
}

fn answer(of: &Record<'_>, number: usize, value: &Value) -> Result<Answer> {
    let place = format!("{}, answer {}", of.place, number + 1);
    let record = Record { path: of.path, fields: object(of.path, &place, value)?, place };
    let text = record.text("text")?.to_owned();
    // Only training needs it, and -1 stands in files for "somewhere".
    let start = match record.fields.get("answer_start") {
        None | Some(Value::Null) => usize::MAX,
        Some(Value::Number(start)) if start.is_i64() || start.is_u64() => {
            start.as_u64().map_or(usize::MAX, |start| usize::try_from(start).unwrap_or(usize::MAX))
        }
        Some(_) => return Err(record.error("\"answer_start\" is no whole number")),
    };
    Ok(Answer { text, start })
}

/// An object of the JSON and where it stands.
struct Record<'a> {
    path: &'a str,
    place: String,
    fields: &'a Map<String, Value>,
}

impl<'a> Record<'a> {
    fn text(&self, name: &str) -> Result<&'a str> {
        self.field(name)?.as_str().ok_or_else(|| self.error(format!("\"{name}\" is no text")))
    }

    fn list(&self, name: &str) -> Result<&'a [Value]> {
        self.field(name)?.as_array().map(Vec::as_slice).ok_or_else(|| self.error(format!("\"{name}\" is no list")))
    }

    fn field(&self, name: &str) -> Result<&'a Value> {
        self.fields.get(name).ok_or_else(|| self.error(format!("it has no \"{name}\"")))
    }

    fn error(&self, reason: impl ToString) -> TaskError {
        TaskError::record(self.path, &self.place, reason, REMEDY)
    }
}

fn object<'a>(path: &str, place: &str, value: &'a Value) -> Result<&'a Map<String, Value>> {
    value.as_object().ok_or_else(|| TaskError::record(path, place, "it is no JSON object", REMEDY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_looked_for_where_it_is_said_to_be_first() {
        let context = "é café, café";
        let place = |text: &str, start| place_answer(context, &Answer { text: text.to_owned(), start });
        assert_eq!(place("café", 8), Placed::AsSaid(10));
        assert_eq!(place("café", 2), Placed::AsSaid(3));
        assert_eq!(place("café", 5), Placed::Elsewhere(3));
        assert_eq!(place("café", 99), Placed::Elsewhere(3));
        assert_eq!(place("tea", 2), Placed::Nowhere);
        assert_eq!(place("", 2), Placed::Nowhere);
    }
}
