//! What operations and runtimes both speak of, and what a caller hands over: no device, no file, nothing that runs.

pub(crate) mod dropout;
pub(crate) mod failure;
pub(crate) mod kernel;
pub(crate) mod loss_scale;
pub(crate) mod losses;
pub(crate) mod shape;
pub(crate) mod table;
pub(crate) mod update;
pub(crate) mod visibility;
