//! Networks on their way to and from others: folders of Hugging Face, their cards and weights, the start of a run from them.

pub mod export;
pub mod hugging_face;
pub(crate) mod init_from;
pub mod model_card;
pub mod onnx;
mod pytorch;
mod weights;
