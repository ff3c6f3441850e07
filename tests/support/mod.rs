//! What the tests share.

pub mod adapter;
pub mod fixtures;
pub mod program;
pub mod small_network;
pub mod small_run;
pub mod tensors;
