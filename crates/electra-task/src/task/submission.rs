//! Predictions as GLUE's server takes them: a TSV of index and prediction for each set.

use super::{Answers, Label, Source, Split, Task};
use crate::{Prediction, Result, TaskError};

/// The text of one of `task`'s submission files, named [`Split::submission`]: `predictions` of `split`, in its order. Labels are written as
/// the official files have them, scores with three decimals and within their bounds.
///
/// # Errors
/// The task has no submissions, or a prediction is of another kind.
///
/// # Panics
/// If there is not one prediction for each example.
pub fn submission(task: &Task, split: &Split, predictions: &[Prediction]) -> Result<String> {
    assert_eq!(split.examples.len(), predictions.len(), "one prediction for each example");
    let Source::Sentences(sentences) = &task.source else {
        return Err(TaskError::unsuitable(
            task.title,
            "nobody takes submissions of it",
            "predict to JSON lines instead",
        ));
    };
    let mut text = "index\tprediction\n".to_owned();
    for (example, prediction) in split.examples.iter().zip(predictions) {
        let written = match (&sentences.answers, prediction) {
            (Answers::Labels(labels), Prediction::Class { label, .. }) => {
                labels.get(*label).map(|Label { written, .. }| (*written).to_owned())
            }
            (Answers::Score { least, most }, Prediction::Value(value)) if !value.is_nan() => {
                Some(format!("{:.3}", value.clamp(*least, *most)))
            }
            _ => None,
        };
        let Some(written) = written else {
            let reason = format!("{prediction:?} is no prediction of this task (example {})", example.id);
            return Err(TaskError::unsuitable(task.title, reason, "predict with a network fine-tuned for this task"));
        };
        text.push_str(&format!("{}\t{written}\n", example.id));
    }
    Ok(text)
}
