//! The encoder: embeddings, then layers of attention and feed-forward, post-LN (docs/electra-semantics.md, "Model").
//!
//! Nodes stand in the order in which `transformers`' own exports have them, since runtimes know those by sight and fuse
//! them.

use crate::graph::{GraphBuilder, Value};
use crate::proto::{int, ints, tensor_of};
use crate::{Network, OnnxError, Precision};

pub(crate) const WORDS: &str = "electra.embeddings.word_embeddings.weight";
/// Added to the score of what is not to be seen. In f32 a score vanishes beside it, so that it is the score itself, as in
/// electra-kernels.
const MASKED: f32 = -1e30;

/// Hidden states of the last layer.
#[derive(Clone)]
pub(crate) struct Hidden {
    /// `[batch, sequence, hidden]`
    pub(crate) states: Value,
    pub(crate) width: usize,
}

/// Writes the inputs and the encoder. `is_causal`: a token sees itself and what is before it.
pub(crate) fn write(graph: &mut GraphBuilder<'_>, network: &Network<'_>, is_causal: bool) -> Result<Hidden, OnnxError> {
    let [ids, mask, types] = ["input_ids", "attention_mask", "token_type_ids"].map(|name| graph.input(name));
    // [sequence]
    let length = graph.node("Shape", &[&ids], vec![int("start", 1), int("end", 2)]);
    let (mut states, mut width) = embeddings(graph, &ids, &types, &length)?;
    let mask = added_mask(graph, &mask, is_causal.then_some(length.as_str()));
    if graph.has("electra.embeddings_project.weight") {
        (states, width) = graph.dense(&states, "electra.embeddings_project")?;
    }
    if !width.is_multiple_of(network.heads.max(1)) {
        let name = "electra.encoder.layer.0.attention.self.query.weight".to_owned();
        return Err(OnnxError::Shape { name, found: vec![width, width] });
    }
    for layer in 0..network.layers {
        let name = |part: &str| format!("electra.encoder.layer.{layer}.{part}");
        let attended = attention(graph, &states, &mask, [network.heads, width], &name)?;
        let (output, _) = graph.dense(&attended, &name("attention.output.dense"))?;
        let sum = graph.node("Add", &[&output, &states], vec![]);
        let attended = graph.layer_norm(&sum, &name("attention.output.LayerNorm"))?;
        let (inner, _) = graph.dense(&attended, &name("intermediate.dense"))?;
        let inner = graph.gelu(&inner);
        let (output, _) = graph.dense(&inner, &name("output.dense"))?;
        let sum = graph.node("Add", &[&output, &attended], vec![]);
        states = graph.layer_norm(&sum, &name("output.LayerNorm"))?;
    }
    Ok(Hidden { states, width })
}

/// Words, types and positions, summed and normalized; and their width.
fn embeddings(graph: &mut GraphBuilder<'_>, ids: &str, types: &str, length: &str) -> Result<(Value, usize), OnnxError> {
    let (_, [_, width]) = graph.tensor(WORDS, [None, None])?;
    let words = match graph.precision {
        Precision::F32 => {
            let table = graph.own(WORDS, [None, None])?;
            graph.node("Gather", &[&table, ids], vec![])
        }
        Precision::Int8 => {
            let [table, scales] = graph.table_int8(WORDS)?;
            let rows = graph.node("Gather", &[&table, ids], vec![]);
            let rows = graph.cast_to_float(&rows);
            let scales = graph.node("Gather", &[&scales, ids], vec![]);
            let axis = graph.integers(&[-1]);
            let scales = graph.node("Unsqueeze", &[&scales, &axis], vec![]);
            graph.node("Mul", &[&rows, &scales], vec![])
        }
    };
    let table = graph.own("electra.embeddings.token_type_embeddings.weight", [None, Some(width)])?;
    let types = graph.node("Gather", &[&table, types], vec![]);
    let sum = graph.node("Add", &[&words, &types], vec![]);
    // A sequence longer than the table gets too few rows, and the sum fails.
    let table = graph.own("electra.embeddings.position_embeddings.weight", [None, Some(width)])?;
    let first = graph.integers(&[0]);
    let positions = graph.node("Slice", &[&table, &first, length, &first], vec![]);
    let sum = graph.node("Add", &[&sum, &positions], vec![]);
    Ok((graph.layer_norm(&sum, "electra.embeddings.LayerNorm")?, width))
}

/// What is added to scores: 0 for what may be seen, [`MASKED`] for padding; and for what comes later, where the length
/// is given.
fn added_mask(graph: &mut GraphBuilder<'_>, mask: &str, causal_length: Option<&str>) -> Value {
    let (one, masked) = (graph.scalar(1.0), graph.scalar(MASKED));
    let [before, behind] = [graph.integers(&[1]), graph.integers(&[2])];
    let mask = graph.node("Unsqueeze", &[mask, &before], vec![]);
    let mask = graph.node("Unsqueeze", &[&mask, &behind], vec![]);
    let mask = graph.cast_to_float(&mask);
    let mask = graph.node("Sub", &[&one, &mask], vec![]);
    // [batch, 1, 1, sequence]
    let mask = graph.node("Mul", &[&mask, &masked], vec![]);
    let Some(length) = causal_length else { return mask };
    let square = graph.node("Concat", &[length, length], vec![int("axis", 0)]);
    let all = graph.node("ConstantOfShape", &[&square], vec![tensor_of("value", MASKED)]);
    let diagonal = graph.index(1);
    let later = graph.node("Trilu", &[&all, &diagonal], vec![int("upper", 1)]);
    graph.node("Add", &[&mask, &later], vec![])
}

/// `[batch, sequence, width]`, before the output's dense layer.
fn attention(
    graph: &mut GraphBuilder<'_>,
    states: &str,
    mask: &str,
    [heads, width]: [usize; 2],
    name: &impl Fn(&str) -> String,
) -> Result<Value, OnnxError> {
    let head_dim = width / heads;
    // 0 keeps a length.
    let split = graph.integers(&[0, 0, heads as i64, head_dim as i64]);
    let joined = graph.integers(&[0, 0, width as i64]);
    let mut part = |part: &str, perm: [i64; 4]| -> Result<Value, OnnxError> {
        let (x, _) = graph.dense(states, &name(&format!("attention.self.{part}")))?;
        let x = graph.node("Reshape", &[&x, &split], vec![]);
        Ok(graph.node("Transpose", &[&x], vec![ints("perm", &perm)]))
    };
    let query = part("query", [0, 2, 1, 3])?;
    let key = part("key", [0, 2, 3, 1])?;
    let value = part("value", [0, 2, 1, 3])?;
    let scores = graph.node("MatMul", &[&query, &key], vec![]);
    let root = graph.scalar((head_dim as f32).sqrt());
    let scores = graph.node("Div", &[&scores, &root], vec![]);
    let scores = graph.node("Add", &[&scores, mask], vec![]);
    let probabilities = graph.node("Softmax", &[&scores], vec![int("axis", -1)]);
    let seen = graph.node("MatMul", &[&probabilities, &value], vec![]);
    let seen = graph.node("Transpose", &[&seen], vec![ints("perm", &[0, 2, 1, 3])]);
    Ok(graph.node("Reshape", &[&seen, &joined], vec![]))
}
