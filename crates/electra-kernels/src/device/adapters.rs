//! The graphics adapters of this machine: finding them once, and what each is and can do.

use std::fmt;
use std::sync::OnceLock;

use burn::tensor::wgpu::wgpu;
use serde::Serialize;

use super::memory;
use crate::gpu::cooperative_matrix::CooperativeMatrix;

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
    #[serde(rename = "matrix_unit")]
    pub cooperative_matrix_size: Option<usize>,
    /// Atomic addition of f32.
    pub float_atomics: bool,
}

/// One graphics adapter of this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AdapterInfo {
    /// N of `gpu:N`.
    pub number: usize,
    /// As its driver calls it.
    pub name: String,
    /// Graphics interface: `vulkan`, `metal` or `dx12`.
    pub backend: String,
    /// Whether it has memory of its own, or is a program.
    pub kind: AdapterKind,
    /// Driver's name and version; empty where the interface does not tell.
    pub driver: String,
    /// Vendor's name, or its PCI number where the name is not known here.
    pub vendor: String,
    /// Whether the CPU emulates it.
    pub is_software: bool,
    /// Bytes of its own memory that are free now; `None` where its graphics interface does not tell.
    pub free_memory_bytes: Option<u64>,
    /// What it binds and holds.
    pub limits: AdapterLimits,
    /// What its shaders can do.
    pub features: AdapterFeatures,
}

/// Of the memory that a driver's budget leaves us, what arrays may take.
const MOST_MEMORY_PERCENT: u8 = 98;

/// An adapter and the instance it came from, which must outlive it.
pub(crate) struct Found {
    pub(super) instance: wgpu::Instance,
    pub(crate) adapter: wgpu::Adapter,
}

/// All adapters, in the order of their numbers.
pub(crate) fn found() -> &'static [Found] {
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
        // An array that does not fit is an error rather than a card that pages, where drivers keep a budget.
        memory_budget_thresholds: wgpu::MemoryBudgetThresholds {
            for_resource_creation: Some(MOST_MEMORY_PERCENT),
            ..wgpu::MemoryBudgetThresholds::default()
        },
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    });
    let adapters = cubecl::future::block_on(instance.enumerate_adapters(backends));
    let runs_compute = |adapter: &wgpu::Adapter| {
        adapter.get_downlevel_capabilities().flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS)
    };
    adapters.into_iter().filter(runs_compute).map(|adapter| Found { instance: instance.clone(), adapter }).collect()
}

/// The adapters that can run compute shaders, in the order of their numbers; empty where there is none.
///
/// The machine is asked once per process: drivers are slow to answer, and numbers must not change under a user's feet.
pub fn adapters() -> Vec<AdapterInfo> {
    found().iter().enumerate().map(|(number, adapter)| describe(number, adapter)).collect()
}

/// The number of the adapter that `auto` tries; `None` means the CPU.
pub fn automatic(adapters: &[AdapterInfo]) -> Option<usize> {
    best(adapters).filter(|adapter| !adapter.is_software).map(|adapter| adapter.number)
}

/// The first of the best kind: graphics interfaces are asked in order of preference, so the order breaks ties.
pub(crate) fn best(adapters: &[AdapterInfo]) -> Option<&AdapterInfo> {
    adapters.iter().min_by_key(|adapter| (adapter.kind, adapter.number))
}

pub(super) fn describe(number: usize, found: &Found) -> AdapterInfo {
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
        free_memory_bytes: memory::free_bytes(&found.adapter),
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
            cooperative_matrix_size: cooperative_matrix_of(found).map(|cooperative_matrix| cooperative_matrix.size),
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

/// Lanes of the adapter's subgroups, where all have as many and may hand values on.
pub(super) fn subgroup_of(found: &Found) -> Option<usize> {
    let info = found.adapter.get_info();
    let has_one_size = info.subgroup_min_size == info.subgroup_max_size;
    let may = found.adapter.features().contains(wgpu::Features::SUBGROUP);
    (has_one_size && may).then_some(info.subgroup_max_size as usize)
}

/// The adapter's cooperative matrices, where kernels can use them.
pub(super) fn cooperative_matrix_of(found: &Found) -> Option<CooperativeMatrix> {
    let needed =
        wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX | wgpu::Features::SHADER_F16 | wgpu::Features::SUBGROUP;
    if !found.adapter.features().contains(needed) {
        return None;
    }
    let (info, limits) = (found.adapter.get_info(), found.adapter.limits());
    let subgroups = [info.subgroup_min_size as usize, info.subgroup_max_size as usize];
    let most_lanes = limits.max_compute_invocations_per_workgroup.min(limits.max_compute_workgroup_size_x) as usize;
    let workgroup_bytes = limits.max_compute_workgroup_storage_size as usize;
    // In Vulkan matrices are loaded from arrays of vectors too; in Metal from arrays of their own kind alone.
    let takes_fours = info.backend == wgpu::Backend::Vulkan;
    fitting_sizes(&found.adapter.cooperative_matrix_properties())
        .into_iter()
        .find_map(|size| CooperativeMatrix::new(size, subgroups, takes_fours, most_lanes, workgroup_bytes))
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
