//! Scores against those of the official scripts: tests/fixtures/squad, which make_fixtures.py there wrote.

use electra_task::Scores;
use electra_task::squad::{
    average_precisions, evaluate_1_1, evaluate_2_0, read_no_answer_scores, read_predictions, read_squad,
};
use serde_json::{Value, json};

fn cases(name: &str) -> Vec<Value> {
    let path = format!("{}/tests/fixtures/squad/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let root: Value = serde_json::from_slice(&std::fs::read(&path).expect("a fixture")).expect("JSON");
    root["cases"].as_array().expect("cases").clone()
}

fn bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

/// Every number of `expected`; percentages are sums of thousands of numbers at most.
fn assert_scores(found: &Scores, expected: &Value, case: usize) {
    for (name, expected) in expected.as_object().expect("scores") {
        let expected = expected.as_f64().expect("a number");
        let found = found.get(name).unwrap_or_else(|| panic!("case {case}: no {name}"));
        assert!((found - expected).abs() < 1e-9, "case {case}: {name} is {found}, not {expected}");
    }
}

#[test]
fn squad_1_1_scores_as_its_official_script() {
    let cases = cases("squad_1_1");
    assert!(cases.len() >= 5);
    for (number, case) in cases.iter().enumerate() {
        let (squad, _) = read_squad(&bytes(&json!({ "version": "1.1", "data": case["data"] })), "data").expect("SQuAD");
        let predictions = read_predictions(&bytes(&case["predictions"]), "predictions").expect("predictions");
        let found = evaluate_1_1(&squad, "data", &predictions).expect("scores");
        assert_scores(&found.scores, &case["scores"], number);
        assert_eq!(found.scores.primary().unwrap().0, "exact_match");
        let missing = squad.questions().filter(|(_, question)| case["predictions"].get(&question.id).is_none()).count();
        assert_eq!(found.missing.len(), missing);
    }
}

#[test]
fn squad_2_0_scores_as_its_official_script() {
    let cases = cases("squad_2_0");
    assert!(cases.len() >= 20);
    let mut with_precisions = 0;
    for (number, case) in cases.iter().enumerate() {
        let (squad, _) =
            read_squad(&bytes(&json!({ "version": "v2.0", "data": case["data"] })), "data").expect("SQuAD");
        let predictions = read_predictions(&bytes(&case["predictions"]), "predictions").expect("predictions");
        let no_answer = case["no_answer"]
            .is_object()
            .then(|| read_no_answer_scores(&bytes(&case["no_answer"]), "probabilities").expect("numbers"));
        let threshold = case["threshold"].as_f64().unwrap();
        let found = evaluate_2_0(&squad, "data", &predictions, no_answer.as_deref(), threshold).expect("scores");
        assert_scores(&found.scores, &case["scores"], number);
        if found.missing.is_empty() {
            let names: Vec<&str> = found.scores.iter().map(|(name, _)| name).collect();
            let expected: Vec<&String> = case["scores"].as_object().unwrap().keys().collect();
            assert_eq!(names, expected, "the script's keys, in its order");
        }
        let Some(no_answer) = no_answer else { continue };
        let precisions = average_precisions(&squad, "data", &predictions, &no_answer).expect("scores");
        let expected = case["precisions"].as_object().unwrap();
        assert_eq!(precisions.is_some(), !expected.is_empty(), "case {number}");
        if let Some(precisions) = precisions {
            assert_scores(&precisions, &case["precisions"], number);
            with_precisions += 1;
        }
    }
    assert!(with_precisions > 5);
}

#[test]
fn predictions_that_do_not_fit_their_file_are_refused() {
    let data = |answers: Value| {
        let question = json!({ "id": "q", "question": "?", "answers": answers });
        let file = json!({ "data": [{ "paragraphs": [{ "context": "c", "qas": [question] }] }] });
        read_squad(&bytes(&file), "dev.json").expect("SQuAD").0
    };
    let predictions = [("q".to_owned(), "c".to_owned())];
    let error = evaluate_1_1(&data(json!([])), "dev.json", &predictions).unwrap_err().to_string();
    assert!(error.contains("dev.json: question \"q\": it has no answer") && error.contains("2.0"), "{error}");

    let answered = data(json!([{ "text": "c", "answer_start": 0 }]));
    let nobody = [("other".to_owned(), "c".to_owned())];
    let error = evaluate_2_0(&answered, "dev.json", &nobody, None, 1.0).unwrap_err().to_string();
    assert!(error.contains("no prediction for any"), "{error}");
    let error = evaluate_2_0(&answered, "dev.json", &predictions, Some(&[]), 1.0).unwrap_err().to_string();
    assert!(error.contains("\"q\": there is no no-answer probability"), "{error}");
    assert_eq!(evaluate_1_1(&answered, "dev.json", &nobody).unwrap().missing, ["q"]);

    for (text, said) in
        [("[]", "malformed"), ("{\"q\": 1}", "id \"q\": the answer is no text"), ("{\"q\": \"a\"", "EOF")]
    {
        let error = read_predictions(text.as_bytes(), "p.json").unwrap_err().to_string();
        assert!(error.starts_with("p.json: ") && error.contains(said), "{error}");
    }
    let error = read_no_answer_scores(b"{\"q\": \"a\"}", "n.json").unwrap_err().to_string();
    assert!(error.contains("n.json: id \"q\": the value is no number"), "{error}");
}

#[test]
fn of_an_id_that_stands_twice_the_last_prediction_counts() {
    let found = read_predictions(b"\xef\xbb\xbf{\"q\": \"a\", \"r\": \"b\", \"q\": \"c\"}", "p.json").unwrap();
    let expected = [("q", "c"), ("r", "b")].map(|(id, text)| (id.to_owned(), text.to_owned()));
    assert_eq!(found, expected);
}
