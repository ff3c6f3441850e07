//! Which device does the work: listing adapters, choosing one by the user's word, opening it once.
//!
//! The choice is made at run time. `auto` wants what is fastest without surprises: a real GPU, else the CPU backend,
//! never an adapter that emulates a GPU on the CPU, since Burn's own CPU backend is many times faster than that. `gpu`
//! wants a GPU's code path and therefore takes the emulation too, with a warning; tests on machines without a GPU use
//! it. Adapters are opened through wgpu handles of our own and then lent to Burn, so that the adapter that was listed
//! as number N is the adapter that is opened as `gpu:N`: Burn's own selectors count each kind of adapter separately.
//!
//! Native only: a page asks its browser for the one adapter that it offers.
#![cfg(not(target_family = "wasm"))]

mod adapters;
#[doc(hidden)]
pub mod for_tests;
mod memory;

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use burn::tensor::Device;
use burn::tensor::wgpu::{WgpuSetup, wgpu};
use serde::{Deserialize, Serialize};
use thiserror::Error;

#[cfg(test)]
pub(crate) use adapters::test_device;
pub use adapters::{AdapterFeatures, AdapterInfo, AdapterKind, AdapterLimits};
use adapters::{Found, describe, found, subgroup_of, units_of};

use crate::gpu::adapter::{self, Traits};

/// The user's word for a device: `auto`, `cpu`, `gpu` or `gpu:N`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DeviceChoice {
    /// The best hardware adapter, else the CPU.
    #[default]
    Auto,
    /// Burn's CPU backend.
    Cpu,
    /// The best adapter, a software one included.
    Gpu,
    /// The adapter with this number in [`adapters`].
    GpuIndex(usize),
}

impl FromStr for DeviceChoice {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "gpu" => Ok(Self::Gpu),
            _ => text
                .strip_prefix("gpu:")
                .and_then(|number| number.parse().ok())
                .map(Self::GpuIndex)
                .ok_or_else(|| DeviceError::UnknownChoice(text.to_owned())),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => formatter.write_str("auto"),
            Self::Cpu => formatter.write_str("cpu"),
            Self::Gpu => formatter.write_str("gpu"),
            Self::GpuIndex(number) => write!(formatter, "gpu:{number}"),
        }
    }
}

impl TryFrom<String> for DeviceChoice {
    type Error = DeviceError;

    fn try_from(text: String) -> Result<Self, DeviceError> {
        text.parse()
    }
}

impl From<DeviceChoice> for String {
    fn from(choice: DeviceChoice) -> Self {
        choice.to_string()
    }
}

/// Why no device could be had.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DeviceError {
    #[error("device \"{0}\" is not known; write auto, cpu, gpu or gpu:N, where N is a number from `electra devices`")]
    UnknownChoice(String),
    #[error(
        "device \"{0}\": no graphics adapter was found (Vulkan, Metal and DirectX 12 were asked); \
         install the GPU's driver (on Linux its Vulkan one), or use --device cpu"
    )]
    NoAdapter(DeviceChoice),
    #[error(
        "device \"gpu:{number}\": there {} (gpu:0{}); `electra devices` lists them",
        if *count == 1 { "is one adapter only".to_owned() } else { format!("are {count} adapters") },
        if *count == 1 { String::new() } else { format!(" to gpu:{}", count - 1) }
    )]
    NoSuchAdapter { number: usize, count: usize },
    #[error("device \"gpu:{number}\" ({name}) does not open: {reason}; try another one of `electra devices`, or cpu")]
    DoesNotOpen { number: usize, name: String, reason: String },
}

/// A device that is ready for tensors.
#[derive(Debug, Clone)]
pub struct OpenDevice {
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

/// The adapters that can run compute shaders, in the order of their numbers; empty where there is none.
///
/// The machine is asked once per process: drivers are slow to answer, and numbers must not change under a user's feet.
pub fn adapters() -> Vec<AdapterInfo> {
    found().iter().enumerate().map(|(number, adapter)| describe(number, adapter)).collect()
}

/// The number of the adapter that [`DeviceChoice::Auto`] tries; `None` means the CPU.
pub fn automatic(adapters: &[AdapterInfo]) -> Option<usize> {
    best(adapters).filter(|adapter| !adapter.is_software).map(|adapter| adapter.number)
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

/// The first of the best kind: graphics interfaces are asked in order of preference, so the order breaks ties.
fn best(adapters: &[AdapterInfo]) -> Option<&AdapterInfo> {
    adapters.iter().min_by_key(|adapter| (adapter.kind, adapter.number))
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

fn describe_open(adapter: &AdapterInfo, device: Device) -> OpenDevice {
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
fn register(adapter: &AdapterInfo) -> Result<Device, DeviceError> {
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
    let traits = Traits { units: units_of(found), subgroup: subgroup_of(found), workgroup_bytes };
    let adapter = adapter::register(&device, traits, wgpu_device);
    for_tests::inject(&adapter);
    Ok(device)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapter(number: usize, kind: AdapterKind) -> AdapterInfo {
        AdapterInfo {
            number,
            name: format!("adapter {number}"),
            backend: "vulkan".into(),
            kind,
            driver: String::new(),
            vendor: String::new(),
            is_software: kind == AdapterKind::Software,
            free_memory_bytes: None,
            limits: AdapterLimits {
                max_buffer_bytes: 0,
                max_storage_binding_bytes: 0,
                max_storage_buffers: 0,
                workgroup_memory_bytes: 0,
                max_workgroup_invocations: 0,
                max_workgroups_per_dimension: 0,
                subgroup_sizes: [0, 0],
            },
            features: AdapterFeatures {
                f16: false,
                subgroups: false,
                timestamps: false,
                cooperative_matrix: false,
                matrix_unit: None,
                float_atomics: false,
            },
        }
    }

    #[test]
    fn every_word_for_a_device_survives_a_round_trip() {
        for word in ["auto", "cpu", "gpu", "gpu:0", "gpu:17"] {
            assert_eq!(word.parse::<DeviceChoice>().unwrap().to_string(), word);
        }
        for word in ["", "GPU", "gpu:", "gpu:-1", "gpu:x", "cuda"] {
            let message = word.parse::<DeviceChoice>().unwrap_err().to_string();
            assert!(message.contains("auto, cpu, gpu or gpu:N"), "{message}");
        }
    }

    #[test]
    fn a_discrete_card_wins_and_a_software_adapter_is_never_automatic() {
        use AdapterKind::*;
        let kinds = [Software, VirtualGpu, IntegratedGpu, DiscreteGpu, DiscreteGpu, Other];
        let all: Vec<_> = kinds.iter().enumerate().map(|(number, &kind)| adapter(number, kind)).collect();
        assert_eq!(best(&all).map(|adapter| adapter.number), Some(3));
        assert_eq!(automatic(&all), Some(3));
        assert_eq!(automatic(&all[..1]), None);
        assert_eq!(best(&all[..1]).map(|adapter| adapter.number), Some(0));
        assert_eq!(automatic(&[]), None);
    }

    #[test]
    fn an_adapter_number_beyond_the_list_says_how_many_there_are() {
        let message = |count| DeviceError::NoSuchAdapter { number: 7, count }.to_string();
        assert!(message(1).contains("there is one adapter only (gpu:0);"), "{}", message(1));
        assert!(message(3).contains("there are 3 adapters (gpu:0 to gpu:2);"), "{}", message(3));
    }

    #[test]
    fn the_cpu_always_opens() {
        let opened = open(DeviceChoice::Cpu).unwrap();
        assert!(!opened.is_gpu && opened.warning.is_none());
        let sum = burn::tensor::Tensor::<1>::from_floats([1.0, 2.0, 3.0], &opened.device).sum();
        assert_eq!(sum.into_scalar::<f32>(), 6.0);
    }
}
