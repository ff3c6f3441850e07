//! Reading results back: the one place where a device's failures show.
//!
//! A read waits for the device, so several tensors are best read together ([`Reads`]). Whatever the graphics interface has
//! complained of since the last read belongs to one of them, so that no read returns numbers that stand on a failure.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use burn::tensor::{Device, Int, Tensor, TensorData, Transaction};
use burn_std::ExecutionError;

use crate::gpu::adapter;
use crate::types::failure::DeviceFailure;

/// Tensors of one device that are read back together.
#[derive(Default)]
pub struct Reads {
    transaction: Transaction,
    count: usize,
    device: Option<Device>,
}

impl Reads {
    /// Adds a tensor; the value is its number among the results.
    pub fn floats<const D: usize>(&mut self, tensor: &Tensor<D>) -> usize {
        let tensor = tensor.clone().inner();
        self.device.get_or_insert_with(|| tensor.device());
        self.transaction = std::mem::take(&mut self.transaction).register(tensor);
        self.next_number()
    }

    /// As [`Reads::floats`].
    pub fn ints<const D: usize>(&mut self, tensor: &Tensor<D, Int>) -> usize {
        let tensor = tensor.clone().inner();
        self.device.get_or_insert_with(|| tensor.device());
        self.transaction = std::mem::take(&mut self.transaction).register(tensor);
        self.next_number()
    }

    fn next_number(&mut self) -> usize {
        self.count += 1;
        self.count - 1
    }

    /// The values, in the tensors' order. Waits for the device.
    ///
    /// # Errors
    /// The device failed since the last read, whatever tensor it concerns.
    pub fn read(self) -> Result<Vec<TensorData>, DeviceFailure> {
        let Some(device) = self.device else { return Ok(Vec::new()) };
        adapter::before_read(&device);
        // A failure in the runtime's own thread comes through as a panic.
        let wait = || wait(self.transaction.execute_async(), || adapter::is_gone(&device));
        let found = catch_unwind(AssertUnwindSafe(wait));
        let found = found.unwrap_or_else(|panic| Err(ExecutionError::with_context(message(&*panic))));
        checked(&device, found)
    }

    /// As [`Reads::read`], by whatever way there is: in a browser a page's own work goes on meanwhile, elsewhere this waits.
    ///
    /// # Errors
    /// As [`Reads::read`].
    pub async fn fetch(self) -> Result<Vec<TensorData>, DeviceFailure> {
        // Elsewhere nobody else would watch for a failure of the runtime's own thread.
        if cfg!(target_family = "wasm") { self.read_async().await } else { self.read() }
    }

    /// As [`Reads::read`], where waiting must not block (a browser).
    ///
    /// # Errors
    /// As [`Reads::read`].
    pub async fn read_async(self) -> Result<Vec<TensorData>, DeviceFailure> {
        let Some(device) = self.device else { return Ok(Vec::new()) };
        let found = unless_gone(self.transaction.execute_async(), &device).await;
        checked(&device, found)
    }
}

/// Waits for what is read, but not for a device that is gone: its results may never come.
fn wait<T>(
    reading: impl Future<Output = Result<T, ExecutionError>>,
    is_gone: impl Fn() -> bool,
) -> Result<T, ExecutionError> {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut reading = pin!(reading);
    loop {
        if let Poll::Ready(found) = reading.as_mut().poll(&mut Context::from_waker(&waker)) {
            return found;
        }
        if is_gone() {
            return Err(gone());
        }
        thread::park_timeout(Duration::from_millis(250));
    }
}

/// As [`wait`], where a page's own work goes on meanwhile: whoever awaits this is woken when the device goes.
async fn unless_gone<T>(
    reading: impl Future<Output = Result<T, ExecutionError>>,
    device: &Device,
) -> Result<T, ExecutionError> {
    let watch = adapter::watch(device);
    let mut reading = pin!(reading);
    poll_fn(|context| {
        if let Poll::Ready(found) = reading.as_mut().poll(context) {
            return Poll::Ready(found);
        }
        // Before the question: a device that goes in between wakes it.
        watch.wake(context.waker());
        if adapter::is_gone(device) { Poll::Ready(Err(gone())) } else { Poll::Pending }
    })
    .await
}

fn gone() -> ExecutionError {
    ExecutionError::device_poisoned("it gives no results any more")
}

fn checked(device: &Device, found: Result<Vec<TensorData>, ExecutionError>) -> Result<Vec<TensorData>, DeviceFailure> {
    match (adapter::take_failure(device), found) {
        (Some(failure), _) => Err(failure),
        (None, Ok(found)) => Ok(found),
        (None, Err(error)) => Err(DeviceFailure::of(&error)),
    }
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()))
        .unwrap_or_else(|| "no message".to_owned())
}

/// The values of one tensor. Waits for the device.
///
/// # Errors
/// As [`Reads::read`].
pub fn floats<const D: usize>(tensor: &Tensor<D>) -> Result<Vec<f32>, DeviceFailure> {
    let mut reads = Reads::default();
    let number = reads.floats(tensor);
    Ok(floats_of(&reads.read()?[number]))
}

/// As [`floats`], of ids.
///
/// # Errors
/// As [`Reads::read`].
pub fn ints<const D: usize>(tensor: &Tensor<D, Int>) -> Result<Vec<i32>, DeviceFailure> {
    let mut reads = Reads::default();
    let number = reads.ints(tensor);
    Ok(ints_of(&reads.read()?[number]))
}

/// Values that were read, as f32.
pub fn floats_of(data: &TensorData) -> Vec<f32> {
    data.try_to_vec::<f32>().unwrap_or_else(|_| data.iter::<f32>().collect())
}

/// Ids that were read, as i32.
pub fn ints_of(data: &TensorData) -> Vec<i32> {
    data.try_to_vec::<i32>().unwrap_or_else(|_| data.iter::<i32>().collect())
}

#[cfg(test)]
mod tests;
