//! What must hold wherever Electra computes: golden numbers, and a small run from text in memory.
//!
//! Checks panic where something is wrong, as tests do. They are async, since a page may not wait for its device: the repository's
//! tests call them on the CPU and on graphics adapters, and `examples/in_browser.rs` in a page, on WebGPU and on the CPU.

pub mod golden;
pub mod nano;
