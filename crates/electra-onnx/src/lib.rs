//! Networks as ONNX files, which onnxruntime, onnxruntime-web and others run.
//!
//! The graph is written node by node from named tensors, the way the encoder is defined: embeddings, layers, a head.
//! It is of opset 17, the first with LayerNormalization, and spells GELU with Erf, so that runtimes of the last years
//! take it. Lengths of batch and sequence are dynamic. Inputs are `input_ids`, `attention_mask` and `token_type_ids`
//! (int64, `[batch, sequence]`), outputs are named as in `transformers`.
//!
//! Nothing here reads a file or knows Burn: bytes go out, and whoever has tensors in memory can have them.

#![warn(missing_docs)]

mod encoder;
mod graph;
mod head;
mod proto;
mod quantize;

use std::collections::HashMap;

use crate::graph::GraphBuilder;

/// IR version that came with [`OPSET`].
const IR_VERSION: i64 = 8;
/// The first with LayerNormalization.
const OPSET: i64 = 17;
/// What a protobuf message may have.
const MAX_BYTES: usize = i32::MAX as usize;

/// A tensor by the name that `transformers` gives it, values row-major.
#[derive(Debug, Clone, Copy)]
pub struct Tensor<'a> {
    /// Such as `electra.encoder.layer.0.output.dense.weight`.
    pub name: &'a str,
    /// Its dimensions; a dense weight is `[out, in]`.
    pub shape: &'a [usize],
    /// As many as the shape says.
    pub values: &'a [f32],
}

/// What is to be written.
#[derive(Debug, Clone)]
pub struct Network<'a> {
    /// Its class in `transformers`, which says what head it has: `ElectraForPreTraining`.
    pub class: &'a str,
    /// `num_hidden_layers`
    pub layers: usize,
    /// `num_attention_heads`
    pub heads: usize,
    /// `layer_norm_eps`
    pub layer_norm_eps: f64,
    /// Of encoder (`electra.*`) and head. Others are ignored.
    pub tensors: Vec<Tensor<'a>>,
}

/// How the encoder's weights are stored and multiplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// As they are.
    F32,
    /// Dynamic quantisation: weights in 8 bits with a scale for each output, activations quantised as they come
    /// (DynamicQuantizeLinear, MatMulInteger). The word table is stored so, too; heads that only choose among labels stay in f32.
    Int8,
}

/// Why a network cannot be written.
#[derive(Debug, thiserror::Error, PartialEq)]
// The text of each says what it and its fields are.
#[expect(missing_docs)]
pub enum OnnxError {
    #[error("{class} has no ONNX form here; {KNOWN} have one")]
    Class { class: String },
    #[error("tensor \"{name}\" is missing")]
    Missing { name: String },
    #[error("tensor \"{name}\" has shape {found:?}, which does not fit the others")]
    Shape { name: String, found: Vec<usize> },
    #[error("the file would have {bytes} bytes, and ONNX files end at {MAX_BYTES}")]
    TooLarge { bytes: usize },
}

const KNOWN: &str = "ElectraModel, ElectraForPreTraining, ElectraForMaskedLM, ElectraForCausalLM, \
                     ElectraForSequenceClassification, ElectraForTokenClassification and ElectraForQuestionAnswering";

/// The bytes of `network`'s ONNX file. Equal networks give equal bytes.
///
/// # Errors
/// The class has no ONNX form; a tensor is missing or has an impossible shape; the file would be larger than protobuf allows.
pub fn encode(network: &Network<'_>, precision: Precision) -> Result<Vec<u8>, OnnxError> {
    let head = head::Head::of(network.class)?;
    let mut graph = GraphBuilder::new(&network.tensors, network.layer_norm_eps as f32, precision);
    let hidden = encoder::write(&mut graph, network, head == head::Head::CausalLm)?;
    head::write(&mut graph, head, hidden)?;
    let model = proto::model(IR_VERSION, OPSET, &graph.finish(network.class));
    match model.len() {
        bytes if bytes > MAX_BYTES => Err(OnnxError::TooLarge { bytes }),
        _ => Ok(model.into_bytes()),
    }
}

/// Tensors by name.
type Tensors<'a> = HashMap<&'a str, Tensor<'a>>;
