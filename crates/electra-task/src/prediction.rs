//! What was said of one example: what a network, a baseline or somebody else's file predicts, in the form that metrics take.

/// One example's prediction; it answers the [`Target`](crate::Target) of the same form. Probabilities are empty where nobody has given
/// any: metrics go by the labels, and only calibration needs the rest.
#[derive(Debug, Clone, PartialEq)]
pub enum Prediction {
    /// One label.
    Class {
        /// Its number.
        label: usize,
        /// Of every label, in their order, summing to 1; or empty.
        probabilities: Vec<f32>,
    },
    /// A number as the file has them, not scaled.
    Value(f64),
    /// Any number of labels.
    Classes {
        /// Their numbers, ascending.
        labels: Vec<usize>,
        /// Of every label by itself, in their order; or empty.
        probabilities: Vec<f32>,
    },
    /// A label for each word.
    Tags {
        /// Each word's.
        labels: Vec<usize>,
        /// Of each word's label; or empty.
        probabilities: Vec<f32>,
    },
    /// A part of a context.
    Answer {
        /// As it stands in the context; empty: the question has no answer.
        text: String,
        /// How much speaks for there being no answer, more for more: a probability, or any score that orders questions so.
        no_answer: f64,
    },
}

impl Prediction {
    /// The most probable label; of equal ones the first, as NumPy's argmax has it.
    pub fn most_probable(probabilities: Vec<f32>) -> Self {
        let mut label = 0;
        for (number, probability) in probabilities.iter().enumerate() {
            if *probability > probabilities[label] {
                label = number;
            }
        }
        Self::Class { label, probabilities }
    }

    /// Every label more probable than one half.
    pub fn all_probable(probabilities: Vec<f32>) -> Self {
        let labels = probabilities.iter().enumerate().filter(|(_, p)| **p > 0.5).map(|(number, _)| number).collect();
        Self::Classes { labels, probabilities }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equally_probable_labels_is_predicted() {
        let Prediction::Class { label, .. } = Prediction::most_probable(vec![0.2, 0.4, 0.4]) else { panic!() };
        assert_eq!(label, 1);
    }

    #[test]
    fn any_number_of_labels_may_be_more_probable_than_not() {
        for (probabilities, expected) in [(vec![0.9, 0.5, 0.6], vec![0, 2]), (vec![0.1], vec![])] {
            let Prediction::Classes { labels, .. } = Prediction::all_probable(probabilities) else { panic!() };
            assert_eq!(labels, expected);
        }
    }
}
