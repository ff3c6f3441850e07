//! Electra for a web page: what a page's worker asks of the networks, answered by the code of the terminal.
//!
//! The modules are plain Rust and are tested natively; `javascript` is the layer that a worker calls and exists in WebAssembly
//! alone. What they take and give has the names of web/src/engine/protocol.ts. All that reads results back is async, since a page
//! may not wait for its device, and trainings go step by step, so that their worker can listen in between.

mod attention;
mod error;
pub mod finetune;
#[cfg(target_family = "wasm")]
mod javascript;
pub mod model;
pub mod pretrain;
pub mod protocol;
pub mod table;
pub mod walk;

pub use error::{EngineError, ErrorKind};
