//! Golden numbers from PyTorch for a generator and a discriminator: tests/fixtures/README.md explains the files.

mod compare;
mod folder;
mod forward;
mod joint_step;
mod ten_steps;
mod tensors;

pub use compare::{
    ADAPTER_SLACK, GRADIENT_TOLERANCE, LOSS_TOLERANCE, OUTPUT_TOLERANCE, PARAMETER_TOLERANCE, assert_close,
    assert_gradient_close, assert_launched, set_slack, slack, values,
};
pub use folder::{Folder, PARTS, Pair, Stored, batch_of, context, fixture_name, input_of};
pub use forward::forward;
pub use joint_step::joint_step;
pub use ten_steps::ten_steps;
pub use tensors::Tensors;

/// What every forward pass of an encoder launches.
pub const ENCODER: [&str; 4] = ["embeddings_fwd", "layer_norm_fwd", "product_direct|product_staged", "attention_fwd"];
/// What its backward pass launches.
pub const ENCODER_BACKWARD: [&str; 5] =
    ["layer_norm_bwd", "layer_norm_bwd_parameters", "attention_bwd_query", "attention_bwd_key", "embedding_bwd_words"];
/// What a step launches beside them.
pub const JOINT_STEP: [&str; 5] = ["mlm_rows", "rtd_fwd", "rtd_bwd", "corrupt", "gather"];
/// What an update launches.
pub const UPDATE: [&str; 3] = ["adam_norm", "adam_decide", "adam_update"];
