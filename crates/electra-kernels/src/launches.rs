//! What is launched on graphics adapters: the count of a step, and the proof that it was our kernels that ran.

use std::cell::RefCell;
use std::sync::{Arc, OnceLock};

use cubecl::logging::{LaunchObservation, LaunchObserver};

thread_local! {
    /// Launches of this thread, while somebody wants to know.
    static LOG: RefCell<Option<Vec<&'static str>>> = const { RefCell::new(None) };
}

/// Every kernel of our own has a name that begins so; its shader's stem follows.
pub const PREFIX: &str = "electra::";

struct Observer;

impl LaunchObserver for Observer {
    fn launched(&self, kernel: &'static str) {
        LOG.with_borrow_mut(|log| {
            if let Some(log) = log {
                log.push(kernel);
            }
        });
    }
}

/// Runs `body`, and returns the names of the kernels that this thread launched meanwhile, in their order.
///
/// Burn's own kernels go by the names of their types. Recordings do not nest: the inner one takes all.
pub fn record<R>(body: impl FnOnce() -> R) -> (R, Vec<&'static str>) {
    // One observation for the whole process, since there is room for one; threads are told apart by their logs.
    static OBSERVATION: OnceLock<LaunchObservation> = OnceLock::new();
    OBSERVATION.get_or_init(|| LaunchObservation::new(Arc::new(Observer)));
    LOG.set(Some(Vec::new()));
    let result = body();
    (result, LOG.take().unwrap_or_default())
}
