//! Networks as ONNX files: [`electra_onnx`] with this crate's networks and errors.

use std::path::Path;

pub use electra_onnx::Precision;
use electra_onnx::{OnnxError, Tensor};

use crate::error::{Error, Result};
use crate::exchange::hugging_face::{Architecture, Network};
use crate::host::HostTensor;

/// The bytes of `network`'s ONNX file; `path` is where it came from, for messages.
///
/// # Errors
/// It has a head without an ONNX form, or would be larger than such a file may be.
pub fn encode(network: &Network, precision: Precision, path: &Path) -> Result<Vec<u8>> {
    let config = &network.config;
    if let Architecture::JointSpan { .. } = network.architecture {
        let problem =
            "the paper's head for answers looks for their ends from the likeliest starts, which is no ONNX graph";
        return Err(Error::invalid(path, problem, "fine-tune with --head hf to have one"));
    }
    let onnx = electra_onnx::Network {
        class: network.architecture.class_name(),
        layers: config.num_hidden_layers,
        heads: config.num_attention_heads,
        layer_norm_eps: config.layer_norm_eps,
        tensors: network.tensors.iter().map(tensor).collect(),
    };
    electra_onnx::encode(&onnx, precision).map_err(|error| {
        let remedy = match error {
            OnnxError::TooLarge { .. } => "with --int8 it takes a quarter",
            OnnxError::Class { .. } => "export another network",
            OnnxError::Missing { .. } | OnnxError::Shape { .. } => "copy or export the folder again",
        };
        Error::invalid(path, error.to_string(), remedy)
    })
}

fn tensor(HostTensor { name, shape, values }: &HostTensor) -> Tensor<'_> {
    Tensor { name, shape, values }
}
