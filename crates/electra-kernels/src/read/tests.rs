//! Reads that wait, and reads that must not.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::device::DeviceChoice;
use crate::device::for_tests::{gpu, lose, open_alone};

#[test]
fn a_device_that_is_gone_is_not_waited_for() {
    let never = std::future::pending::<Result<(), ExecutionError>>();
    assert!(wait(never, || true).is_err_and(|error| error.is_device_poisoned()));
    assert_eq!(wait(std::future::ready(Ok(3)), || true).ok(), Some(3));
}

/// As a page would: nobody blocks, so that whoever waits must be woken.
#[test]
fn who_awaits_a_read_is_woken_when_the_device_goes() {
    struct Woken(AtomicBool);
    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    if gpu().is_none() {
        return;
    }
    let device = open_alone(DeviceChoice::Gpu).unwrap().device;
    let never = std::future::pending::<Result<(), ExecutionError>>();
    let mut reading = pin!(unless_gone(never, &device));
    let woken = Arc::new(Woken(AtomicBool::new(false)));
    let waker = Waker::from(woken.clone());
    let mut context = Context::from_waker(&waker);
    assert!(reading.as_mut().poll(&mut context).is_pending());
    assert!(!woken.0.load(Ordering::Relaxed));
    lose(&device);
    assert!(woken.0.load(Ordering::Relaxed), "nobody was woken");
    let Poll::Ready(Err(error)) = reading.as_mut().poll(&mut context) else { panic!("it still waits") };
    assert!(error.is_device_poisoned());
}

#[test]
fn what_is_read_together_comes_in_the_order_in_which_it_was_named() {
    let device = Device::flex().autodiff();
    let mut reads = Reads::default();
    let one = reads.ints(&Tensor::<1, Int>::from_data([7, 8], &device));
    let other = reads.floats(&Tensor::<2>::from_floats([[1.5, 2.5]], &device));
    let last = reads.ints(&Tensor::<2, Int>::from_data([[9]], &device));
    let found = reads.read().unwrap();
    assert_eq!((ints_of(&found[one]), ints_of(&found[last])), (vec![7, 8], vec![9]));
    assert_eq!(floats_of(&found[other]), [1.5, 2.5]);
    assert!(Reads::default().read().unwrap().is_empty());
}
