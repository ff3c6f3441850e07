//! SQuAD's JSON, whole and broken, and questions moved to other paragraphs.

use electra_task::squad::{Placed, place_answer, read_squad, with_questions_moved};
use electra_task::{Answer, Input, Target};
use serde_json::{Value, json};

fn file() -> Value {
    json!({ "version": "v2.0", "data": [
        { "title": "Food", "paragraphs": [
            { "context": "Le café: the chef ate.", "qas": [
                { "id": "right", "question": "Who?", "answers": [{ "text": "the chef", "answer_start": 9 }], "is_impossible": false },
                { "id": "elsewhere", "question": "Where?", "answers": [{ "text": "café", "answer_start": 9 }], "is_impossible": false },
                { "id": "nowhere", "question": "What?", "answers": [{ "text": "a meal", "answer_start": 3 }], "is_impossible": false },
            ] },
            { "context": "A meal.", "qas": [
                { "id": "none", "question": "Why?", "answers": [], "is_impossible": true, "plausible_answers": [{ "text": "A", "answer_start": 0 }] },
            ] },
        ] },
        { "paragraphs": [{ "context": "A test.", "qas": [{ "id": 7, "question": "Is it?" }] }] },
    ] })
}

#[test]
fn questions_come_with_their_contexts_and_what_was_amiss_is_counted() {
    let (squad, report) = read_squad(file().to_string().as_bytes(), "dev.json").unwrap();
    assert_eq!(squad.version.as_deref(), Some("v2.0"));
    assert!(squad.has_unanswerable());
    assert_eq!((report.questions, report.unanswerable, report.answers, report.repaired), (5, 1, 3, 1));
    assert_eq!(report.misplaced, ["nowhere"]);
    assert!(report.repeated.is_empty());

    let examples = squad.examples();
    assert_eq!(examples[0].input, Input::Pair("Who?".into(), "Le café: the chef ate.".into()));
    let answers = |text: &str, start| Target::Answers(vec![Answer { text: text.into(), start }]);
    assert_eq!(examples[1].target, answers("café", 3), "its start is counted in code points");
    assert_eq!(examples[2].target, answers("a meal", 3), "an answer that is nowhere still counts in evaluation");
    assert_eq!(examples[3].target, Target::Answers(vec![]));
    assert_eq!((examples[4].id.as_str(), &examples[4].target), ("7", &Target::Unknown));
}

#[test]
fn what_is_malformed_is_named_by_article_paragraph_and_question() {
    let broken = |pointer: &str, value: Value| {
        let mut file = file();
        *file.pointer_mut(pointer).expect("a place") = value;
        read_squad(file.to_string().as_bytes(), "dev.json").unwrap_err().to_string()
    };
    let question = "dev.json: article 1 (\"Food\"), paragraph 1, question 2 (id \"elsewhere\")";
    for (pointer, value, said) in [
        ("/data", json!(1), "dev.json: the file: \"data\" is no list".to_owned()),
        ("/data/0", json!([]), "dev.json: article 1: it is no JSON object".to_owned()),
        (
            "/data/0/paragraphs/1/context",
            json!(null),
            "article 1 (\"Food\"), paragraph 2: \"context\" is no text".to_owned(),
        ),
        ("/data/1/paragraphs/0/qas/0", json!({}), "article 2, paragraph 1, question 1: it has no \"id\"".to_owned()),
        ("/data/0/paragraphs/0/qas/1/question", json!(2), format!("{question}: \"question\" is no text")),
        ("/data/0/paragraphs/0/qas/1/is_impossible", json!("no"), format!("{question}: \"is_impossible\" is neither")),
        ("/data/0/paragraphs/0/qas/1/answers", json!({}), format!("{question}: \"answers\" is no list")),
        (
            "/data/0/paragraphs/0/qas/1/answers/0/text",
            json!(["x"]),
            format!("{question}, answer 1: \"text\" is no text"),
        ),
        (
            "/data/0/paragraphs/0/qas/1/answers/0/answer_start",
            json!(1.5),
            format!("{question}, answer 1: \"answer_start\""),
        ),
    ] {
        let error = broken(pointer, value);
        assert!(error.contains(&said), "{pointer}: {error}");
    }
    for (text, said) in [
        ("{\"data\": [", "malformed JSON: EOF"),
        ("[]", "the file: it is no JSON object"),
        ("{\"data\": []}", "no question"),
    ] {
        let error = read_squad(text.as_bytes(), "dev.json").unwrap_err().to_string();
        assert!(error.starts_with("dev.json: ") && error.contains(said), "{error}");
    }
}

#[test]
fn an_id_that_stands_twice_is_reported() {
    let mut file = file();
    file["data"][1]["paragraphs"][0]["qas"][0]["id"] = json!("right");
    let (_, report) = read_squad(file.to_string().as_bytes(), "dev.json").unwrap();
    assert_eq!(report.repeated, ["right"]);
}

#[test]
fn an_answer_start_beyond_all_bounds_is_looked_for_like_any_other() {
    let mut file = file();
    for start in [json!(-1), json!(u64::MAX), json!(null)] {
        file["data"][0]["paragraphs"][0]["qas"][0]["answers"][0]["answer_start"] = start;
        let (squad, report) = read_squad(file.to_string().as_bytes(), "dev.json").unwrap();
        let (context, question) = squad.questions().next().unwrap();
        assert_eq!(place_answer(context, &question.answers.as_ref().unwrap()[0]), Placed::AsSaid(10));
        assert_eq!(report.repaired, 2);
    }
}

/// Two articles of four paragraphs, each with three questions.
fn articles() -> Value {
    let question = |article: usize, paragraph: usize, number: usize| {
        let text = format!("answer{article}{paragraph}{number}");
        json!({ "id": format!("{article}-{paragraph}-{number}"), "question": format!("q{article}{paragraph}{number}"),
                "answers": [{ "text": text, "answer_start": 0 }] })
    };
    let paragraph = |article: usize, paragraph: usize| {
        let questions: Vec<Value> = (0..3).map(|number| question(article, paragraph, number)).collect();
        let texts: Vec<String> = (0..3).map(|number| format!("Answer{article}{paragraph}{number}")).collect();
        // The last paragraph of the first article answers the first one's questions, too, in another case.
        let more = if (article, paragraph) == (0, 3) { " ANSWER000 answer001 answer002" } else { "" };
        json!({ "context": format!("{}{more}", texts.join(" ").replace('A', "a")), "qas": questions })
    };
    let article = |number: usize| {
        let paragraphs: Vec<Value> = (0..4).map(|place| paragraph(number, place)).collect();
        json!({ "title": format!("T{number}"), "paragraphs": paragraphs })
    };
    json!({ "version": "1.1", "data": [article(0), article(1)] })
}

#[test]
fn a_moved_question_is_asked_of_a_paragraph_of_its_article_that_does_not_answer_it() {
    let (squad, _) = read_squad(articles().to_string().as_bytes(), "train.json").unwrap();
    let (moved, counts) = with_questions_moved(&squad, 1.0, 3);
    assert_eq!((counts.questions, counts.without_paragraph), (24, 0));
    assert_eq!(moved, with_questions_moved(&squad, 1.0, 3).0, "the same seed gives the same file");
    assert_ne!(moved, with_questions_moved(&squad, 1.0, 4).0);
    assert_eq!(moved.version.as_deref(), Some("v2.0"));
    let mut seen = 0;
    for (number, article) in moved.articles.iter().enumerate() {
        for paragraph in &article.paragraphs {
            for question in &paragraph.questions {
                let id = question.id.strip_suffix("_moved");
                assert_eq!(question.is_impossible, Some(id.is_some()));
                let Some(id) = id else { continue };
                seen += 1;
                assert!(id.starts_with(&format!("{number}-")), "of the same article");
                let (_, original) = squad.questions().find(|(_, question)| question.id == id).unwrap();
                assert_eq!((&question.text, question.answers.as_deref()), (&original.text, Some(&[][..])));
                let answer = &original.answers.as_ref().unwrap()[0].text;
                assert!(
                    !paragraph.context.to_lowercase().contains(answer.as_str()),
                    "{answer} in {}",
                    paragraph.context
                );
            }
        }
    }
    assert_eq!(seen, 24);
}

#[test]
fn a_share_of_questions_is_moved_and_the_rest_stays_as_it_was() {
    let (squad, _) = read_squad(articles().to_string().as_bytes(), "train.json").unwrap();
    assert_eq!(with_questions_moved(&squad, 0.0, 3).1.questions, 0);
    let half: u64 = (0..50).map(|seed| with_questions_moved(&squad, 0.5, seed).1.questions).sum();
    // 1,200 coins: a standard deviation is 17.
    assert!((500..700).contains(&half), "{half}");
    let alone = json!({ "data": [{ "paragraphs": [{ "context": "c", "qas": [
        { "id": "q", "question": "?", "answers": [{ "text": "c", "answer_start": 0 }] }] }] }] });
    let (squad, _) = read_squad(alone.to_string().as_bytes(), "train.json").unwrap();
    let (moved, counts) = with_questions_moved(&squad, 1.0, 3);
    assert_eq!((counts.questions, counts.without_paragraph), (0, 1));
    assert_eq!(moved.examples().len(), 1);
}
