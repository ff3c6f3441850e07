//! What a head says of a question's windows, to answers: google-research/electra, finetune/qa/qa_metrics.py (`write_predictions`).
//!
//! An answer is a part of the context as it stands there, case and blanks included: from the first character of its first token to the last
//! of its last. The original puts words together again from their pieces.

use super::Window;

/// Which spans may be answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Answers that are kept; of independent logits also the starts and ends that are looked at.
    pub n_best: usize,
    /// Tokens of an answer.
    pub max_answer: usize,
}

impl Default for DecodeLimits {
    /// The reference's: 20, 30.
    fn default() -> Self {
        Self { n_best: 20, max_answer: 30 }
    }
}

/// What a head says of one window. Positions are those of the window's tokens; logits behind its end (padding) may be there and are not
/// looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum WindowOutput<'a> {
    /// Hugging Face's linear head: start and end independent of each other.
    Independent {
        /// Logit of the answer's beginning at each position.
        starts: &'a [f32],
        /// Logit of its end at each position.
        ends: &'a [f32],
    },
    /// The original's joint head: likely starts, and for each of them likely ends.
    Beam {
        /// Positions `[beam]`.
        starts: &'a [usize],
        /// Their log-probabilities `[beam]`.
        start_log_probs: &'a [f32],
        /// Positions `[beam * ends]`, the ends of each start behind each other.
        ends: &'a [usize],
        /// Their log-probabilities `[beam * ends]`.
        end_log_probs: &'a [f32],
        /// Logit of the question having no answer here.
        no_answer: f32,
    },
}

/// An answer that the network thinks possible.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// As it stands in the context.
    pub text: String,
    /// Unicode code points of the context before it, as SQuAD counts.
    pub start: usize,
    /// Sum of its start's and its end's logits or log-probabilities.
    pub score: f64,
    /// Softmax of the scores over the candidates.
    pub probability: f64,
}

/// What the network says of a question.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    /// Texts that differ, best first; none where no span may be an answer.
    pub candidates: Vec<Candidate>,
    /// How much speaks for no answer: the least of the windows' logits of a joint head; of an independent one, the least of the windows'
    /// logits at [CLS] minus the best candidate's score. The script's "na-probabilities" are this; a threshold for it comes from a dev set.
    /// Infinite where an independent head has no candidate.
    pub no_answer: f64,
}

impl Answered {
    /// The best answer; empty where there is none.
    pub fn text(&self) -> &str {
        self.candidates.first().map_or("", |best| &best.text)
    }

    /// The best answer, or none (an empty text) where more than `threshold` speaks for there being none.
    pub fn text_unless(&self, threshold: f64) -> &str {
        if self.no_answer > threshold { "" } else { self.text() }
    }
}

/// The answers to one question, from the outputs for each of its windows.
///
/// A span counts if it begins where its window sees most around it ([`Window::may_begin`]), ends in the context, not before it begins, and is
/// not too long. Logits that are no numbers count for nothing.
///
/// # Panics
/// If there is not one output for each window, or an output's parts do not fit each other or the window.
pub fn answer(context: &str, windows: &[Window], outputs: &[WindowOutput<'_>], limits: &DecodeLimits) -> Answered {
    assert_eq!(windows.len(), outputs.len(), "one output for each window");
    let mut spans: Vec<Span> = Vec::new();
    let mut no_answer = f64::INFINITY;
    let mut is_relative = false;
    for (window, output) in windows.iter().zip(outputs) {
        let null = match *output {
            WindowOutput::Independent { starts, ends } => {
                assert_eq!(starts.len(), ends.len(), "a start and an end for each position");
                assert!(starts.len() >= window.ids.len(), "{} logits for {} tokens", starts.len(), window.ids.len());
                is_relative = true;
                independent_spans(window, starts, ends, limits, &mut spans);
                f64::from(starts[0]) + f64::from(ends[0])
            }
            WindowOutput::Beam { starts, start_log_probs, ends, end_log_probs, no_answer } => {
                assert_eq!(starts.len(), start_log_probs.len(), "a log-probability for each start");
                assert_eq!(ends.len(), end_log_probs.len(), "a log-probability for each end");
                let per_start = ends.len().checked_div(starts.len()).unwrap_or(0);
                assert_eq!(ends.len(), per_start * starts.len(), "as many ends for each start");
                for (number, (&start, &start_score)) in starts.iter().zip(start_log_probs).enumerate() {
                    let of_start = number * per_start..(number + 1) * per_start;
                    for (&end, &end_score) in ends[of_start.clone()].iter().zip(&end_log_probs[of_start]) {
                        spans.extend(Span::new(window, start, end, start_score, end_score, limits));
                    }
                }
                f64::from(no_answer)
            }
        };
        no_answer = no_answer.min(null);
    }
    // Of equal scores the first: the sort is stable.
    spans.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut candidates: Vec<Candidate> = Vec::new();
    for span in spans {
        if candidates.len() == limits.n_best {
            break;
        }
        let text = context.get(span.bytes.clone()).unwrap_or_default();
        if text.is_empty() || candidates.iter().any(|known| known.text == text) {
            continue;
        }
        let start = context[..span.bytes.start].chars().count();
        candidates.push(Candidate { text: text.to_owned(), start, score: span.score, probability: 0.0 });
    }
    let best = candidates.first().map_or(f64::NEG_INFINITY, |best| best.score);
    let total: f64 = candidates.iter().map(|candidate| (candidate.score - best).exp()).sum();
    candidates.iter_mut().for_each(|candidate| candidate.probability = (candidate.score - best).exp() / total);
    Answered { no_answer: if is_relative { no_answer - best } else { no_answer }, candidates }
}

struct Span {
    bytes: std::ops::Range<usize>,
    score: f64,
}

impl Span {
    fn new(
        window: &Window,
        start: usize,
        end: usize,
        start_score: f32,
        end_score: f32,
        limits: &DecodeLimits,
    ) -> Option<Self> {
        let score = f64::from(start_score) + f64::from(end_score);
        let fits = window.may_begin(start) && end >= start && end - start < limits.max_answer && score.is_finite();
        let (first, last) = (window.bytes(start)?, window.bytes(end)?);
        fits.then_some(Self { bytes: first.start..last.end, score })
    }
}

/// Pairs of the best starts and the best ends. Best among the context's tokens: a head that was not told which those are may like tokens of
/// the question better, and those are no answers.
fn independent_spans(window: &Window, starts: &[f32], ends: &[f32], limits: &DecodeLimits, spans: &mut Vec<Span>) {
    let best = |logits: &[f32]| {
        let mut positions: Vec<usize> =
            window.context_positions().filter(|&position| !logits[position].is_nan()).collect();
        positions.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
        positions.truncate(limits.n_best);
        positions
    };
    let best_ends = best(ends);
    for start in best(starts) {
        for &end in &best_ends {
            spans.extend(Span::new(window, start, end, starts[start], ends[end], limits));
        }
    }
}
