//! In what precision matrix products read their operands.
//!
//! In half precision a product rounds the values that it reads to f16, and adds the products up in f32. Everything else
//! (weights, activations, moments, attention, norms, losses) stays in f32, so that nothing but products, which are most of a
//! step's work, depends on it. Gradients need a factor then: f16 has no value between 0 and 6e-8 (`adam::LossScale`).

use std::cell::Cell;

use serde::{Deserialize, Serialize};

/// What matrix products on a graphics adapter read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Products read f32.
    #[default]
    F32,
    /// Rounded to half precision, accumulated in f32.
    F16,
}

impl std::fmt::Display for Precision {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
        })
    }
}

thread_local! {
    static CURRENT: Cell<Precision> = const { Cell::new(Precision::F32) };
}

/// Runs `body` with products in `precision`: those of this thread, which are those of a backward pass within it too.
///
/// The device must offer f16 where that is asked for ([`crate::device::OpenDevice::has_f16`]).
pub fn with_precision<R>(precision: Precision, body: impl FnOnce() -> R) -> R {
    struct Restore(Precision);
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.set(self.0);
        }
    }
    let _restore = Restore(CURRENT.replace(precision));
    body()
}

pub(crate) fn current() -> Precision {
    CURRENT.get()
}
