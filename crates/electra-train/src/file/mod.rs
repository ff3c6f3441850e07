//! Files: atomic writing, tensors in them, the lock of a run's folder.

#[cfg(feature = "native")]
mod atomic;
#[cfg(feature = "native")]
pub mod lock;
pub(crate) mod tensor_file;

#[cfg(feature = "native")]
pub(crate) use self::atomic::{
    create_folder, pause_for_tests, read, sync_folder, temporary_beside, write_atomically, write_synced,
};
