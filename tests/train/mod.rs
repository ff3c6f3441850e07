//! Runs: what they learn, and that nothing is lost when they end early.

mod adapter;
mod diverge;
mod finetune;
mod learn;
mod nano;
mod objectives;
mod resume;
mod seams;
mod soak;
mod start;
