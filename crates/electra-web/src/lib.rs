//! Electra for a web page.
//!
//! The logic is plain Rust in modules of its own, which are tested natively; `javascript` is the layer that a page calls
//! and exists in WebAssembly alone. All that reads results back is async, since a page may not wait for its device.

#[cfg(target_family = "wasm")]
mod javascript;
pub mod scorer;
