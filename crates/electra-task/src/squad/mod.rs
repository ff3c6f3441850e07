//! SQuAD 1.1 and 2.0: files to questions, questions to windows of tokens, what a head says of windows to answers, answers to scores.
//!
//! Rajpurkar et al. 2016 and 2018. Windows and answers follow google-research/electra, finetune/qa; scores are the official scripts'.

mod decode;
mod evaluate;
mod read;
mod unanswerable;
mod windows;

pub use decode::{Answered, Candidate, DecodeLimits, WindowOutput, answer};
pub use evaluate::{
    Evaluation, average_precisions, evaluate_1_1, evaluate_2_0, read_no_answer_scores, read_predictions,
};
pub use read::{Article, Paragraph, Placed, Question, ReadReport, Squad, place_answer, read_squad};
pub use unanswerable::{Moved, with_questions_moved};
pub use windows::{ContextTokens, Gold, SquadWindows, Window, WindowLimits, squad_windows, windows_of};
