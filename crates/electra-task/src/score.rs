//! Predictions to scores, by the names that a task asks for.

use std::collections::HashSet;

use crate::metric::{
    TagScheme, accuracy, entity_scores, f1_binary, macro_average, matthews, mean_squared_error, micro_average, pearson,
    per_class, per_label, spearman, subset_accuracy, weighted_average,
};
use crate::squad::{Article, Paragraph, Question, Squad, evaluate_1_1, evaluate_2_0};
use crate::{Example, Input, Kind, Prediction, Result, Scores, Target};

/// The scores called `metrics`, in that order, of one prediction for each of `examples`; examples without a target are left out. Those of
/// questions are in percent, as SQuAD's scripts give them; all others are what their definitions say.
///
/// # Errors
/// Tags that are none.
///
/// # Panics
/// If there is not one prediction for each example, one is not of the kind, or a metric is not of the kind.
pub fn score(kind: &Kind, metrics: &[&str], examples: &[Example], predictions: &[Prediction]) -> Result<Scores> {
    assert_eq!(examples.len(), predictions.len(), "one prediction for each example");
    let known: Vec<(&Example, &Prediction)> =
        examples.iter().zip(predictions).filter(|(example, _)| example.target != Target::Unknown).collect();
    match kind {
        Kind::Classification { labels } => {
            let right: Vec<usize> = known.iter().map(|(example, _)| class_of(&example.target)).collect();
            let predicted: Vec<usize> = known.iter().map(|(_, prediction)| label_of(prediction)).collect();
            let tallies = || {
                let all = per_class(&right, &predicted, labels.len());
                all.into_iter().filter(|tally| tally.occurs()).collect::<Vec<_>>()
            };
            Ok(named(metrics, |name| match name {
                "accuracy" => accuracy(&right, &predicted),
                "matthews" => matthews(&right, &predicted),
                "f1" => f1_binary(&right, &predicted, 1),
                "macro_f1" => macro_average(&tallies()).f1,
                "weighted_f1" => weighted_average(&tallies()).f1,
                other => panic!("{other} is no metric of classes"),
            }))
        }
        Kind::Regression { .. } => {
            let right: Vec<f64> = known.iter().map(|(example, _)| value_of(&example.target)).collect();
            let predicted: Vec<f64> = known.iter().map(|(_, prediction)| predicted_value(prediction)).collect();
            Ok(named(metrics, |name| match name {
                "pearson" => pearson(&right, &predicted),
                "spearman" => spearman(&right, &predicted),
                "mean_squared_error" => mean_squared_error(&right, &predicted),
                other => panic!("{other} is no metric of numbers"),
            }))
        }
        Kind::MultiLabel { labels } => {
            let right: Vec<Vec<usize>> = known.iter().map(|(example, _)| classes_of(&example.target)).collect();
            let predicted: Vec<Vec<usize>> = known.iter().map(|(_, prediction)| labels_of(prediction)).collect();
            let tallies = || per_label(&right, &predicted, labels.len());
            Ok(named(metrics, |name| match name {
                "subset_accuracy" => subset_accuracy(&right, &predicted),
                "micro_f1" => micro_average(&tallies()).f1,
                "macro_f1" => macro_average(&tallies()).f1,
                other => panic!("{other} is no metric of sets of labels"),
            }))
        }
        Kind::Tagging { labels } => {
            let names = |tags: &[usize]| tags.iter().map(|tag| labels[*tag].as_str()).collect::<Vec<_>>();
            let right: Vec<Vec<&str>> = known.iter().map(|(example, _)| names(tags_of(&example.target))).collect();
            let predicted: Vec<Vec<&str>> =
                known.iter().map(|(_, prediction)| names(predicted_tags(prediction))).collect();
            let all = |tags: &[Vec<&str>]| tags.iter().flatten().map(|tag| number_of(labels, tag)).collect::<Vec<_>>();
            // Labels that are no entities (parts of speech) are compared word by word alone.
            let has_entities = labels.iter().any(|label| label.contains('-'));
            let entities = if has_entities {
                entity_scores(&right, &predicted, TagScheme::default())?.micro()
            } else {
                micro_average(&per_class(&all(&right), &all(&predicted), labels.len()))
            };
            Ok(named(metrics, |name| match name {
                "f1" => entities.f1,
                "precision" => entities.precision,
                "recall" => entities.recall,
                "accuracy" => accuracy(&all(&right), &all(&predicted)),
                other => panic!("{other} is no metric of tags"),
            }))
        }
        Kind::QuestionAnswering { unanswerable } => questions(*unanswerable, metrics, &known),
    }
}

fn questions(unanswerable: bool, metrics: &[&str], known: &[(&Example, &Prediction)]) -> Result<Scores> {
    let squad = squad_of(known.iter().map(|(example, _)| *example), unanswerable);
    let mut answers = Vec::with_capacity(known.len());
    let mut no_answer = Vec::with_capacity(known.len());
    for (example, prediction) in known {
        let Prediction::Answer { text, no_answer: score } = prediction else { panic!("{prediction:?} is no answer") };
        answers.push((example.id.clone(), text.clone()));
        no_answer.push((example.id.clone(), *score));
    }
    if known.is_empty() {
        return Ok(named(metrics, |_| f64::NAN));
    }
    let found = if unanswerable {
        // The threshold is one of the set itself, as the original's is ("no-answer threshold from dev").
        evaluate_2_0(&squad, "the questions", &answers, Some(&no_answer), f64::INFINITY)?.scores
    } else {
        evaluate_1_1(&squad, "the questions", &answers)?.scores
    };
    let of = |name: &str| found.get(name).unwrap_or(f64::NAN);
    let mut scores = named(metrics, |name| match (name, unanswerable) {
        ("f1", true) => of("best_f1"),
        ("exact_match", true) => of("best_exact"),
        (name, _) => of(name),
    });
    if unanswerable {
        for name in ["HasAns_exact", "HasAns_f1", "NoAns_exact", "best_exact_thresh", "best_f1_thresh"] {
            scores = scores.with(name, of(name));
        }
        let impossible: Vec<bool> =
            known.iter().map(|(example, _)| example.target == Target::Answers(vec![])).collect();
        let speaks: Vec<f64> = no_answer.iter().map(|(_, score)| *score).collect();
        scores = scores.with("answerability_auc", crate::metric::roc_auc(&speaks, &impossible));
    }
    Ok(scores)
}

/// Examples as a file of SQuAD has them, each question with a paragraph of its own.
fn squad_of<'a>(examples: impl Iterator<Item = &'a Example>, unanswerable: bool) -> Squad {
    let mut seen = HashSet::new();
    let paragraph = |example: &'a Example| {
        let (Input::Pair(question, context), Target::Answers(answers)) = (&example.input, &example.target) else {
            panic!("{example:?} is no question");
        };
        let question = Question {
            id: example.id.clone(),
            text: question.clone(),
            answers: Some(answers.clone()),
            is_impossible: unanswerable.then_some(answers.is_empty()),
        };
        Paragraph { context: context.clone(), questions: vec![question] }
    };
    // Of an id that stands there twice the script sees one.
    let paragraphs = examples.filter(|example| seen.insert(example.id.as_str())).map(paragraph).collect();
    Squad { version: None, articles: vec![Article { title: String::new(), paragraphs }] }
}

fn named(metrics: &[&str], value: impl Fn(&str) -> f64) -> Scores {
    metrics.iter().fold(Scores::default(), |scores, name| scores.with(*name, value(name)))
}

fn number_of(labels: &[String], label: &str) -> usize {
    labels.iter().position(|known| known == label).expect("it is one of them")
}

fn class_of(target: &Target) -> usize {
    let Target::Class(label) = target else { panic!("{target:?} is no class") };
    *label
}

fn value_of(target: &Target) -> f64 {
    let Target::Value(value) = target else { panic!("{target:?} is no number") };
    *value
}

fn classes_of(target: &Target) -> Vec<usize> {
    let Target::Classes(labels) = target else { panic!("{target:?} is no set of labels") };
    labels.clone()
}

fn tags_of(target: &Target) -> &[usize] {
    let Target::Tags(tags) = target else { panic!("{target:?} are no tags") };
    tags
}

fn label_of(prediction: &Prediction) -> usize {
    let Prediction::Class { label, .. } = prediction else { panic!("{prediction:?} is no class") };
    *label
}

fn predicted_value(prediction: &Prediction) -> f64 {
    let Prediction::Value(value) = prediction else { panic!("{prediction:?} is no number") };
    *value
}

fn labels_of(prediction: &Prediction) -> Vec<usize> {
    let Prediction::Classes { labels, .. } = prediction else { panic!("{prediction:?} is no set of labels") };
    labels.clone()
}

fn predicted_tags(prediction: &Prediction) -> &[usize] {
    let Prediction::Tags { labels, .. } = prediction else { panic!("{prediction:?} are no tags") };
    labels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Answer;

    #[test]
    fn examples_without_a_target_are_left_out() {
        let example = |target| Example { id: String::new(), input: Input::Text("a".into()), target };
        let examples = [Target::Class(1), Target::Unknown, Target::Class(0)].map(example);
        let predictions = [1, 0, 1].map(|label| Prediction::Class { label, probabilities: vec![] });
        let kind = Kind::Classification { labels: vec!["a".into(), "b".into()] };
        let scores = score(&kind, &["accuracy", "f1"], &examples, &predictions).unwrap();
        assert_eq!(scores.primary(), Some(("accuracy", 0.5)));
        assert!((scores.get("f1").unwrap() - 2.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn questions_are_scored_as_the_scripts_do() {
        let question = |id: &str, answers: &[&str]| Example {
            id: id.to_owned(),
            input: Input::Pair("who?".into(), "the chef ate the meal".into()),
            target: Target::Answers(answers.iter().map(|text| Answer { text: (*text).into(), start: 4 }).collect()),
        };
        let answer = |text: &str, no_answer| Prediction::Answer { text: text.to_owned(), no_answer };
        let examples = [question("1", &["chef"]), question("2", &["chef ate"])];
        let predictions = [answer("The Chef!", 0.0), answer("chef", 0.0)];
        let kind = Kind::QuestionAnswering { unanswerable: false };
        let scores = score(&kind, &["exact_match", "f1"], &examples, &predictions).unwrap();
        assert_eq!(scores.get("exact_match"), Some(50.0));
        assert!((scores.get("f1").unwrap() - (100.0 + 200.0 / 3.0) / 2.0).abs() < 1e-9);

        let examples = [question("1", &["chef"]), question("2", &[])];
        let predictions = [answer("chef", 0.1), answer("meal", 0.9)];
        let kind = Kind::QuestionAnswering { unanswerable: true };
        let scores = score(&kind, &["f1", "exact_match"], &examples, &predictions).unwrap();
        assert_eq!((scores.get("f1"), scores.get("answerability_auc")), (Some(100.0), Some(1.0)));
        assert_eq!(scores.get("best_f1_thresh"), Some(0.1));
    }

    #[test]
    fn tags_without_entities_are_compared_word_by_word() {
        let example = |tags: &[usize]| Example {
            id: String::new(),
            input: Input::Words(vec!["a".into(); tags.len()]),
            target: Target::Tags(tags.to_vec()),
        };
        let prediction = |tags: &[usize]| Prediction::Tags { labels: tags.to_vec(), probabilities: vec![] };
        let words = Kind::Tagging { labels: ["NOUN", "VERB"].map(String::from).to_vec() };
        let found =
            score(&words, &["f1", "accuracy"], &[example(&[0, 1, 0, 0])], &[prediction(&[0, 1, 1, 0])]).unwrap();
        assert_eq!((found.get("f1"), found.get("accuracy")), (Some(0.75), Some(0.75)));
        let entities = Kind::Tagging { labels: ["O", "B-X", "I-X"].map(String::from).to_vec() };
        let found = score(&entities, &["f1"], &[example(&[1, 2, 0, 1])], &[prediction(&[1, 0, 0, 1])]).unwrap();
        assert_eq!(found.get("f1"), Some(0.5));
    }
}
