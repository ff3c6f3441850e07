//! What Electra knows of an open adapter beside what Burn's runtime tells: its traits, which of its kernels are off, and what its
//! graphics interface complained of.
//!
//! A tensor knows no more than its device. So whoever opens one says here what its adapter has ([`register`]), and launches
//! and reads ask. All of it is per adapter: that one has a driver with a fault is no reason to slow down another.
// No kernel is switched off in a page, and no failure asked for.
#![cfg_attr(target_family = "wasm", allow(dead_code))]

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::task::Waker;
#[cfg(not(target_family = "wasm"))]
use std::time::Duration;

use burn::backend::DispatchDevice;
use burn::tensor::Device;
use burn::tensor::wgpu::wgpu;
use burn_wgpu::CubeTensor;

use super::cooperative_matrix::CooperativeMatrix;
use crate::types::failure::{DeviceFailure, one_line};
use crate::types::kernel::Kernel;

/// What an adapter has beyond what every adapter has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Traits {
    pub(crate) cooperative_matrix: Option<CooperativeMatrix>,
    /// Lanes of a subgroup, where all have as many and hand values on to one another.
    pub(crate) subgroup: Option<usize>,
    /// Bytes of memory that a workgroup may share; 0 where nobody said.
    pub(crate) workgroup_bytes: usize,
}

/// An adapter that was opened.
#[derive(Debug, Default)]
pub(crate) struct Adapter {
    traits: Traits,
    /// Bits of the kernels that are off.
    off: AtomicU32,
    /// Whether operations run their reference bodies.
    reference_only: AtomicBool,
    /// What the graphics interface complained of since the last read; what is final stays.
    failure: Mutex<Option<DeviceFailure>>,
    /// Reads under way.
    watches: Mutex<Vec<Weak<Watch>>>,
    wgpu: Option<wgpu::Device>,
    injected: Injected,
}

/// A read under way, which is woken when its device goes: its results may never come.
#[derive(Debug, Default)]
pub(crate) struct Watch(Mutex<Option<Waker>>);

impl Watch {
    /// Says whom to wake.
    pub(crate) fn wake(&self, waker: &Waker) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker.clone());
    }
}

/// Failures that tests ask for.
#[derive(Debug, Default)]
struct Injected {
    /// Bytes beyond which the device says that it has no memory; 0: none.
    most_bytes: AtomicU64,
    /// The read before which the device goes away, counted down; 0: none.
    lost_at_read: AtomicU64,
}

static KNOWN: RwLock<Vec<(cubecl::Device, Arc<Adapter>)>> = RwLock::new(Vec::new());

/// Says what the adapter of `device` has, and listens to its complaints in place of Burn's runtime, which would panic, or wait
/// for ever for results of a device that is gone.
pub(crate) fn register(device: &Device, traits: Traits, wgpu: wgpu::Device) -> Arc<Adapter> {
    let adapter = Arc::new(Adapter { traits, wgpu: Some(wgpu.clone()), ..Adapter::default() });
    let listener = Arc::downgrade(&adapter);
    wgpu.on_uncaptured_error(Arc::new(move |error| {
        let failure = match &error {
            wgpu::Error::OutOfMemory { source } => DeviceFailure::OutOfMemory(one_line(&source.to_string())),
            error => DeviceFailure::Refused(one_line(&error.to_string())),
        };
        listener.upgrade().iter().for_each(|adapter| adapter.complain(failure.clone()));
    }));
    let listener = Arc::downgrade(&adapter);
    wgpu.set_device_lost_callback(move |reason, message| {
        let failure = DeviceFailure::lost(one_line(&format!("{reason:?}: {message}")));
        listener.upgrade().iter().for_each(|adapter| adapter.complain(failure.clone()));
    });
    let device = id_of(device).expect("an adapter's device");
    KNOWN.write().unwrap_or_else(PoisonError::into_inner).push((device, adapter.clone()));
    adapter
}

impl Adapter {
    /// Keeps the first complaint: what follows is its consequence. One that is final weighs more.
    fn complain(&self, failure: DeviceFailure) {
        let is_final = failure.is_final();
        let mut known = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref().is_none_or(|known| !known.is_final() && is_final) {
            *known = Some(failure);
        }
        drop(known);
        if is_final {
            let watches = std::mem::take(&mut *self.watches.lock().unwrap_or_else(PoisonError::into_inner));
            let wakers = watches
                .iter()
                .filter_map(Weak::upgrade)
                .filter_map(|watch| watch.0.lock().unwrap_or_else(PoisonError::into_inner).take());
            wakers.for_each(Waker::wake);
        }
    }

    pub(crate) fn is_enabled(&self, kernel: Kernel) -> bool {
        !self.reference_only.load(Ordering::Relaxed) && self.off.load(Ordering::Relaxed) & bit(kernel) == 0
    }

    pub(crate) fn set_enabled(&self, kernel: Kernel, enabled: bool) {
        if enabled {
            self.off.fetch_and(!bit(kernel), Ordering::Relaxed);
        } else {
            self.off.fetch_or(bit(kernel), Ordering::Relaxed);
        }
    }

    pub(crate) fn are_all_enabled(&self) -> bool {
        self.off.load(Ordering::Relaxed) == 0
    }

    pub(crate) fn set_reference_only(&self, only: bool) {
        self.reference_only.store(only, Ordering::Relaxed);
    }

    /// Has the same kernels off as `other`, which is the same adapter, opened before.
    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn take_switches(&self, other: &Self) {
        self.off.store(other.off.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Gives back all that lies on the device; it is lost from then on.
    pub(crate) fn destroy(&self) {
        let Some(wgpu) = &self.wgpu else { return };
        wgpu.destroy();
        // It goes once nothing is under way any more, and somebody looks: a browser does by itself.
        #[cfg(not(target_family = "wasm"))]
        {
            let all = wgpu::PollType::Wait { submission_index: None, timeout: Some(Duration::from_secs(5)) };
            let _ = wgpu.poll(all);
        }
    }

    /// Makes the device say that it has no memory once its arrays take more than so many bytes.
    pub(crate) fn limit_memory(&self, bytes: u64) {
        self.injected.most_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Makes the device go away before so many reads more.
    pub(crate) fn lose_at_read(&self, number: u64) {
        self.injected.lost_at_read.store(number, Ordering::Relaxed);
    }
}

fn bit(kernel: Kernel) -> u32 {
    1 << kernel as u32
}

fn id_of(device: &Device) -> Option<cubecl::Device> {
    fn of(device: &DispatchDevice) -> Option<cubecl::Device> {
        match device {
            DispatchDevice::Cube(device) => Some(device.clone()),
            DispatchDevice::Autodiff(device) => of(device),
            _ => None,
        }
    }
    of(device.as_dispatch())
}

fn find(id: &cubecl::Device) -> Option<Arc<Adapter>> {
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    known.iter().find(|(device, _)| device == id).map(|(_, adapter)| adapter.clone())
}

/// The open adapter behind `device`; `None` for the CPU, and where nobody said.
pub(crate) fn behind(device: &Device) -> Option<Arc<Adapter>> {
    find(&id_of(device)?)
}

/// What the adapter that holds `array` has; nothing where nobody said.
pub(crate) fn of(array: &CubeTensor) -> Traits {
    find(&array.device).map_or(Traits::default(), |adapter| adapter.traits)
}

/// Whether `kernel` is on where `array` lies.
pub(crate) fn runs(kernel: Kernel, array: &CubeTensor) -> bool {
    find(&array.device).is_none_or(|adapter| adapter.is_enabled(kernel))
}

/// What a test wants to happen before a read of `device`.
pub(crate) fn before_read(device: &Device) {
    #[cfg(not(target_family = "wasm"))]
    if let Some(adapter) = behind(device) {
        let Injected { most_bytes, lost_at_read } = &adapter.injected;
        let left = lost_at_read.load(Ordering::Relaxed);
        if left > 0 {
            lost_at_read.store(left - 1, Ordering::Relaxed);
            if left == 1 {
                adapter.destroy();
            }
        }
        let most = most_bytes.load(Ordering::Relaxed);
        let reserved = (most > 0).then(|| device.memory_pool_usage()).flatten().map_or(0, |usage| usage.bytes_reserved);
        if most > 0 && reserved > most {
            adapter.complain(DeviceFailure::OutOfMemory(format!("{reserved} bytes, and a test allows {most}")));
        }
    }
    #[cfg(target_family = "wasm")]
    let _ = device;
}

/// What the graphics interface of `device` has complained of since the last call.
pub(crate) fn take_failure(device: &Device) -> Option<DeviceFailure> {
    let adapter = behind(device)?;
    let mut known = adapter.failure.lock().unwrap_or_else(PoisonError::into_inner);
    let failure = known.clone();
    known.take_if(|failure| !failure.is_final());
    failure
}

/// Whether `device` has failed for good, so that nothing more will come from it.
pub(crate) fn is_gone(device: &Device) -> bool {
    let failure = |adapter: Arc<Adapter>| adapter.failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
    behind(device).and_then(failure).is_some_and(|failure| failure.is_final())
}

/// A watch on `device` for a read that is about to begin; it ends when it is dropped.
pub(crate) fn watch(device: &Device) -> Arc<Watch> {
    let watch = Arc::new(Watch::default());
    if let Some(adapter) = behind(device) {
        let mut watches = adapter.watches.lock().unwrap_or_else(PoisonError::into_inner);
        watches.retain(|watch| watch.strong_count() > 0);
        watches.push(Arc::downgrade(&watch));
    }
    watch
}
