//! What looks at the operations from outside: whether an adapter computes them rightly, how fast they are, and what is
//! launched. Nothing else imports it; a page has all but the benchmark.

#[cfg(not(target_family = "wasm"))]
pub mod benchmark;
#[cfg(all(test, not(target_family = "wasm")))]
mod bounds;
pub mod launches;
#[cfg(all(test, not(target_family = "wasm")))]
pub(crate) mod testing;
pub mod verify;
