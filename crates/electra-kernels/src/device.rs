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

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, OnceLock, PoisonError};

use burn::tensor::Device;
use burn::tensor::wgpu::{WgpuSetup, wgpu};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::gpu::adapter::{self, Traits};
use crate::gpu::units::Units;

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

/// What kind of hardware an adapter stands for, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AdapterKind {
    /// A card with its own memory.
    DiscreteGpu,
    /// A GPU that shares the processor's memory.
    IntegratedGpu,
    /// A GPU as a virtual machine sees it.
    VirtualGpu,
    /// The graphics interface does not tell.
    Other,
    /// A program on the CPU that emulates a GPU, such as Mesa's llvmpipe or Microsoft's WARP.
    Software,
}

impl fmt::Display for AdapterKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::DiscreteGpu => "discrete GPU",
            Self::IntegratedGpu => "integrated GPU",
            Self::VirtualGpu => "virtual GPU",
            Self::Other => "unknown kind",
            Self::Software => "software",
        })
    }
}

/// The limits of an adapter that decide which kernels and which models it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AdapterLimits {
    /// Largest buffer, in bytes.
    pub max_buffer_bytes: u64,
    /// Largest part of a buffer that one kernel argument may cover, in bytes.
    pub max_storage_binding_bytes: u64,
    /// Buffers that one kernel may take.
    pub max_storage_buffers: u32,
    /// Memory that the invocations of one workgroup share, in bytes.
    pub workgroup_memory_bytes: u32,
    /// Invocations in one workgroup.
    pub max_workgroup_invocations: u32,
    /// Workgroups along one dimension of a dispatch.
    pub max_workgroups_per_dimension: u32,
    /// Narrowest and widest subgroup.
    pub subgroup_sizes: [u32; 2],
}

/// The optional features of an adapter that kernels make use of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct AdapterFeatures {
    /// Half-precision arithmetic in shaders.
    pub f16: bool,
    /// Sums and shuffles across a subgroup.
    pub subgroups: bool,
    /// Times measured on the device itself.
    pub timestamps: bool,
    /// Matrix products of whole subgroups (tensor cores).
    pub cooperative_matrix: bool,
    /// Rows and columns of the matrices that products in half precision give them, where they take f16 and add up in f32.
    pub matrix_unit: Option<usize>,
    /// Atomic addition of f32.
    pub float_atomics: bool,
}

/// One graphics adapter of this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AdapterInfo {
    /// N of `gpu:N`.
    pub number: usize,
    pub name: String,
    /// Graphics interface: `vulkan`, `metal` or `dx12`.
    pub backend: String,
    pub kind: AdapterKind,
    /// Driver's name and version; empty where the interface does not tell.
    pub driver: String,
    /// Vendor's name, or its PCI number where the name is not known here.
    pub vendor: String,
    /// Whether the CPU emulates it.
    pub is_software: bool,
    pub limits: AdapterLimits,
    pub features: AdapterFeatures,
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
    /// What the user should know about this choice.
    pub warning: Option<String>,
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
        warning: warning.map(|reason| format!("{reason}; the CPU is used instead")),
    }
}

/// The first of the best kind: graphics interfaces are asked in order of preference, so the order breaks ties.
fn best(adapters: &[AdapterInfo]) -> Option<&AdapterInfo> {
    adapters.iter().min_by_key(|adapter| (adapter.kind, adapter.number))
}

fn open_adapter(adapter: &AdapterInfo) -> Result<OpenDevice, DeviceError> {
    // Burn makes a new runtime, with memory pools of its own, each time handles are registered: register once.
    static OPENED: OnceLock<Mutex<HashMap<usize, Device>>> = OnceLock::new();
    let mut opened = OPENED.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    let device = match opened.get(&adapter.number) {
        Some(device) => device.clone(),
        None => {
            let device = register(&found()[adapter.number]).map_err(|reason| DeviceError::DoesNotOpen {
                number: adapter.number,
                name: adapter.name.clone(),
                reason,
            })?;
            opened.insert(adapter.number, device.clone());
            device
        }
    };
    Ok(OpenDevice {
        device,
        description: format!("{} ({}, {})", adapter.name, adapter.backend, adapter.kind),
        is_gpu: true,
        has_f16: adapter.features.f16,
        max_binding_bytes: adapter.limits.max_storage_binding_bytes,
        warning: adapter.is_software.then(|| {
            format!("{} emulates a GPU on the CPU and is slow; --device cpu is many times faster", adapter.name)
        }),
    })
}

/// Requests a wgpu device with everything its adapter offers and hands it to Burn.
fn register(found: &Found) -> Result<Device, String> {
    let descriptor = wgpu::DeviceDescriptor {
        label: Some("electra"),
        // Mappable primary buffers put every buffer into memory that the host can see, which is slow on a card.
        required_features: found.adapter.features().difference(wgpu::Features::MAPPABLE_PRIMARY_BUFFERS),
        required_limits: found.adapter.limits(),
        // Burn pools its allocations itself.
        memory_hints: wgpu::MemoryHints::MemoryUsage,
        trace: wgpu::Trace::Off,
        // SAFETY: the token promises that bugs in wgpu's experimental features are accepted. Only cooperative matrices
        // are used of them, by kernels that are tested against their reference bodies on every adapter.
        experimental_features: unsafe { wgpu::ExperimentalFeatures::enabled() },
    };
    let (device, queue) =
        cubecl::future::block_on(found.adapter.request_device(&descriptor)).map_err(|error| error.to_string())?;
    let setup = WgpuSetup {
        instance: found.instance.clone(),
        adapter: found.adapter.clone(),
        device,
        queue,
        backend: found.adapter.get_info().backend,
    };
    let device = Device::wgpu_options().setup(setup).init().map_err(|error| error.to_string())?;
    adapter::register(&device, Traits { units: units_of(found), subgroup: subgroup_of(found) });
    Ok(device)
}

/// Lanes of the adapter's subgroups, where all have as many and may hand values on.
fn subgroup_of(found: &Found) -> Option<usize> {
    let info = found.adapter.get_info();
    let has_one_size = info.subgroup_min_size == info.subgroup_max_size;
    let may = found.adapter.features().contains(wgpu::Features::SUBGROUP);
    (has_one_size && may).then_some(info.subgroup_max_size as usize)
}

/// The adapter's matrix units, where kernels can use them.
fn units_of(found: &Found) -> Option<Units> {
    let needed =
        wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX | wgpu::Features::SHADER_F16 | wgpu::Features::SUBGROUP;
    if !found.adapter.features().contains(needed) {
        return None;
    }
    let (info, limits) = (found.adapter.get_info(), found.adapter.limits());
    let subgroups = [info.subgroup_min_size as usize, info.subgroup_max_size as usize];
    let most_lanes = limits.max_compute_invocations_per_workgroup.min(limits.max_compute_workgroup_size_x) as usize;
    let workgroup_bytes = limits.max_compute_workgroup_storage_size as usize;
    fitting_sizes(&found.adapter.cooperative_matrix_properties())
        .into_iter()
        .map(|size| Units { size, subgroups, is_emulated: false })
        .find(|units| units.fit(most_lanes, workgroup_bytes))
}

/// Of `offered`, the sizes of square matrices of f16 with sums in f32, larger ones first: they read less for a product.
fn fitting_sizes(offered: &[wgpu::CooperativeMatrixProperties]) -> Vec<usize> {
    let fits = |of: &&wgpu::CooperativeMatrixProperties| {
        of.m_size == of.n_size
            && of.m_size == of.k_size
            && of.ab_type == wgpu::CooperativeScalarType::F16
            && of.cr_type == wgpu::CooperativeScalarType::F32
    };
    let mut sizes: Vec<usize> = offered.iter().filter(fits).map(|of| of.m_size as usize).collect();
    sizes.sort_unstable_by(|one, other| other.cmp(one));
    sizes
}

/// A wgpu device beside Burn's on the best adapter, for tests.
#[cfg(test)]
pub(crate) fn test_device() -> (wgpu::Device, wgpu::Queue) {
    let number = best(&adapters()).expect("there is an adapter, since tests use it").number;
    let adapter = &found()[number].adapter;
    let descriptor = wgpu::DeviceDescriptor {
        // What products in half precision, and those that share what they read, are tested with.
        required_features: adapter.features() & (wgpu::Features::SHADER_F16 | wgpu::Features::SUBGROUP),
        required_limits: adapter.limits(),
        ..wgpu::DeviceDescriptor::default()
    };
    cubecl::future::block_on(adapter.request_device(&descriptor)).expect("an adapter opens twice")
}

/// An adapter and the instance it came from, which must outlive it.
struct Found {
    instance: wgpu::Instance,
    adapter: wgpu::Adapter,
}

fn found() -> &'static [Found] {
    static FOUND: OnceLock<Vec<Found>> = OnceLock::new();
    FOUND.get_or_init(|| {
        // Not OpenGL: it shows the same adapters once more, with fewer features.
        [wgpu::Backends::VULKAN, wgpu::Backends::METAL, wgpu::Backends::DX12].into_iter().flat_map(probe).collect()
    })
}

fn probe(backends: wgpu::Backends) -> Vec<Found> {
    if !wgpu::Instance::enabled_backend_features().contains(backends) {
        return Vec::new();
    }
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends,
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    });
    let adapters = cubecl::future::block_on(instance.enumerate_adapters(backends));
    let runs_compute = |adapter: &wgpu::Adapter| {
        adapter.get_downlevel_capabilities().flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS)
    };
    adapters.into_iter().filter(runs_compute).map(|adapter| Found { instance: instance.clone(), adapter }).collect()
}

fn describe(number: usize, found: &Found) -> AdapterInfo {
    let info = found.adapter.get_info();
    let limits = found.adapter.limits();
    let features = found.adapter.features();
    let kind = match info.device_type {
        wgpu::DeviceType::DiscreteGpu => AdapterKind::DiscreteGpu,
        wgpu::DeviceType::IntegratedGpu => AdapterKind::IntegratedGpu,
        wgpu::DeviceType::VirtualGpu => AdapterKind::VirtualGpu,
        wgpu::DeviceType::Cpu => AdapterKind::Software,
        wgpu::DeviceType::Other => AdapterKind::Other,
    };
    AdapterInfo {
        number,
        name: info.name,
        backend: info.backend.to_string(),
        kind,
        driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
        vendor: vendor_name(info.vendor),
        is_software: kind == AdapterKind::Software,
        limits: AdapterLimits {
            max_buffer_bytes: limits.max_buffer_size,
            max_storage_binding_bytes: limits.max_storage_buffer_binding_size,
            max_storage_buffers: limits.max_storage_buffers_per_shader_stage,
            workgroup_memory_bytes: limits.max_compute_workgroup_storage_size,
            max_workgroup_invocations: limits.max_compute_invocations_per_workgroup,
            max_workgroups_per_dimension: limits.max_compute_workgroups_per_dimension,
            subgroup_sizes: [info.subgroup_min_size, info.subgroup_max_size],
        },
        features: AdapterFeatures {
            f16: features.contains(wgpu::Features::SHADER_F16),
            subgroups: features.contains(wgpu::Features::SUBGROUP),
            timestamps: features.contains(wgpu::Features::TIMESTAMP_QUERY),
            cooperative_matrix: features.contains(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX),
            matrix_unit: units_of(found).map(|units| units.size),
            float_atomics: features.contains(wgpu::Features::SHADER_FLOAT32_ATOMIC),
        },
    }
}

/// PCI vendor numbers, and Khronos's for vendors without one.
fn vendor_name(vendor: u32) -> String {
    let name = match vendor {
        0x1002 | 0x1022 => "AMD",
        0x10de => "NVIDIA",
        0x8086 => "Intel",
        0x106b => "Apple",
        0x13b5 => "Arm",
        0x5143 | 0x4d4f_4351 => "Qualcomm",
        0x1010 => "Imagination",
        0x1414 => "Microsoft",
        0x1_0005 => "Mesa",
        _ => return format!("{vendor:#06x}"),
    };
    name.to_owned()
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
    fn the_largest_square_matrices_of_f16_with_sums_in_f32_are_taken() {
        use wgpu::CooperativeScalarType::{F16, F32};
        let of = |[m_size, n_size, k_size]: [u32; 3], ab_type, cr_type| wgpu::CooperativeMatrixProperties {
            m_size,
            n_size,
            k_size,
            ab_type,
            cr_type,
            saturating_accumulation: false,
        };
        assert_eq!(fitting_sizes(&[of([8; 3], F32, F32), of([16; 3], F16, F16), of([16, 8, 16], F16, F32)]), [0; 0]);
        assert_eq!(fitting_sizes(&[of([8; 3], F32, F32), of([8; 3], F16, F32)]), [8]);
        assert_eq!(fitting_sizes(&[of([8; 3], F16, F32), of([16; 3], F16, F32)]), [16, 8]);
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
