//! Whether operations run their reference bodies: for measurements, on the thread that measures.

use std::cell::Cell;

thread_local! {
    static ONLY: Cell<bool> = const { Cell::new(false) };
}

/// Runs `body` so that every operation on this thread runs its reference body, whatever the device, if `only`.
pub fn with_reference_only<R>(only: bool, body: impl FnOnce() -> R) -> R {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            ONLY.set(self.0);
        }
    }
    let _restore = Restore(ONLY.replace(only));
    body()
}

pub(crate) fn is_reference_only() -> bool {
    ONLY.get()
}
