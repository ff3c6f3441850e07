//! Questions and contexts to windows of tokens: `[CLS] question [SEP] part of the context [SEP]`.
//!
//! A context that is too long for one window is read in several that overlap, and for each token one window is best: where the shorter of
//! its two sides is longest. Only there may an answer begin, so that none is judged at an edge. As google-research/electra does it,
//! finetune/qa/qa_tasks.py (`featurize`, `_check_is_max_context`), but that answers are found by characters, not by words.

use std::ops::Range;
use std::sync::Arc;

use electra_data::{LineEncoder, SpecialTokens, Tokenizer};

use super::{Placed, place_answer};
use crate::error::{Result, TaskError};
use crate::example::{Answer, Example, Input, Target};

/// How long windows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowLimits {
    /// Tokens of a window, the special ones too.
    pub max_length: usize,
    /// Tokens of the context between the beginnings of two windows.
    pub stride: usize,
    /// Tokens of a question; the rest is cut off. It never takes more than half of a window.
    pub max_query: usize,
}

impl Default for WindowLimits {
    /// The reference's: 512, 128, 64.
    fn default() -> Self {
        Self { max_length: 512, stride: 128, max_query: 64 }
    }
}

impl WindowLimits {
    fn max_query(&self) -> usize {
        self.max_query.min((self.max_length - 3) / 2)
    }
}

/// A context's tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContextTokens {
    /// Their ids.
    pub ids: Vec<u32>,
    /// Bytes of the context that each came from.
    pub bytes: Vec<(u32, u32)>,
}

impl ContextTokens {
    /// Tokens of `context`.
    pub fn of(tokenizer: &Tokenizer, context: &str) -> Self {
        let (ids, bytes) = tokenizer.encode_with_offsets(context);
        Self { ids, bytes: bytes.into_iter().map(|(start, end)| (start as u32, end as u32)).collect() }
    }

    /// Tokens that share a character with the bytes `part` of the context.
    fn within(&self, part: Range<usize>) -> Option<Range<usize>> {
        let touches = |&(start, end): &(u32, u32)| (start as usize) < part.end && (end as usize) > part.start;
        let first = self.bytes.iter().position(touches)?;
        let last = self.bytes.iter().rposition(touches)?;
        Some(first..last + 1)
    }
}

/// What is right of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gold {
    /// Nobody has said, or the answer stands nowhere in the context: not to be trained on.
    Unknown,
    /// The question has no answer.
    Unanswerable,
    /// The answer stands in another window of the context, or lies across this one's edge.
    Elsewhere,
    /// The answer begins and ends at these positions of the window.
    Here {
        /// Its first token.
        start: usize,
        /// Its last token.
        end: usize,
    },
}

impl Gold {
    /// Positions that a window is trained towards: the answer's, and [CLS] (0) where it is not in it. The reference and Hugging Face do
    /// so too: a window without the answer is not left out, it must point to [CLS]. None where nothing is known.
    pub fn positions(self) -> Option<(usize, usize)> {
        match self {
            Self::Unknown => None,
            Self::Unanswerable | Self::Elsewhere => Some((0, 0)),
            Self::Here { start, end } => Some((start, end)),
        }
    }

    /// Label of the answerability head, as the reference has it: the question's, the same in each of its windows.
    pub fn is_impossible(self) -> bool {
        self == Self::Unanswerable
    }
}

/// A question and a part of its context.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// Number of the example.
    pub example: usize,
    /// Ids of all its tokens.
    pub ids: Vec<u32>,
    /// What is right.
    pub gold: Gold,
    /// Position of the context's part in `ids`; what stands before is segment 0, from here on segment 1.
    pub context_position: usize,
    context: Arc<ContextTokens>,
    first_token: usize,
    is_best: Vec<bool>,
}

impl Window {
    /// Positions of the context's tokens: those that an answer may have.
    pub fn context_positions(&self) -> Range<usize> {
        self.context_position..self.context_position + self.is_best.len()
    }

    /// Bytes of the context that the token at `position` came from; None for tokens that are not of the context.
    pub fn bytes(&self, position: usize) -> Option<Range<usize>> {
        let in_part = self.context_positions().contains(&position).then(|| position - self.context_position)?;
        let (start, end) = self.context.bytes[self.first_token + in_part];
        Some(start as usize..end as usize)
    }

    /// Whether an answer may begin at `position`: a token of the context that no other window of it sees more around.
    pub fn may_begin(&self, position: usize) -> bool {
        self.context_positions().contains(&position) && self.is_best[position - self.context_position]
    }
}

/// Windows of many questions, and what was done to make them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SquadWindows {
    /// In the order of the examples, those of one example behind each other; at least one for each.
    pub windows: Vec<Window>,
    /// Numbers of the examples whose answer stands nowhere in the context: their windows are [`Gold::Unknown`].
    pub misplaced: Vec<usize>,
    /// Questions that were too long and lost their ends.
    pub cut_questions: u64,
    /// Examples whose contexts took more than one window.
    pub windowed: u64,
}

impl SquadWindows {
    /// The windows of each example.
    pub fn by_example(&self) -> impl Iterator<Item = &[Window]> {
        self.windows.chunk_by(|a, b| a.example == b.example)
    }
}

/// Windows of `examples`, which are pairs of a question and a context. A context that stands behind itself is tokenized once.
///
/// # Errors
/// Limits that leave no room, and an example that is no such pair.
pub fn squad_windows(examples: &[Example], tokenizer: &Tokenizer, limits: &WindowLimits) -> Result<SquadWindows> {
    check(limits)?;
    let mut made = SquadWindows::default();
    let mut encoder = LineEncoder::new(tokenizer);
    let mut question_ids = Vec::new();
    let mut last: Option<(&str, Arc<ContextTokens>)> = None;
    for (number, example) in examples.iter().enumerate() {
        let Input::Pair(question, context) = &example.input else {
            let remedy = "a question and its context make an example of this task";
            return Err(TaskError::unsuitable(format!("example {}", example.id), "it is no pair of texts", remedy));
        };
        let tokens = match &last {
            Some((text, tokens)) if *text == context.as_str() => Arc::clone(tokens),
            _ => Arc::new(ContextTokens::of(tokenizer, context)),
        };
        last = Some((context, Arc::clone(&tokens)));
        question_ids.clear();
        encoder.encode_into(question, &mut question_ids);
        made.cut_questions += u64::from(question_ids.len() > limits.max_query());
        let answer = match &example.target {
            Target::Answers(answers) if answers.is_empty() => Sought::Nothing,
            Target::Answers(answers) => match answer_tokens(answers, context, &tokens) {
                Some(answer) => Sought::Tokens(answer),
                None => {
                    made.misplaced.push(number);
                    Sought::Unknown
                }
            },
            _ => Sought::Unknown,
        };
        let windows = cut(number, &question_ids, tokens, tokenizer.special(), limits, &answer);
        made.windowed += u64::from(windows.len() > 1);
        made.windows.extend(windows);
    }
    Ok(made)
}

/// Windows of one question, as a page or a command asks it: nothing is known of its answer.
///
/// # Errors
/// Limits that leave no room.
pub fn windows_of(question: &str, context: &str, tokenizer: &Tokenizer, limits: &WindowLimits) -> Result<Vec<Window>> {
    check(limits)?;
    let tokens = Arc::new(ContextTokens::of(tokenizer, context));
    Ok(cut(0, &tokenizer.encode(question), tokens, tokenizer.special(), limits, &Sought::Unknown))
}

/// The answer that windows are made for, in tokens of the context.
enum Sought {
    Unknown,
    Nothing,
    Tokens(Range<usize>),
}

/// Tokens of the first answer that stands in the context.
fn answer_tokens(answers: &[Answer], context: &str, tokens: &ContextTokens) -> Option<Range<usize>> {
    answers.iter().find_map(|answer| match place_answer(context, answer) {
        Placed::AsSaid(byte) | Placed::Elsewhere(byte) => tokens.within(byte..byte + answer.text.len()),
        Placed::Nowhere => None,
    })
}

fn check(limits: &WindowLimits) -> Result<()> {
    let WindowLimits { max_length, stride, .. } = *limits;
    if max_length < 8 {
        let reason = "that leaves no room for a question, a context, [CLS] and two [SEP]";
        return Err(TaskError::unsuitable(
            format!("windows of {max_length} tokens"),
            reason,
            "take at least 8, better 384",
        ));
    }
    if stride == 0 {
        let reason = "no window would be the last one";
        return Err(TaskError::unsuitable("a stride of 0 tokens", reason, "take at least 1, better 128"));
    }
    Ok(())
}

fn cut(
    example: usize,
    question: &[u32],
    context: Arc<ContextTokens>,
    special: SpecialTokens,
    limits: &WindowLimits,
    sought: &Sought,
) -> Vec<Window> {
    let question = &question[..question.len().min(limits.max_query())];
    let context_position = question.len() + 2;
    let parts = parts(context.ids.len(), limits.max_length - question.len() - 3, limits.stride);
    let best: Vec<usize> = (0..context.ids.len()).map(|token| best_part(&parts, token)).collect();
    let window = |(number, part): (usize, &Range<usize>)| {
        let mut ids = Vec::with_capacity(context_position + part.len() + 1);
        ids.push(special.cls);
        ids.extend(question);
        ids.push(special.sep);
        ids.extend(&context.ids[part.clone()]);
        ids.push(special.sep);
        let gold = match sought {
            Sought::Unknown => Gold::Unknown,
            Sought::Nothing => Gold::Unanswerable,
            Sought::Tokens(answer) if part.start <= answer.start && answer.end <= part.end => Gold::Here {
                start: context_position + answer.start - part.start,
                end: context_position + answer.end - 1 - part.start,
            },
            Sought::Tokens(_) => Gold::Elsewhere,
        };
        let is_best = best[part.clone()].iter().map(|&best| best == number).collect();
        Window { example, ids, gold, context_position, context: Arc::clone(&context), first_token: part.start, is_best }
    };
    parts.iter().enumerate().map(window).collect()
}

/// Tokens of the windows: `room` for each, beginning `stride` apart, the last one ending with the context. One, if there are no tokens.
fn parts(tokens: usize, room: usize, stride: usize) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let mut start = 0;
    loop {
        let end = tokens.min(start + room);
        parts.push(start..end);
        if end == tokens {
            return parts;
        }
        start += stride.min(room);
    }
}

/// The part that sees most around a token: `_check_is_max_context`, of equal ones the first.
fn best_part(parts: &[Range<usize>], token: usize) -> usize {
    // In hundredths, to compare whole numbers: a part's length counts .01 a token.
    let around = |part: &Range<usize>| 100 * (token - part.start).min(part.end - 1 - token) + part.len();
    let mut best = (0, None);
    for (number, part) in parts.iter().enumerate().filter(|(_, part)| part.contains(&token)) {
        if best.1.is_none_or(|most| around(part) > most) {
            best = (number, Some(around(part)));
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_overlap_and_end_with_the_context() {
        assert_eq!(parts(10, 6, 3), [0..6, 3..9, 6..10]);
        assert_eq!(parts(6, 6, 3), vec![Range { start: 0, end: 6 }]);
        assert_eq!(parts(7, 6, 3), [0..6, 3..7]);
        assert_eq!(parts(7, 2, 3), [0..2, 2..4, 4..6, 6..7], "a stride beyond the room skips nothing");
        assert_eq!(parts(0, 6, 3), vec![Range { start: 0, end: 0 }]);
    }

    #[test]
    fn the_word_of_the_original_s_comment_is_best_seen_by_the_third_window() {
        // "the man went to the store and bought a gallon of milk": `bought` has 1 token to its left in the third, 0 to its right in the second.
        let parts = [0..5, 3..8, 6..11];
        assert_eq!(best_part(&parts, 7), 2);
        assert_eq!(best_part(&parts, 6), 1);
        assert_eq!(best_part(&parts, 0), 0);
        assert_eq!(best_part(&parts, 10), 2);
    }
}
