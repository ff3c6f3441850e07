//! Independent pieces of one step at the same time, each on threads of its own.
//!
//! Between the parallel loops of two operations a step runs on one thread, and where operations are small that is most
//! of the time. Pieces that need nothing of each other (the micro-batches of a batch) do not wait at such gaps. Each
//! has a pool that no other piece enters: in a shared one, a thread that waits for the rest of its own loop would take
//! up another piece in the middle of this one, under whatever locks this one holds.

use burn::tensor::Device;

#[cfg(not(target_family = "wasm"))]
use crate::reference_only::{is_reference_only, with_reference_only};

/// How many pieces `device` works on at the same time: the CPU's threads, elsewhere one.
pub fn width(device: &Device) -> usize {
    #[cfg(not(target_family = "wasm"))]
    if matches!(device.as_dispatch(), burn::backend::DispatchDevice::Flex(_)) {
        return rayon::current_num_threads();
    }
    let _ = device;
    1
}

/// `body` of every item, in the items' order, on as many items at a time as there are threads.
#[cfg(not(target_family = "wasm"))]
pub fn side_by_side<T: Sync, R: Send + Sync>(items: &[T], body: impl Fn(&T) -> R + Sync) -> Vec<R> {
    use std::panic::resume_unwind;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{LazyLock, Mutex, OnceLock, TryLockError};

    use rayon::{ThreadPool, ThreadPoolBuilder, current_num_threads};

    /// Kept from step to step: threads are expensive. A batch's last wave, with fewer pieces, uses some of them.
    static POOLS: LazyLock<Mutex<Vec<ThreadPool>>> = LazyLock::new(Mutex::default);

    let count = items.len().min(current_num_threads());
    let pools = match POOLS.try_lock() {
        _ if count < 2 => None,
        Ok(pools) => Some(pools),
        Err(TryLockError::Poisoned(pools)) => Some(pools.into_inner()),
        // Another trainer of this process, or a piece of a piece: one after the other, then.
        Err(TryLockError::WouldBlock) => None,
    };
    let Some(mut pools) = pools else { return items.iter().map(body).collect() };
    if pools.len() < count {
        let threads = current_num_threads() / count;
        let pool = |_| ThreadPoolBuilder::new().num_threads(threads).build().expect("threads can be started");
        *pools = (0..count).map(pool).collect();
    }
    let only = is_reference_only();
    let next = AtomicUsize::new(0);
    let results: Vec<OnceLock<R>> = items.iter().map(|_| OnceLock::new()).collect();
    let work = || {
        while let Some(number) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|number| *number < items.len()) {
            let _ = results[number].set(with_reference_only(only, || body(&items[number])));
        }
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = pools[1..count].iter().map(|pool| scope.spawn(|| pool.install(work))).collect();
        pools[0].install(work);
        for other in others {
            other.join().unwrap_or_else(|panic| resume_unwind(panic));
        }
    });
    results.into_iter().map(|result| result.into_inner().expect("a panic would have come through")).collect()
}

/// `body` of every item, in the items' order.
#[cfg(target_family = "wasm")]
pub fn side_by_side<T, R>(items: &[T], body: impl Fn(&T) -> R) -> Vec<R> {
    items.iter().map(body).collect()
}

#[cfg(test)]
mod tests {
    use rayon::prelude::*;

    use super::*;

    /// Sums of parallel loops inside the pieces, with more pieces than threads and fewer.
    #[test]
    fn results_come_in_the_items_order_whatever_the_threads() {
        let items: Vec<u64> = (0..7).collect();
        let expected: Vec<u64> = items.iter().map(|item| (0..1000).map(|x| x * item).sum()).collect();
        for threads in [1, 2, 3, 16] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let found = pool
                .install(|| side_by_side(&items, |&item| (0..1000u64).into_par_iter().map(|x| x * item).sum::<u64>()));
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_piece_may_have_pieces_of_its_own() {
        let found = side_by_side(&[1, 2, 3], |&x| side_by_side(&[10, 20], |&y| x * y));
        assert_eq!(found, [[10, 20], [20, 40], [30, 60]]);
    }

    #[test]
    #[should_panic(expected = "a piece")]
    fn a_panic_in_a_piece_is_the_callers() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        pool.install(|| side_by_side(&[0, 1, 2, 3], |&item| assert!(item != 3, "a piece")));
    }
}
