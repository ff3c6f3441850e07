//! The paper's classifier in the layers of `ElectraForSequenceClassification`, exactly.
//!
//! The paper reads labels from [CLS] by one dense layer, `transformers` by two with GELU between. Since
//! `gelu(x) - gelu(-x) = x` for every x, the first layer can hold the paper's rows twice, with both signs, and the second
//! subtract:
//!
//! ```text
//! dense = [W; -W; 0], [b; -b; 0]      out_proj = [I, -I, 0], 0      out_proj(gelu(dense(h))) = W h + b
//! ```
//!
//! So such a folder gives the paper's logits in `transformers` and anywhere else that knows the class, to rounding.

use electra_model::head::HeadStyle;

use super::{Architecture, Network};
use crate::host::HostTensor;

const DENSE: &str = "classifier.dense";
const OUT_PROJ: &str = "classifier.out_proj";

/// The four tensors of `ElectraForSequenceClassification`'s head that compute `weight h + bias`.
///
/// `weight`: `[labels, hidden]`, row-major; `bias`: `[labels]`. `None` where there are more labels than half of the hidden size: both
/// signs of a label need a row.
///
/// # Panics
/// If `weight` is not of `bias.len()` rows of `hidden`.
fn in_two_layers(weight: &[f32], bias: &[f32], hidden: usize) -> Option<[HostTensor; 4]> {
    let labels = bias.len();
    assert_eq!(weight.len(), labels * hidden, "{labels} labels of {hidden} weights are expected");
    if 2 * labels > hidden {
        return None;
    }
    let both = |values: &[f32], len: usize| {
        let mut both: Vec<f32> = values.iter().copied().chain(values.iter().map(|value| -value)).collect();
        both.resize(len, 0.0);
        both
    };
    let mut difference = vec![0.0; labels * hidden];
    for label in 0..labels {
        difference[label * hidden + label] = 1.0;
        difference[label * hidden + labels + label] = -1.0;
    }
    Some([
        HostTensor::new(format!("{DENSE}.weight"), [hidden, hidden], both(weight, hidden * hidden)),
        HostTensor::new(format!("{DENSE}.bias"), [hidden], both(bias, hidden)),
        HostTensor::new(format!("{OUT_PROJ}.weight"), [labels, hidden], difference),
        HostTensor::new(format!("{OUT_PROJ}.bias"), [labels], vec![0.0; labels]),
    ])
}

/// `network` as a class that `transformers` has, where it has the paper's classifier and not too many labels: the same logits, by other
/// tensors. Any other network stays as it is.
pub fn in_a_known_class(mut network: Network) -> Network {
    let Architecture::SequenceClassification { labels, style: HeadStyle::Paper } = network.architecture else {
        return network;
    };
    let of_head = |name: &str| network.tensors.iter().find(|tensor| tensor.name == name).map(|tensor| &*tensor.values);
    let (Some(weight), Some(bias)) = (of_head("classifier.weight"), of_head("classifier.bias")) else { return network };
    let Some(head) = in_two_layers(weight, bias, network.config.hidden_size) else { return network };
    network.tensors.retain(|tensor| !tensor.name.starts_with("classifier."));
    network.tensors.extend(head);
    network.architecture = Architecture::SequenceClassification { labels, style: HeadStyle::Hf };
    if let Some(task) = &mut network.task {
        task.head = HeadStyle::Hf;
    }
    network
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `erf` by its series, in f64.
    fn erf(x: f64) -> f64 {
        let (mut term, mut sum) = (x, x);
        for n in 1..200 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * 2.0 / std::f64::consts::PI.sqrt()
    }

    fn gelu(x: f64) -> f64 {
        x / 2.0 * (1.0 + erf(x / 2f64.sqrt()))
    }

    fn dense(x: &[f64], weight: &HostTensor, bias: &HostTensor) -> Vec<f64> {
        let row = |row: &[f32]| row.iter().zip(x).map(|(w, x)| f64::from(*w) * x).sum::<f64>();
        weight.values.chunks(x.len()).zip(&bias.values).map(|(weights, b)| row(weights) + f64::from(*b)).collect()
    }

    #[test]
    fn the_papers_head_is_said_exactly_in_two_layers() {
        let (labels, hidden) = (3, 7);
        let weight: Vec<f32> = (0..labels * hidden).map(|i| (i as f32 * 0.7).sin()).collect();
        let bias = vec![0.5, -1.25, 0.0];
        let head = in_two_layers(&weight, &bias, hidden).unwrap();
        let [first, first_bias, second, second_bias] = &head;
        let state: Vec<f64> = (0..hidden).map(|i| (i as f64 * 1.3).cos() * 2.0).collect();
        let inner: Vec<f64> = dense(&state, first, first_bias).into_iter().map(gelu).collect();
        let found = dense(&inner, second, second_bias);
        let paper = dense(
            &state,
            &HostTensor::new("w", [labels, hidden], weight.clone()),
            &HostTensor::new("b", [labels], bias.clone()),
        );
        for (found, paper) in found.iter().zip(&paper) {
            assert!((found - paper).abs() < 1e-12, "{found} {paper}");
        }
        assert_eq!(in_two_layers(&weight[..4], &bias[..2], 2), None, "both signs of two labels need four rows");
    }
}
