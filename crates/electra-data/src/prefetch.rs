//! Prepares batches on threads ahead of the trainer, so that the device never waits; they come in the order of the steps.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

use crate::batch::Batch;
use crate::source::BatchSource;

/// Batches waiting per thread.
const QUEUE: usize = 2;

/// Batches from a step on, in order, made ahead by threads. Dropping it stops them.
pub struct Prefetcher {
    /// Step s comes from thread s % threads.
    queues: Vec<Receiver<Batch>>,
    threads: Vec<JoinHandle<()>>,
    next_step: u64,
    source: BatchSource,
}

impl Prefetcher {
    /// Starts `threads` threads (at least one) that make the batches of `source` from `first_step` on.
    pub fn new(source: BatchSource, first_step: u64, threads: usize) -> Self {
        let threads_wanted = threads.max(1) as u64;
        let mut queues = Vec::new();
        let mut threads = Vec::new();
        for number in 0..threads_wanted {
            let (sender, queue) = sync_channel(QUEUE);
            let source = source.clone();
            // The thread whose turn is at `first_step` starts with it.
            let offset = (number + threads_wanted - first_step % threads_wanted) % threads_wanted;
            threads.push(std::thread::spawn(move || {
                let mut step = first_step + offset;
                while sender.send(source.batch(step)).is_ok() {
                    step += threads_wanted;
                }
            }));
            queues.push(queue);
        }
        Self { queues, threads, next_step: first_step, source }
    }

    /// The step whose batch comes next.
    pub fn next_step(&self) -> u64 {
        self.next_step
    }

    /// The next step's batch: the same that [`BatchSource::batch`] gives.
    pub fn next_batch(&mut self) -> Batch {
        let step = self.next_step;
        self.next_step += 1;
        let queue = (step % self.queues.len() as u64) as usize;
        // A thread ends early only by a panic; then the same batch is made here, and panics here where it is seen.
        self.queues[queue].recv().unwrap_or_else(|_| self.source.batch(step))
    }
}

impl Iterator for Prefetcher {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        Some(self.next_batch())
    }
}

impl Drop for Prefetcher {
    fn drop(&mut self) {
        self.queues.clear();
        for thread in self.threads.drain(..) {
            // A panic there has been or would have been seen in `next_batch`.
            let _ = thread.join();
        }
    }
}
