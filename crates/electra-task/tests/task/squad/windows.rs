//! Questions and contexts as windows of tokens.

use electra_task::squad::{Gold, SquadWindows, WindowLimits, squad_windows, windows_of};
use electra_task::{Answer, Example, Input, Target};

use super::tokenizer;

/// A letter is a token.
const CONTEXT: &str = "a b c d e f g h i j k l m n o p";

fn example(question: &str, context: &str, target: Target) -> Example {
    Example { id: "q".into(), input: Input::Pair(question.into(), context.into()), target }
}

fn answers(text: &str, start: usize) -> Target {
    Target::Answers(vec![Answer { text: text.into(), start }])
}

fn windows(context: &str, target: Target, limits: WindowLimits) -> SquadWindows {
    squad_windows(&[example("the chef", context, target)], &tokenizer(), &limits).expect("windows")
}

/// Room for 9 tokens of the context beside a question of 2.
const LIMITS: WindowLimits = WindowLimits { max_length: 14, stride: 4, max_query: 3 };

#[test]
fn a_long_context_is_read_in_windows_that_overlap() {
    let tokenizer = tokenizer();
    let made = windows(CONTEXT, Target::Unknown, LIMITS);
    let special = tokenizer.special();
    let ids = |text: &str| {
        [&[special.cls], &tokenizer.encode("the chef")[..], &[special.sep], &tokenizer.encode(text), &[special.sep]]
            .concat()
    };
    let found: Vec<&[u32]> = made.windows.iter().map(|window| window.ids.as_slice()).collect();
    assert_eq!(found, [ids("a b c d e f g h i"), ids("e f g h i j k l m"), ids("i j k l m n o p")]);
    assert!(made.windows.iter().all(|window| window.ids.len() <= 14 && window.context_position == 4));
    assert_eq!((made.windowed, made.cut_questions), (1, 0));
    // Each token begins answers in one window: the one that sees most around it.
    for (place, letter) in CONTEXT.char_indices().filter(|(_, letter)| *letter != ' ') {
        let of: Vec<usize> = made
            .windows
            .iter()
            .enumerate()
            .filter_map(|(number, window)| {
                let mut positions = window.context_positions();
                positions.find(|&at| window.bytes(at) == Some(place..place + 1) && window.may_begin(at)).map(|_| number)
            })
            .collect();
        let expected = match letter {
            'a'..='g' => 0,
            'h'..='k' => 1,
            _ => 2,
        };
        assert_eq!(of, [expected], "{letter}");
    }
}

#[test]
fn tokens_of_the_question_and_of_the_frame_come_from_no_byte_of_the_context() {
    let made = windows("Le CAFÉ (1895).", Target::Unknown, WindowLimits::default());
    let window = &made.windows[0];
    assert_eq!((window.bytes(0), window.bytes(2), window.bytes(window.ids.len() - 1)), (None, None, None));
    assert!(!window.may_begin(0) && !window.may_begin(window.ids.len() - 1) && !window.may_begin(9999));
    let texts: Vec<&str> = window.context_positions().map(|at| &"Le CAFÉ (1895)."[window.bytes(at).unwrap()]).collect();
    assert_eq!(&texts[..4], ["L", "e", "CAFÉ", "("]);
}

#[test]
fn an_answer_is_where_its_characters_are() {
    let context = "The chef ate the meal in the café (1895).";
    let part = |text: &str, start| {
        let made = windows(context, answers(text, start), WindowLimits::default());
        let window = &made.windows[0];
        let Gold::Here { start, end } = window.gold else { panic!("{:?}", window.gold) };
        context[window.bytes(start).unwrap().start..window.bytes(end).unwrap().end].to_owned()
    };
    assert_eq!(part("the meal", 13), "the meal");
    assert_eq!(part("café", 29), "café");
    assert_eq!(part("1895", 35), "1895", "without its brackets");
    assert_eq!(part(" chef ate ", 3), "chef ate", "blanks are no tokens");
    assert_eq!(part("caf", 29), "café", "a token is not divided");
    assert_eq!(part("the", 13), "the");
    assert_eq!(part("the", 3), "the", "looked for where it is not said to be");
}

#[test]
fn a_window_without_the_answer_points_to_cls() {
    // Tokens h i j: in the second window whole, in the first and the third in part.
    let made = windows(CONTEXT, answers("h i j", 14), LIMITS);
    let gold: Vec<Gold> = made.windows.iter().map(|window| window.gold).collect();
    assert_eq!(gold, [Gold::Elsewhere, Gold::Here { start: 7, end: 9 }, Gold::Elsewhere]);
    assert_eq!(gold[0].positions(), Some((0, 0)));
    assert!(!gold[0].is_impossible(), "the label is the question's");
    let none = windows(CONTEXT, Target::Answers(vec![]), LIMITS);
    assert!(none.windows.iter().all(|window| window.gold == Gold::Unanswerable && window.gold.is_impossible()));
    assert_eq!(Gold::Unanswerable.positions(), Some((0, 0)));
}

#[test]
fn a_question_whose_answer_is_nowhere_is_reported_and_not_trained_on() {
    for target in [answers("meals", 0), answers("", 0), answers(" ", 1)] {
        let made = windows(CONTEXT, target, LIMITS);
        assert_eq!(made.misplaced, [0]);
        assert!(made.windows.iter().all(|window| window.gold.positions().is_none()));
    }
    let made = windows(CONTEXT, Target::Unknown, LIMITS);
    assert!(made.misplaced.is_empty(), "a test set's answers are not misplaced");
    let two = Target::Answers(vec![Answer { text: "zz".into(), start: 0 }, Answer { text: "b".into(), start: 2 }]);
    assert_eq!(windows(CONTEXT, two, LIMITS).windows[0].gold, Gold::Here { start: 5, end: 5 });
}

#[test]
fn a_long_question_loses_its_end_and_never_takes_more_than_half_of_a_window() {
    let long = "a b c d e f g h i j";
    let made = squad_windows(&[example(long, CONTEXT, Target::Unknown)], &tokenizer(), &LIMITS).unwrap();
    assert_eq!((made.windows[0].context_position, made.cut_questions), (5, 1));
    let short = WindowLimits { max_length: 9, stride: 2, max_query: 64 };
    let made = squad_windows(&[example(long, CONTEXT, Target::Unknown)], &tokenizer(), &short).unwrap();
    assert!(made.windows.iter().all(|window| window.context_position == 5 && window.ids.len() <= 9));
}

#[test]
fn what_is_empty_still_has_a_window() {
    for (question, context, tokens) in [("", "a b", 5), ("a", "", 4), ("", " \n", 3)] {
        let made = windows_of(question, context, &tokenizer(), &LIMITS).unwrap();
        assert_eq!((made.len(), made[0].ids.len()), (1, tokens));
    }
}

#[test]
fn limits_without_room_are_refused() {
    let error = |limits| windows_of("a", "b", &tokenizer(), &limits).unwrap_err().to_string();
    let found = error(WindowLimits { max_length: 7, ..LIMITS });
    assert!(found.contains("windows of 7 tokens") && found.contains("at least 8"), "{found}");
    assert!(error(WindowLimits { stride: 0, ..LIMITS }).contains("stride of 0"));
    let text = Example { id: "x".into(), input: Input::Text("a".into()), target: Target::Unknown };
    let error = squad_windows(&[text], &tokenizer(), &LIMITS).unwrap_err().to_string();
    assert!(error.contains("example x: it is no pair"), "{error}");
}

#[test]
fn windows_of_an_example_lie_behind_each_other() {
    let examples = ["a", "b", "c"].map(|question| example(question, CONTEXT, Target::Unknown));
    let made = squad_windows(&examples, &tokenizer(), &LIMITS).unwrap();
    let found: Vec<(usize, usize)> = made.by_example().map(|windows| (windows[0].example, windows.len())).collect();
    assert_eq!(found, [(0, 3), (1, 3), (2, 3)]);
}
