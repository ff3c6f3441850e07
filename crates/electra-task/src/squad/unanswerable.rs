//! Questions without an answer, made from questions with one: each is asked again of another paragraph of its article.
//!
//! What SQuAD 2.0's crowd wrote by hand, in the cheap way: the question is on the subject, and the paragraph does not answer it.

use electra_data::random::Draws;

use super::{Article, Paragraph, Question, Squad};
use crate::example::Answer;

const PURPOSE: u64 = 0x006d_6f76_6564; // "moved"

/// What was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moved {
    /// Questions that were asked again of another paragraph.
    pub questions: u64,
    /// Questions that were not: every other paragraph of their article contains the answer, or there is none.
    pub without_paragraph: u64,
}

/// The file as one of SQuAD 2.0: its questions, and behind those of each paragraph questions of other paragraphs of the article, which it does
/// not answer. Each question with an answer is moved with the probability `share` (1 makes as many without an answer as with one; SQuAD 2.0
/// has half as many).
///
/// A paragraph that contains one of the answers, in any case, is not taken. The same `seed` gives the same file. A moved question's id is its
/// own with "_moved" behind.
pub fn with_questions_moved(squad: &Squad, share: f64, seed: u64) -> (Squad, Moved) {
    let mut moved = Moved::default();
    let mut number = 0;
    let articles = squad.articles.iter().map(|article| {
        let lower: Vec<String> = article.paragraphs.iter().map(|paragraph| paragraph.context.to_lowercase()).collect();
        let mut paragraphs: Vec<Paragraph> = article.paragraphs.iter().map(answerable).collect();
        for (from, paragraph) in article.paragraphs.iter().enumerate() {
            for question in &paragraph.questions {
                number += 1;
                let mut draws = Draws::new(&[PURPOSE, seed, number]);
                let Some(answers) = question.answers.as_ref().filter(|answers| !answers.is_empty()) else { continue };
                if question.is_impossible == Some(true) || !draws.chance(share) {
                    continue;
                }
                let contains_answer = |to: usize| answers.iter().any(|answer| is_in(answer, &lower[to]));
                let others: Vec<usize> = (0..lower.len())
                    .filter(|&to| to != from && lower[to] != lower[from] && !contains_answer(to))
                    .collect();
                if others.is_empty() {
                    moved.without_paragraph += 1;
                    continue;
                }
                let to = others[draws.below(others.len() as u64) as usize];
                paragraphs[to].questions.push(Question {
                    id: format!("{}_moved", question.id),
                    text: question.text.clone(),
                    answers: Some(Vec::new()),
                    is_impossible: Some(true),
                });
                moved.questions += 1;
            }
        }
        Article { title: article.title.clone(), paragraphs }
    });
    (Squad { version: Some("v2.0".to_owned()), articles: articles.collect() }, moved)
}

/// Its questions say that they have an answer, unless they said otherwise.
fn answerable(paragraph: &Paragraph) -> Paragraph {
    let mut paragraph = paragraph.clone();
    for question in &mut paragraph.questions {
        let has_none = question.answers.as_ref().is_some_and(Vec::is_empty);
        question.is_impossible.get_or_insert(has_none);
    }
    paragraph
}

fn is_in(answer: &Answer, lower_context: &str) -> bool {
    lower_context.contains(answer.text.trim().to_lowercase().as_str())
}
