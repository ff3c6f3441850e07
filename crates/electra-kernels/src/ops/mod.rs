//! The operations, a folder each: `mod.rs` has the formula and the public function, which checks shapes and asks where to run
//! ([`crate::place::Place`]); `reference.rs` the body of Burn primitives; `cpu.rs` and `gpu.rs` the fused ones, whose shaders
//! lie in `shaders/NAME/`; `tests.rs` compares them.

pub mod adam;
pub(crate) mod attention;
pub(crate) mod corrupt;
pub(crate) mod dropout;
pub(crate) mod embedding;
pub(crate) mod encoder_layer;
pub(crate) mod gather;
pub(crate) mod layer_norm;
pub(crate) mod linear;
pub(crate) mod linear_gelu;
pub(crate) mod mlm_loss;
pub(crate) mod rtd_loss;
pub(crate) mod token_log_probabilities;
