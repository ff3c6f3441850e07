//! What is launched on graphics adapters: the count of a step, and the proof that it was our kernels that ran.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use cubecl::logging::{Duration, LaunchObservation, LaunchObserver, TimingMethod, TimingRequest};
use serde::Serialize;

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
    observe();
    LOG.set(Some(Vec::new()));
    let result = body();
    (result, LOG.take().unwrap_or_default())
}

/// As [`record`], of work that gives way to others on the way: what they launch on this thread meanwhile counts too.
pub async fn record_async<R>(body: impl Future<Output = R>) -> (R, Vec<&'static str>) {
    observe();
    LOG.set(Some(Vec::new()));
    let result = body.await;
    (result, LOG.take().unwrap_or_default())
}

/// Begins the one observation of the whole process, for which there is room; threads are told apart by their logs.
fn observe() {
    static OBSERVATION: OnceLock<LaunchObservation> = OnceLock::new();
    OBSERVATION.get_or_init(|| LaunchObservation::new(Arc::new(Observer)));
}

/// What all launches of one kernel took.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KernelTime {
    /// As in [`record`].
    #[serde(rename = "kernel")]
    pub name: &'static str,
    /// How often it ran.
    pub launches: u64,
    /// Of all of them together.
    pub seconds: f64,
    /// Whether the device's own clock measured; else it is the host's, with the launch and the wait in it.
    #[serde(rename = "device_time")]
    pub is_device_time: bool,
}

#[derive(Default)]
struct Profiler(Mutex<HashMap<&'static str, KernelTime>>);

impl LaunchObserver for Profiler {
    fn launched(&self, _: &'static str) {}

    fn timing(&self) -> TimingRequest {
        TimingRequest::Resolved
    }

    fn timed(&self, name: &'static str, duration: Duration, method: TimingMethod) {
        let mut times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let none = KernelTime { name, launches: 0, seconds: 0.0, is_device_time: true };
        let time = times.entry(name).or_insert(none);
        time.launches += 1;
        time.seconds += duration.as_secs_f64();
        time.is_device_time &= method == TimingMethod::Device;
    }
}

/// Runs `body`, timing every launch of this process by itself: the longest first.
///
/// Each launch is waited for, so that the whole takes longer than it would, and the sum of the kernels is not its time.
pub fn profile<R>(body: impl FnOnce() -> R) -> (R, Vec<KernelTime>) {
    // What is observed before is observed again afterwards: begun within, it would end with this.
    observe();
    let profiler = Arc::new(Profiler::default());
    let observation = LaunchObservation::new(profiler.clone());
    let result = body();
    drop(observation);
    let mut times: Vec<KernelTime> =
        profiler.0.lock().unwrap_or_else(PoisonError::into_inner).drain().map(|(_, time)| time).collect();
    times.sort_by(|a, b| b.seconds.total_cmp(&a.seconds).then(a.name.cmp(b.name)));
    (result, times)
}
