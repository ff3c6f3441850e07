//! What looks at the operations from outside: whether an adapter computes them rightly, how fast they are, and what is
//! launched. Nothing else imports it, and a page has none of it.

pub mod benchmark;
#[cfg(test)]
mod bounds;
pub mod launches;
#[cfg(test)]
pub(crate) mod testing;
pub mod verify;
