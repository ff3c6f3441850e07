//! A run's batches, in the order of the steps: made ahead on threads, where there are threads.

use electra_data::{Batch, BatchSource};

/// Threads that prepare batches ahead of the device.
#[cfg(feature = "native")]
const THREADS: usize = 2;

#[cfg(feature = "native")]
pub(super) struct Batches(electra_data::Prefetcher);

#[cfg(feature = "native")]
impl Batches {
    pub(super) fn from(source: BatchSource, first_step: u64) -> Self {
        Self(electra_data::Prefetcher::new(source, first_step, THREADS))
    }

    pub(super) fn next(&mut self) -> Batch {
        self.0.next_batch()
    }
}

#[cfg(not(feature = "native"))]
pub(super) struct Batches {
    source: BatchSource,
    step: u64,
}

#[cfg(not(feature = "native"))]
impl Batches {
    pub(super) fn from(source: BatchSource, step: u64) -> Self {
        Self { source, step }
    }

    pub(super) fn next(&mut self) -> Batch {
        self.step += 1;
        self.source.batch(self.step - 1)
    }
}
