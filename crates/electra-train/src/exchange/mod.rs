//! Networks on their way to and from others: folders of Hugging Face, their cards and weights, the start of a run from them.

#[cfg(feature = "native")]
pub mod export;
pub mod hugging_face;
#[cfg(feature = "native")]
pub(crate) mod init_from;
pub mod model_card;
pub mod networks;
#[cfg(feature = "native")]
pub mod onnx;
#[cfg(feature = "native")]
mod pytorch;
mod weights;
