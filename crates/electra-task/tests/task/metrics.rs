//! Metrics against the numbers of tests/fixtures/metrics, which make_fixtures.py there wrote.

use electra_task::metric::{
    Rates, TagScheme, Tally, accuracy, calibration, confusion_matrix, entity_scores, f1_binary, macro_average,
    matthews, mean_squared_error, micro_average, pearson, per_class, per_label, roc_auc, spearman, subset_accuracy,
    weighted_average,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Both sides compute in f64; sums of some dozens of numbers in another order differ by a few of its last bits.
const TOLERANCE: f64 = 1e-12;

fn cases(name: &str) -> Vec<Value> {
    let path = format!("{}/tests/fixtures/metrics/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let root: Value = serde_json::from_slice(&text).expect("JSON");
    let cases = root["cases"].as_array().expect("cases").clone();
    assert!(cases.len() > 3, "{path} has {} cases", cases.len());
    cases
}

fn get<T: DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{value}: {error}"))
}

/// Null stands for NaN.
fn close(found: f64, expected: &Value, what: &str, case: &Value) {
    let same = match expected.as_f64() {
        Some(expected) => (found - expected).abs() <= TOLERANCE,
        None => expected.is_null() && found.is_nan(),
    };
    assert!(same, "{what} of {}: {found}, not {expected}", case["name"]);
}

fn close_rates(found: Rates, expected: &Value, what: &str, case: &Value) {
    assert!(expected.is_object(), "{what} of {} is not in the fixture", case["name"]);
    close(found.precision, &expected["precision"], what, case);
    close(found.recall, &expected["recall"], what, case);
    close(found.f1, &expected["f1"], what, case);
}

/// `expected`: a list for each of precision, recall, F1 and support.
fn close_tallies(found: &[Tally], expected: &Value, case: &Value) {
    assert_eq!(expected["f1"].as_array().expect("a list").len(), found.len(), "{}", case["name"]);
    for (number, tally) in found.iter().enumerate() {
        let one = serde_json::json!({
            "precision": expected["precision"][number], "recall": expected["recall"][number], "f1": expected["f1"][number]
        });
        close_rates(tally.rates(), &one, &format!("class {number}"), case);
        assert_eq!(
            expected["support"][number].as_f64(),
            Some(tally.support as f64),
            "support of class {number} of {}",
            case["name"]
        );
    }
}

#[test]
fn classes_score_as_in_scikit_learn() {
    for case in cases("classification") {
        let (right, predicted): (Vec<usize>, Vec<usize>) = (get(&case["right"]), get(&case["predicted"]));
        let labels: usize = get(&case["labels"]);
        close(accuracy(&right, &predicted), &case["accuracy"], "accuracy", &case);
        assert_eq!(confusion_matrix(&right, &predicted, labels), get::<Vec<Vec<u64>>>(&case["confusion"]));
        let tallies = per_class(&right, &predicted, labels);
        close_tallies(&tallies, &case["per_class"], &case);
        let occurring: Vec<Tally> = tallies.into_iter().filter(|tally| tally.occurs()).collect();
        close_rates(micro_average(&occurring), &case["micro"], "micro", &case);
        close_rates(macro_average(&occurring), &case["macro"], "macro", &case);
        close_rates(weighted_average(&occurring), &case["weighted"], "weighted", &case);
        if labels == 2 {
            close(f1_binary(&right, &predicted, 1), &case["f1_binary"], "F1 of class 1", &case);
        }
        close(matthews(&right, &predicted), &case["matthews"], "Matthews", &case);
    }
}

#[test]
fn numbers_correlate_as_in_scipy() {
    for case in cases("correlation") {
        let (right, predicted): (Vec<f64>, Vec<f64>) = (get(&case["right"]), get(&case["predicted"]));
        close(pearson(&right, &predicted), &case["pearson"], "Pearson", &case);
        close(spearman(&right, &predicted), &case["spearman"], "Spearman", &case);
        let (found, expected) = (mean_squared_error(&right, &predicted), get::<f64>(&case["mean_squared_error"]));
        assert!((found - expected).abs() <= TOLERANCE * expected.max(1.0), "{found}, not {expected}");
    }
}

#[test]
fn many_labels_score_as_in_scikit_learn() {
    for case in cases("labels") {
        let (right, predicted): (Vec<Vec<usize>>, Vec<Vec<usize>>) = (get(&case["right"]), get(&case["predicted"]));
        close(subset_accuracy(&right, &predicted), &case["subset_accuracy"], "subset accuracy", &case);
        let tallies = per_label(&right, &predicted, get(&case["labels"]));
        close_tallies(&tallies, &case["per_label"], &case);
        close_rates(micro_average(&tallies), &case["micro"], "micro", &case);
        close_rates(macro_average(&tallies), &case["macro"], "macro", &case);
        close_rates(weighted_average(&tallies), &case["weighted"], "weighted", &case);
    }
}

#[test]
fn scores_rank_as_in_scikit_learn() {
    for case in cases("ranking") {
        let found = roc_auc(&get::<Vec<f64>>(&case["scores"]), &get::<Vec<bool>>(&case["positive"]));
        close(found, &case["roc_auc"], "area", &case);
    }
}

#[test]
fn calibration_is_that_of_its_formula() {
    for case in cases("calibration") {
        let (confidences, right): (Vec<f64>, Vec<bool>) = (get(&case["confidences"]), get(&case["right"]));
        let found = calibration(&confidences, &right, get(&case["bins"]));
        close(found.expected_error, &case["error"], "error", &case);
        assert_eq!(found.bins.len(), case["table"].as_array().unwrap().len());
        for (bin, expected) in found.bins.iter().zip(case["table"].as_array().unwrap()) {
            assert_eq!(expected["count"], bin.count, "{}: above {}", case["name"], bin.from);
            close(bin.confidence, &expected["confidence"], "confidence", &case);
            close(bin.accuracy, &expected["accuracy"], "accuracy", &case);
        }
    }
}

#[test]
fn entities_score_as_in_seqeval() {
    for case in cases("entities") {
        let (right, predicted): (Vec<Vec<String>>, Vec<Vec<String>>) = (get(&case["right"]), get(&case["predicted"]));
        let scheme = match case["scheme"].as_str().unwrap() {
            "iob2" => TagScheme::StrictIob2,
            "iobes" => TagScheme::StrictIobes,
            _ => TagScheme::Lenient,
        };
        let found = entity_scores(&right, &predicted, scheme).expect("known tags");
        let (types, tallies): (Vec<String>, Vec<Tally>) = found.types.iter().cloned().unzip();
        assert_eq!(types, get::<Vec<String>>(&case["types"]), "{} {}", case["scheme"], case["name"]);
        close_tallies(&tallies, &case["per_type"], &case);
        close_rates(found.micro(), &case["micro"], "micro", &case);
        close_rates(found.weighted(), &case["weighted"], "weighted", &case);
        if types.is_empty() {
            assert!(found.macro_mean().f1.is_nan());
        } else {
            close_rates(found.macro_mean(), &case["macro"], "macro", &case);
        }
    }
}
