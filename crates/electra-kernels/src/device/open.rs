//! Opening adapters, each once, and again where one failed.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use burn::tensor::Device;
use burn::tensor::wgpu::{WgpuSetup, wgpu};

use super::adapters::{
    AdapterInfo, AdapterKind, Found, adapters, automatic, best, cooperative_matrix_of, describe, found, subgroup_of,
};
use super::choice::{DeviceChoice, DeviceError};
use super::inject::inject;
use crate::gpu::adapter::{self, Traits};

/// A device that is ready for tensors.
#[derive(Debug, Clone)]
pub struct OpenDevice {
    /// The device itself, without autodiff.
    pub device: Device,
    /// For the first line of output, for example `NVIDIA H100 (vulkan, discrete GPU)`.
    pub description: String,
    /// Whether the work goes through a graphics adapter, a software one included.
    pub is_gpu: bool,
    /// Whether products in half precision are offered ([`crate::Precision::F16`]).
    pub has_f16: bool,
    /// Bytes of the largest array that a kernel may take.
    pub max_binding_bytes: u64,
    /// The adapter, as it was when it was opened; `None` for the CPU.
    pub adapter: Option<AdapterInfo>,
    /// What the user should know about this choice.
    pub warning: Option<String>,
}

impl OpenDevice {
    /// Bytes that a run may take of an adapter's memory; `None` for the CPU, and where the adapter does not tell.
    pub fn usable_memory_bytes(&self) -> Option<u64> {
        let adapter = self.adapter.as_ref()?;
        let free = adapter.free_memory_bytes?;
        // A card's memory is nobody else's but the desktop's; elsewhere it is the whole machine's.
        Some(if adapter.kind == AdapterKind::DiscreteGpu { free / 10 * 9 } else { free / 2 })
    }
}

/// Opens the device that `choice` names, or returns the one that an earlier call opened.
///
/// # Errors
/// Where `choice` asks for an adapter and there is none, none of that number, or its driver refuses. `auto` has no
/// errors: it falls back to the CPU and says why in [`OpenDevice::warning`].
pub fn open(choice: DeviceChoice) -> Result<OpenDevice, DeviceError> {
    let adapters = if choice == DeviceChoice::Cpu { Vec::new() } else { adapters() };
    match choice {
        DeviceChoice::Cpu => Ok(cpu(None)),
        DeviceChoice::Auto => Ok(match automatic(&adapters) {
            None => cpu(None),
            Some(number) => open_adapter(&adapters[number]).unwrap_or_else(|error| cpu(Some(error.to_string()))),
        }),
        DeviceChoice::Gpu => best(&adapters).ok_or(DeviceError::NoAdapter(choice)).and_then(open_adapter),
        DeviceChoice::GpuIndex(_) if adapters.is_empty() => Err(DeviceError::NoAdapter(choice)),
        DeviceChoice::GpuIndex(number) => adapters
            .get(number)
            .ok_or(DeviceError::NoSuchAdapter { number, count: adapters.len() })
            .and_then(open_adapter),
    }
}

fn cpu(warning: Option<String>) -> OpenDevice {
    let threads = rayon::current_num_threads();
    OpenDevice {
        device: Device::flex(),
        description: format!("CPU ({threads} thread{})", if threads == 1 { "" } else { "s" }),
        is_gpu: false,
        has_f16: false,
        max_binding_bytes: u64::MAX,
        adapter: None,
        warning: warning.map(|reason| format!("{reason}; the CPU is used instead")),
    }
}

/// Devices that are open, by their adapters' numbers: Burn makes a new runtime, with memory pools of its own, each time
/// handles are registered.
fn opened() -> MutexGuard<'static, HashMap<usize, Device>> {
    static OPENED: LazyLock<Mutex<HashMap<usize, Device>>> = LazyLock::new(Mutex::default);
    OPENED.lock().unwrap_or_else(PoisonError::into_inner)
}

fn open_adapter(adapter: &AdapterInfo) -> Result<OpenDevice, DeviceError> {
    let mut opened = opened();
    let device = match opened.get(&adapter.number) {
        Some(device) => device.clone(),
        None => {
            let device = register(adapter)?;
            opened.insert(adapter.number, device.clone());
            device
        }
    };
    Ok(describe_open(adapter, device))
}

pub(super) fn describe_open(adapter: &AdapterInfo, device: Device) -> OpenDevice {
    OpenDevice {
        device,
        description: format!("{} ({}, {})", adapter.name, adapter.backend, adapter.kind),
        is_gpu: true,
        has_f16: adapter.features.f16,
        max_binding_bytes: adapter.limits.max_storage_binding_bytes,
        adapter: Some(adapter.clone()),
        warning: adapter.is_software.then(|| {
            format!("{} emulates a GPU on the CPU and is slow; --device cpu is many times faster", adapter.name)
        }),
    }
}

/// Opens an adapter again that failed for good ([`crate::DeviceFailure::is_final`]): its memory is given back, and what lay on it is
/// gone. The kernels that were off stay off.
///
/// # Errors
/// Its driver refuses.
pub fn reopen(failed: &OpenDevice) -> Result<OpenDevice, DeviceError> {
    let Some(adapter) = &failed.adapter else { return Ok(failed.clone()) };
    let before = adapter::behind(&failed.device);
    if let Some(before) = &before {
        before.destroy();
    }
    let device = register(adapter)?;
    if let (Some(before), Some(now)) = (before, adapter::behind(&device)) {
        now.take_switches(&before);
    }
    opened().insert(adapter.number, device.clone());
    Ok(describe_open(&describe(adapter.number, &found()[adapter.number]), device))
}

/// Requests a wgpu device with everything its adapter offers and hands it to Burn.
pub(super) fn register(adapter: &AdapterInfo) -> Result<Device, DeviceError> {
    let found = &found()[adapter.number];
    request(found).map_err(|reason| DeviceError::DoesNotOpen {
        number: adapter.number,
        name: adapter.name.clone(),
        reason,
    })
}

fn request(found: &Found) -> Result<Device, String> {
    // Burn's runtime takes a device for able to do what its adapter offers. Of what wgpu calls experimental we use one thing.
    let unused = wgpu::Features::all_experimental_mask().difference(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX);
    // Mappable primary buffers put every buffer into memory that the host can see, which is slow on a card.
    let unused = unused.union(wgpu::Features::MAPPABLE_PRIMARY_BUFFERS);
    let descriptor = wgpu::DeviceDescriptor {
        label: Some("electra"),
        required_features: found.adapter.features().difference(unused),
        required_limits: found.adapter.limits(),
        // Burn pools its allocations itself.
        memory_hints: wgpu::MemoryHints::MemoryUsage,
        trace: wgpu::Trace::Off,
        // SAFETY: the token promises that bugs in wgpu's experimental features are accepted. Cooperative matrices are the
        // only ones requested, for kernels that are tested against their reference bodies on every adapter.
        experimental_features: unsafe { wgpu::ExperimentalFeatures::enabled() },
    };
    let (wgpu_device, queue) =
        cubecl::future::block_on(found.adapter.request_device(&descriptor)).map_err(|error| error.to_string())?;
    let setup = WgpuSetup {
        instance: found.instance.clone(),
        adapter: found.adapter.clone(),
        device: wgpu_device.clone(),
        queue,
        backend: found.adapter.get_info().backend,
    };
    let device = Device::wgpu_options().setup(setup).init().map_err(|error| error.to_string())?;
    let workgroup_bytes = found.adapter.limits().max_compute_workgroup_storage_size as usize;
    let traits =
        Traits { cooperative_matrix: cooperative_matrix_of(found), subgroup: subgroup_of(found), workgroup_bytes };
    let adapter = adapter::register(&device, traits, wgpu_device);
    inject(&adapter);
    Ok(device)
}
