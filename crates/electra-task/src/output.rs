//! What a network says of features, to what it says of examples.

use crate::encode::{Encoded, Feature};
use crate::squad::{Answered, DecodeLimits, WindowOutput, answer};
use crate::{Example, Input, Kind, Prediction};

/// What a head says of one feature.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// A logit for each label, or the number.
    Logits(Vec<f32>),
    /// A logit for each label of each word, in the words' order.
    Words(Vec<Vec<f32>>),
    /// Logits of the answer's first and last token at each position.
    Span {
        /// `[tokens]`
        starts: Vec<f32>,
        /// `[tokens]`
        ends: Vec<f32>,
    },
    /// The joint head's likely starts, and for each of them likely ends.
    Beam {
        /// Positions, `[beam]`.
        starts: Vec<usize>,
        /// Their log-probabilities, `[beam]`.
        start_log_probs: Vec<f32>,
        /// Positions, `[beam * ends]`.
        ends: Vec<usize>,
        /// Their log-probabilities, `[beam * ends]`.
        end_log_probs: Vec<f32>,
        /// Logit of the question having no answer.
        no_answer: f32,
    },
}

/// One prediction for each of `examples`, of the outputs for its features. Of texts that were read in windows the mean of the logits counts.
///
/// # Panics
/// If there is not one output for each feature, or one is not of the kind.
pub fn predictions(kind: &Kind, examples: &[Example], encoded: &Encoded, outputs: &[Output]) -> Vec<Prediction> {
    assert_eq!(encoded.features.len(), outputs.len(), "one output for each feature");
    let mut first = 0;
    let of_example = |(number, example): (usize, &Example)| {
        let end = first + encoded.features[first..].iter().take_while(|feature| feature.example == number).count();
        let features = first..end;
        first = end;
        let outputs = &outputs[features.clone()];
        match kind {
            Kind::Classification { .. } => Prediction::most_probable(softmax(&mean(outputs))),
            Kind::Regression { scale } => Prediction::Value(f64::from(mean(outputs)[0]) * scale),
            Kind::MultiLabel { .. } => {
                Prediction::all_probable(mean(outputs).into_iter().map(|logit| 1.0 / (1.0 + (-logit).exp())).collect())
            }
            Kind::Tagging { .. } => tags(&encoded.features[features], outputs),
            Kind::QuestionAnswering { .. } => {
                let answered = answered(example, &encoded.windows[features], outputs);
                Prediction::Answer { text: answered.text().to_owned(), no_answer: answered.no_answer }
            }
        }
    };
    examples.iter().enumerate().map(of_example).collect()
}

/// Every answer to a question that the network thinks possible.
///
/// # Panics
/// If the example is no question, or an output not one of spans.
pub fn answered(example: &Example, windows: &[crate::squad::Window], outputs: &[Output]) -> Answered {
    let Input::Pair(_, context) = &example.input else { panic!("{:?} is no question", example.input) };
    let outputs: Vec<WindowOutput<'_>> = outputs.iter().map(window_output).collect();
    answer(context, windows, &outputs, &DecodeLimits::default())
}

fn window_output(output: &Output) -> WindowOutput<'_> {
    match output {
        Output::Span { starts, ends } => WindowOutput::Independent { starts, ends },
        Output::Beam { starts, start_log_probs, ends, end_log_probs, no_answer } => {
            WindowOutput::Beam { starts, start_log_probs, ends, end_log_probs, no_answer: *no_answer }
        }
        other => panic!("{other:?} is no part of a text"),
    }
}

fn mean(outputs: &[Output]) -> Vec<f32> {
    let logits = outputs.iter().map(|output| match output {
        Output::Logits(logits) => logits,
        other => panic!("{other:?} is not of a whole text"),
    });
    let mut sum: Vec<f64> = Vec::new();
    for logits in logits {
        sum.resize(logits.len(), 0.0);
        sum.iter_mut().zip(logits).for_each(|(sum, logit)| *sum += f64::from(*logit));
    }
    sum.into_iter().map(|sum| (sum / outputs.len() as f64) as f32).collect()
}

/// Probabilities of `logits`.
pub fn softmax(logits: &[f32]) -> Vec<f32> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exponentials: Vec<f64> = logits.iter().map(|logit| f64::from(logit - most).exp()).collect();
    let total: f64 = exponentials.iter().sum();
    exponentials.into_iter().map(|exponential| (exponential / total) as f32).collect()
}

fn tags(features: &[Feature], outputs: &[Output]) -> Prediction {
    let (mut labels, mut probabilities) = (Vec::new(), Vec::new());
    for (feature, output) in features.iter().zip(outputs) {
        let Output::Words(words) = output else { panic!("{output:?} is not of words") };
        assert_eq!(words.len(), feature.words.len(), "logits for each word");
        for logits in words {
            let Prediction::Class { label, probabilities: of_word } = Prediction::most_probable(softmax(logits)) else {
                unreachable!("it makes a class")
            };
            labels.push(label);
            probabilities.push(of_word[label]);
        }
    }
    Prediction::Tags { labels, probabilities }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Target;
    use crate::encode::Wanted;

    #[test]
    fn windows_of_a_text_are_averaged_and_texts_are_kept_apart() {
        let feature = |example| Feature {
            example,
            ids: vec![2, 3],
            start_of_b: 2,
            wanted: Wanted::Unknown,
            words: vec![],
            first_word: 0,
        };
        let example = || Example { id: String::new(), input: Input::Text(String::new()), target: Target::Unknown };
        let encoded = Encoded { features: [0, 0, 1].map(feature).to_vec(), ..Encoded::default() };
        let outputs = [[3.0, 0.0], [0.0, 1.0], [0.0, 2.0]].map(|logits| Output::Logits(logits.to_vec()));
        let kind = Kind::Classification { labels: vec!["a".into(), "b".into()] };
        let found = predictions(&kind, &[example(), example()], &encoded, &outputs);
        let labels: Vec<usize> = found
            .iter()
            .map(|prediction| match prediction {
                Prediction::Class { label, probabilities } => {
                    assert!((probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-6);
                    *label
                }
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(labels, [0, 1]);
        let numbers = predictions(&Kind::Regression { scale: 5.0 }, &[example(), example()], &encoded, &outputs);
        assert_eq!(numbers, [Prediction::Value(7.5), Prediction::Value(0.0)]);
    }
}
