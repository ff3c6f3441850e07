//! Logits of windows to answers.

use electra_task::squad::{DecodeLimits, Window, WindowLimits, WindowOutput, answer, windows_of};

use super::tokenizer;

/// `[CLS] the chef [SEP]` and from position 4 on: a b c d e f g h i. A second window has e to m, a third i to p.
const CONTEXT: &str = "a b c d e f g h i j k l m n o p";

fn windows(context: &str) -> Vec<Window> {
    windows_of("the chef", context, &tokenizer(), &WindowLimits { max_length: 14, stride: 4, max_query: 3 }).unwrap()
}

/// Zeros but for some positions.
fn logits(of: &[(usize, f32)]) -> Vec<f32> {
    let mut logits = vec![0.0; 14];
    of.iter().for_each(|&(position, logit)| logits[position] = logit);
    logits
}

fn texts(found: &electra_task::squad::Answered) -> Vec<&str> {
    found.candidates.iter().map(|candidate| candidate.text.as_str()).collect()
}

#[test]
fn the_best_pair_of_all_windows_is_the_answer_as_it_stands_in_the_context() {
    let windows = windows("a b  c d e f g h i j k l m n o p");
    let starts = [logits(&[(5, 3.0)]), logits(&[(8, 5.0)]), logits(&[])];
    let ends = [logits(&[(6, 3.0)]), logits(&[(9, 2.0), (8, 1.5)]), logits(&[])];
    let outputs: Vec<WindowOutput<'_>> =
        starts.iter().zip(&ends).map(|(starts, ends)| WindowOutput::Independent { starts, ends }).collect();
    let found = answer("a b  c d e f g h i j k l m n o p", &windows, &outputs, &DecodeLimits::default());
    assert_eq!(&texts(&found)[..3], ["i j", "i", "b  c"], "blanks are kept");
    assert_eq!((found.text(), found.candidates[0].start, found.candidates[0].score), ("i j", 17, 7.0));
    assert_eq!(found.candidates.len(), 20);
    let total: f64 = found.candidates.iter().map(|candidate| candidate.probability).sum();
    assert!((total - 1.0).abs() < 1e-12);
    let ratio = found.candidates[1].probability / found.candidates[0].probability;
    assert!((ratio - (-0.5f64).exp()).abs() < 1e-12);
    assert_eq!(found.no_answer, -7.0, "the best answer stands 7 above [CLS]");
    assert_eq!((found.text_unless(-8.0), found.text_unless(-6.0)), ("", "i j"));
}

#[test]
fn what_is_no_answer_is_never_one() {
    let windows = windows(CONTEXT);
    // At [CLS] and in the question, ends before begins, where another window sees more, at the last [SEP], and behind the end.
    let starts = [
        logits(&[(0, 90.0), (1, 90.0), (12, 80.0), (6, 50.0)]),
        logits(&[(4, 70.0), (13, 60.0)]),
        logits(&[(12, 60.0), (13, 60.0)]),
    ];
    let ends = [logits(&[(2, 90.0), (5, 50.0)]), logits(&[(13, 60.0)]), logits(&[(12, 60.0), (13, 60.0)])];
    let outputs: Vec<WindowOutput<'_>> =
        starts.iter().zip(&ends).map(|(starts, ends)| WindowOutput::Independent { starts, ends }).collect();
    let found = answer(CONTEXT, &windows, &outputs, &DecodeLimits { n_best: 20, max_answer: 2 });
    assert!(texts(&found)[0].starts_with('c'), "{:?}", texts(&found));
    assert!(found.candidates.iter().all(|candidate| candidate.text.len() <= 3), "two tokens at most");
}

#[test]
fn a_beam_has_ends_of_its_own_for_each_start() {
    let windows = windows("a b c d");
    assert_eq!(windows.len(), 1);
    let output = WindowOutput::Beam {
        starts: &[5, 4, 0],
        start_log_probs: &[-0.1, -1.0, -2.0],
        ends: &[4, 5, 6, 4, 0, 0],
        end_log_probs: &[-0.1, -3.0, -0.2, -0.3, 0.0, 0.0],
        no_answer: 1.5,
    };
    let found = answer("a b c d", &windows, &[output], &DecodeLimits::default());
    assert_eq!(texts(&found), ["a b c", "a", "b"], "an end before its start is no answer");
    assert!((found.candidates[0].score - -1.2).abs() < 1e-6);
    assert_eq!(found.no_answer, 1.5, "the head's own logit, not relative to an answer");
    assert_eq!(found.text_unless(0.0), "");
}

#[test]
fn the_window_that_is_surest_of_an_answer_speaks_for_it() {
    let windows = windows(CONTEXT);
    let output =
        |no_answer| WindowOutput::Beam { starts: &[], start_log_probs: &[], ends: &[], end_log_probs: &[], no_answer };
    let found = answer(CONTEXT, &windows, &[output(2.0), output(-1.0), output(3.0)], &DecodeLimits::default());
    assert_eq!((found.no_answer, found.text(), found.candidates.len()), (-1.0, "", 0));
}

#[test]
fn a_text_is_a_candidate_once() {
    let windows = windows("a a a a");
    let (starts, ends) = (logits(&[]), logits(&[]));
    let output = WindowOutput::Independent { starts: &starts, ends: &ends };
    let found = answer("a a a a", &windows, &[output], &DecodeLimits::default());
    assert_eq!(texts(&found), ["a", "a a", "a a a", "a a a a"]);
}

#[test]
fn logits_that_are_no_numbers_and_empty_contexts_give_no_answer() {
    for context in ["a b", ""] {
        let windows = windows(context);
        let logits = vec![f32::NAN; 14];
        let output = WindowOutput::Independent { starts: &logits, ends: &logits };
        let found = answer(context, &windows, &[output], &DecodeLimits::default());
        assert_eq!((found.text(), found.candidates.len()), ("", 0));
    }
}

#[test]
#[should_panic(expected = "one output for each window")]
fn a_window_without_its_output_is_a_mistake_of_the_caller() {
    answer(CONTEXT, &windows(CONTEXT), &[], &DecodeLimits::default());
}
