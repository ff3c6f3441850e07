//! Heads: what is read from the last hidden states.

use crate::encoder::{Hidden, WORDS};
use crate::graph::{GraphBuilder, Value};
use crate::proto::{int, ints};
use crate::{OnnxError, Precision};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Head {
    None,
    PreTraining,
    MaskedLm,
    CausalLm,
    SequenceClassification,
    TokenClassification,
    QuestionAnswering,
}

impl Head {
    /// That of a class of `transformers`.
    pub(crate) fn of(class: &str) -> Result<Self, OnnxError> {
        Ok(match class {
            "ElectraModel" => Self::None,
            "ElectraForPreTraining" => Self::PreTraining,
            "ElectraForMaskedLM" => Self::MaskedLm,
            "ElectraForCausalLM" => Self::CausalLm,
            "ElectraForSequenceClassification" => Self::SequenceClassification,
            "ElectraForTokenClassification" => Self::TokenClassification,
            "ElectraForQuestionAnswering" => Self::QuestionAnswering,
            _ => return Err(OnnxError::Class { class: class.to_owned() }),
        })
    }
}

/// Writes the head and the outputs.
pub(crate) fn write(graph: &mut GraphBuilder<'_>, head: Head, hidden: Hidden) -> Result<(), OnnxError> {
    let states = &hidden.states;
    let (batch, sequence) = ("batch".into(), "sequence".into());
    match head {
        Head::None => graph.output("last_hidden_state", &[batch, sequence, hidden.width.into()]),
        Head::PreTraining => {
            let (x, _) = graph.dense(states, "discriminator_predictions.dense")?;
            let x = graph.gelu(&x);
            let (x, _) = graph.dense_f32(&x, "discriminator_predictions.dense_prediction")?;
            let axis = graph.integers(&[-1]);
            graph.node("Squeeze", &[&x, &axis], vec![]);
            graph.output("logits", &[batch, sequence]);
        }
        Head::MaskedLm | Head::CausalLm => {
            let words = vocabulary(graph, states)?;
            graph.output("logits", &[batch, sequence, words.into()]);
        }
        Head::SequenceClassification => {
            let first = graph.index(0);
            let mut x = graph.node("Gather", &[states, &first], vec![int("axis", 1)]);
            let mut last = "classifier";
            // The paper's head is a dense layer, that of `transformers` is two.
            if graph.has("classifier.dense.weight") {
                (x, _) = graph.dense_f32(&x, "classifier.dense")?;
                x = graph.gelu(&x);
                last = "classifier.out_proj";
            }
            let (_, labels) = graph.dense_f32(&x, last)?;
            graph.output("logits", &[batch, labels.into()]);
        }
        Head::TokenClassification => {
            let (_, labels) = graph.dense_f32(states, "classifier")?;
            graph.output("logits", &[batch, sequence, labels.into()]);
        }
        Head::QuestionAnswering => {
            graph.tensor("qa_outputs.weight", [Some(2), Some(hidden.width)])?;
            let (logits, _) = graph.dense_f32(states, "qa_outputs")?;
            for (column, name) in [(0, "start_logits"), (1, "end_logits")] {
                let column = graph.index(column);
                graph.node("Gather", &[&logits, &column], vec![int("axis", 2)]);
                graph.output(name, &["batch".into(), "sequence".into()]);
            }
        }
    }
    Ok(())
}

/// Logits over the vocabulary, whose output table is the word table; and its rows.
fn vocabulary(graph: &mut GraphBuilder<'_>, states: &Value) -> Result<usize, OnnxError> {
    let (x, width) = graph.dense(states, "generator_predictions.dense")?;
    let x = graph.gelu(&x);
    let x = graph.layer_norm(&x, "generator_predictions.LayerNorm")?;
    let (_, [rows, _]) = graph.tensor(WORDS, [None, Some(width)])?;
    let transpose = vec![ints("perm", &[1, 0])];
    // The table stands in the file once. Runtimes transpose it as they load.
    let product = match graph.precision {
        Precision::F32 => {
            let table = graph.own(WORDS, [None, None])?;
            let table = graph.node("Transpose", &[&table], transpose);
            graph.node("MatMul", &[&x, &table], vec![])
        }
        Precision::Int8 => {
            let [table, scales] = graph.table_int8(WORDS)?;
            let table = graph.node("Transpose", &[&table], transpose);
            graph.product_int8(&x, &table, &scales)
        }
    };
    let bias = graph.own("generator_lm_head.bias", [Some(rows)])?;
    graph.node("Add", &[&product, &bias], vec![]);
    Ok(rows)
}
