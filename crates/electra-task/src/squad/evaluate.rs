//! The official scores of predictions: evaluate-v1.1.py and evaluate-v2.0.py of SQuAD, number by number.
//!
//! Both compare normalised texts: in lower case, without ASCII punctuation, without the words a, an and the, with single blanks. What is a
//! word or a blank is what Python's `re` and `str.split` take for one, which is not what Rust does. The scripts differ in what is empty: two
//! empty texts share no token, so their F1 is 0 in 1.1's, while 2.0's says 1.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value};

use super::{Question, Squad};
use crate::error::{Result, TaskError};
use crate::example::Answer;
use crate::scores::Scores;

/// Scores and what they leave out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evaluation {
    /// In percent but for counts and thresholds, under the script's names and in its order.
    pub scores: Scores,
    /// Ids of questions without a prediction. They count as 0 in 1.1's script and are left out by 2.0's.
    pub missing: Vec<String>,
}

/// Reads `{"id": "answer", ...}`, in the file's order; of an id that stands there twice the last counts.
///
/// # Errors
/// What is not such JSON.
pub fn read_predictions(bytes: &[u8], path: &str) -> Result<Vec<(String, String)>> {
    let remedy = "expected a JSON object of answers by question id";
    let read = |(id, value)| match value {
        Value::String(answer) => Ok((id, answer)),
        _ => Err(TaskError::record(path, format!("id \"{id}\""), "the answer is no text", remedy)),
    };
    object(bytes, path, remedy)?.into_iter().map(read).collect()
}

/// Reads `{"id": 0.25, ...}`: how much speaks for a question having no answer, in the file's order.
///
/// # Errors
/// What is not such JSON.
pub fn read_no_answer_scores(bytes: &[u8], path: &str) -> Result<Vec<(String, f64)>> {
    let remedy = "expected a JSON object of numbers by question id";
    let read = |(id, value): (String, Value)| match value.as_f64() {
        Some(score) => Ok((id, score)),
        None => Err(TaskError::record(path, format!("id \"{id}\""), "the value is no number", remedy)),
    };
    object(bytes, path, remedy)?.into_iter().map(read).collect()
}

fn object(bytes: &[u8], path: &str, remedy: &str) -> Result<Map<String, Value>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    serde_json::from_slice(bytes).map_err(|error| TaskError::unsuitable(path, format!("malformed: {error}"), remedy))
}

/// SQuAD 1.1's `exact_match` and `f1`. `data` stands in errors for the file of questions.
///
/// # Errors
/// A question without answers, which 1.1 does not have.
pub fn evaluate_1_1(squad: &Squad, data: &str, predictions: &[(String, String)]) -> Result<Evaluation> {
    let predictions = by_id(predictions);
    let (mut exact, mut f1, mut total) = (0.0, 0.0, 0u64);
    let mut missing = Vec::new();
    for (_, question) in squad.questions() {
        total += 1;
        let Some(prediction) = predictions.get(question.id.as_str()) else {
            missing.push(question.id.clone());
            continue;
        };
        let answers = answers(question, data)?;
        if answers.is_empty() {
            let remedy = "SQuAD 1.1 has an answer to every question: evaluate it as SQuAD 2.0";
            return Err(TaskError::record(data, format!("question \"{}\"", question.id), "it has no answer", remedy));
        }
        let best = Match::best(answers.iter().map(|answer| answer.text.as_str()), prediction);
        exact += f64::from(u8::from(best.exact));
        f1 += best.f1;
    }
    let percent = |sum: f64| 100.0 * sum / total as f64;
    Ok(Evaluation { scores: Scores::default().with("exact_match", percent(exact)).with("f1", percent(f1)), missing })
}

/// SQuAD 2.0's `exact`, `f1`, `total`, the same of questions with (`HasAns_*`) and without (`NoAns_*`) an answer, and with `no_answer` the
/// threshold that would have been best (`best_exact`, `best_exact_thresh`, `best_f1`, `best_f1_thresh`).
///
/// Where a question's number in `no_answer` is above `threshold` (the script's default is 1), its prediction counts as empty. Of a file that
/// lacks predictions the script says so and then fails; here `HasAns_*` and `NoAns_*` leave those questions out, as `exact` and `f1` do.
///
/// # Errors
/// No prediction for any question; a prediction without its number in `no_answer`.
pub fn evaluate_2_0(
    squad: &Squad,
    data: &str,
    predictions: &[(String, String)],
    no_answer: Option<&[(String, f64)]>,
    threshold: f64,
) -> Result<Evaluation> {
    let judged = Judged::of(squad, data, predictions)?;
    let no_answer_by_id = no_answer.map(by_id);
    let mut rows: Vec<(bool, Match)> = Vec::new();
    for question in judged.questions.iter().filter(|question| question.given.is_some()) {
        let mut score = question.score;
        if let Some(by_id) = &no_answer_by_id {
            let Some(number) = by_id.get(question.id) else {
                let remedy = "give a number for each prediction, or no such file";
                return Err(TaskError::record(
                    data,
                    format!("question \"{}\"", question.id),
                    "there is no no-answer probability for it",
                    remedy,
                ));
            };
            if **number > threshold {
                score = Match { exact: !question.has_answer, f1: f64::from(u8::from(!question.has_answer)) };
            }
        }
        rows.push((question.has_answer, score));
    }
    let mut scores = Scores::default();
    for (prefix, kind) in [("", None), ("HasAns_", Some(true)), ("NoAns_", Some(false))] {
        let of_kind = || rows.iter().filter(|(has_answer, _)| kind.is_none_or(|kind| kind == *has_answer));
        let total = of_kind().count();
        if total == 0 {
            continue;
        }
        let percent = |sum: f64| 100.0 * sum / total as f64;
        scores = scores
            .with(format!("{prefix}exact"), percent(of_kind().map(|(_, score)| score.exact_number()).sum()))
            .with(format!("{prefix}f1"), percent(of_kind().map(|(_, score)| score.f1).sum()))
            .with(format!("{prefix}total"), total as f64);
    }
    if let Some(no_answer) = no_answer {
        let order = ascending(no_answer);
        for (name, score) in [("exact", Match::exact_number as fn(&Match) -> f64), ("f1", |score| score.f1)] {
            let (best, threshold) = judged.best_threshold(&order, score);
            scores = scores.with(format!("best_{name}"), best).with(format!("best_{name}_thresh"), threshold);
        }
    }
    let missing = judged.questions.iter().filter(|question| question.given.is_none());
    Ok(Evaluation { scores, missing: missing.map(|question| question.id.to_owned()).collect() })
}

/// `pr_exact_ap`, `pr_f1_ap` and `pr_oracle_ap` of 2.0's script, which gives them along with its plots: average precisions in percent of
/// answering the questions in the order of `no_answer`. None without a question that has an answer, and where a number's question is not in
/// the file or has no prediction: there the script fails.
///
/// # Errors
/// No prediction for any question.
pub fn average_precisions(
    squad: &Squad,
    data: &str,
    predictions: &[(String, String)],
    no_answer: &[(String, f64)],
) -> Result<Option<Scores>> {
    let judged = Judged::of(squad, data, predictions)?;
    let to_find = judged.questions.iter().filter(|question| question.has_answer).count();
    let mut order = Vec::new();
    for (id, number) in ascending(no_answer) {
        match judged.numbers.get(id).map(|&place| &judged.questions[place]).filter(|question| question.given.is_some())
        {
            Some(question) => order.push((question, number)),
            None => return Ok(None),
        }
    }
    if to_find == 0 {
        return Ok(None);
    }
    let average = |score: fn(&Match) -> f64| {
        let (mut found, mut recall_before, mut sum, mut taken) = (0.0, 0.0, 0.0, 0);
        for tied in order.chunk_by(|a, b| a.1 == b.1) {
            // A threshold lies behind equal numbers, never among them.
            found += tied
                .iter()
                .filter(|(question, _)| question.has_answer)
                .map(|(question, _)| score(&question.score))
                .sum::<f64>();
            taken += tied.len();
            let recall = found / to_find as f64;
            sum += found / taken as f64 * (recall - recall_before);
            recall_before = recall;
        }
        100.0 * sum
    };
    let scores =
        Scores::default().with("pr_exact_ap", average(Match::exact_number)).with("pr_f1_ap", average(|score| score.f1));
    Ok(Some(scores.with("pr_oracle_ap", average(|_| 1.0))))
}

/// Every question of a file by its id, with its prediction and what that is worth.
struct Judged<'a> {
    questions: Vec<JudgedQuestion<'a>>,
    numbers: HashMap<&'a str, usize>,
}

struct JudgedQuestion<'a> {
    id: &'a str,
    has_answer: bool,
    given: Option<&'a str>,
    score: Match,
}

impl<'a> Judged<'a> {
    fn of(squad: &'a Squad, data: &str, predictions: &'a [(String, String)]) -> Result<Self> {
        let given = by_id(predictions);
        let mut judged = Self { questions: Vec::new(), numbers: HashMap::new() };
        for (_, question) in squad.questions() {
            let answers = answers(question, data)?;
            let given = given.get(question.id.as_str()).map(|answer| answer.as_str());
            // An answer that is empty once normalised is none; without any, the empty text is right.
            let mut texts: Vec<&str> =
                answers.iter().map(|answer| answer.text.as_str()).filter(|text| !normalized(text).is_empty()).collect();
            if texts.is_empty() {
                texts.push("");
            }
            let score = given.map_or(Match::default(), |given| Match::best_or_empty(texts.into_iter(), given));
            let row = JudgedQuestion { id: &question.id, has_answer: !answers.is_empty(), given, score };
            // Of an id that stands there twice the last counts, as in Python's dictionaries.
            match judged.numbers.get(row.id) {
                Some(&number) => judged.questions[number] = row,
                None => {
                    judged.numbers.insert(row.id, judged.questions.len());
                    judged.questions.push(row);
                }
            }
        }
        if judged.questions.iter().all(|question| question.given.is_none()) {
            let remedy = "are these predictions for this file?";
            return Err(TaskError::unsuitable(data, "there is no prediction for any of its questions", remedy));
        }
        Ok(judged)
    }

    /// `find_best_thresh`: the best score in percent, and the number up to which questions are answered for it.
    fn best_threshold(&self, order: &[(&str, f64)], score: fn(&Match) -> f64) -> (f64, f64) {
        let mut current = self.questions.iter().filter(|question| !question.has_answer).count() as f64;
        let (mut best, mut threshold) = (current, 0.0);
        for (id, number) in order {
            let Some(question) = self.numbers.get(id).map(|&place| &self.questions[place]) else { continue };
            let Some(given) = question.given else { continue };
            current += match (question.has_answer, given) {
                (true, _) => score(&question.score),
                (false, "") => 0.0,
                (false, _) => -1.0,
            };
            if current > best {
                (best, threshold) = (current, *number);
            }
        }
        let scored = self.questions.iter().filter(|question| question.given.is_some()).count();
        (100.0 * best / scored as f64, threshold)
    }
}

fn by_id<T>(entries: &[(String, T)]) -> HashMap<&str, &T> {
    entries.iter().map(|(id, value)| (id.as_str(), value)).collect()
}

/// By number, those of equal numbers in the file's order.
fn ascending(no_answer: &[(String, f64)]) -> Vec<(&str, f64)> {
    let mut order: Vec<(&str, f64)> = no_answer.iter().map(|(id, number)| (id.as_str(), *number)).collect();
    order.sort_by(|a, b| a.1.partial_cmp(&b.1).unwrap_or(std::cmp::Ordering::Equal));
    order
}

fn answers<'a>(question: &'a Question, data: &str) -> Result<&'a [Answer]> {
    question.answers.as_deref().ok_or_else(|| {
        let remedy = "predictions are scored against a file with answers";
        TaskError::record(data, format!("question \"{}\"", question.id), "it has no \"answers\"", remedy)
    })
}

/// What a prediction is worth beside the answer that it is nearest to.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Match {
    exact: bool,
    f1: f64,
}

impl Match {
    /// 1.1's rule: what is empty shares nothing.
    fn best<'a>(answers: impl Iterator<Item = &'a str>, prediction: &str) -> Self {
        let prediction = normalized(prediction);
        answers.fold(Self::default(), |best, answer| {
            let answer = normalized(answer);
            Self { exact: best.exact || answer == prediction, f1: best.f1.max(f1(&answer, &prediction)) }
        })
    }

    /// 2.0's rule: what is empty equals what is empty.
    fn best_or_empty<'a>(answers: impl Iterator<Item = &'a str>, prediction: &str) -> Self {
        let best = Self::best(answers, prediction);
        // Equal texts have an F1 of 1 but where both are empty.
        Self { f1: if best.exact { 1.0 } else { best.f1 }, ..best }
    }

    fn exact_number(&self) -> f64 {
        f64::from(u8::from(self.exact))
    }
}

/// F1 of the tokens that two normalised texts share.
fn f1(answer: &str, prediction: &str) -> f64 {
    let mut counts: HashMap<&str, u64> = HashMap::new();
    answer.split(' ').filter(|token| !token.is_empty()).for_each(|token| *counts.entry(token).or_default() += 1);
    let answer_tokens: u64 = counts.values().sum();
    let (mut shared, mut tokens) = (0u64, 0u64);
    for token in prediction.split(' ').filter(|token| !token.is_empty()) {
        tokens += 1;
        if let Some(count) = counts.get_mut(token).filter(|count| **count > 0) {
            *count -= 1;
            shared += 1;
        }
    }
    if shared == 0 {
        return 0.0;
    }
    let (precision, recall) = (shared as f64 / tokens as f64, shared as f64 / answer_tokens as f64);
    2.0 * precision * recall / (precision + recall)
}

/// The scripts' `normalize_answer`.
fn normalized(text: &str) -> String {
    // What Python's `\b` takes for a word: letters, numbers and _ (which is punctuation, and gone by then). Not vowel signs, as Rust's has it.
    static WORDS: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"[\p{L}\p{N}]+").expect("a regular expression"));
    let bare: String = text.to_lowercase().chars().filter(|character| !character.is_ascii_punctuation()).collect();
    let without_articles = WORDS.replace_all(&bare, |word: &regex::Captures<'_>| match &word[0] {
        "a" | "an" | "the" => " ".to_owned(),
        word => word.to_owned(),
    });
    // Python's blanks are Unicode's and four separators of ASCII.
    let words = without_articles.split(|c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c));
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_compared_without_case_punctuation_articles_and_blanks() {
        for (text, expected) in [
            ("The  Norman's, \u{1f}Conquest!", "normans conquest"),
            ("a an THE theatre a", "theatre"),
            ("l’a b", "l’ b"),
            ("a\u{940} ⓐ", "\u{940} ⓐ"),
            ("ΟΔΟΣ İ", "οδος i\u{307}"),
            ("a_b", "ab"),
            ("—the—", "— —"),
            ("?!", ""),
        ] {
            assert_eq!(normalized(text), expected, "{text:?}");
        }
    }

    #[test]
    fn tokens_count_as_often_as_both_have_them() {
        assert_eq!(f1("x x y", "x x x"), 2.0 / 3.0);
        assert_eq!(f1("", ""), 0.0);
    }
}
