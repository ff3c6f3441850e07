//! The adapter that a browser offers, through WebGPU.
//!
//! It tells little of itself: neither how much memory there is, nor whether it is a card. It is opened through handles of our
//! own, as elsewhere, so that its complaints and its end are heard, and so that it can be opened anew after it was lost.

use std::sync::Once;

use burn::tensor::Device;
use burn::tensor::wgpu::{WgpuSetup, wgpu};
use thiserror::Error;

use crate::gpu::adapter::{self, Traits};

/// A device that is ready for tensors.
#[derive(Debug, Clone)]
pub struct BrowserDevice {
    /// For tensors.
    pub device: Device,
    /// In words; browsers give away little.
    pub description: String,
    /// Whether the browser emulates it on the CPU.
    pub is_fallback: bool,
    /// Bytes of the largest array that a kernel may take.
    pub max_binding_bytes: u64,
}

/// Why a page has to compute on the CPU.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoWebGpu {
    /// The reason, in the browser's words.
    #[error("the browser offers no WebGPU adapter ({0}); compute on the CPU")]
    NoAdapter(String),
    /// As above.
    #[error("the browser's WebGPU adapter does not open ({0}); compute on the CPU")]
    DoesNotOpen(String),
}

/// Runs the constructors of the module's statics, of which Burn's runtime has registries: the first thing that a page's module
/// does when it starts.
///
/// Where nobody names them, the linker has them run before every call from JavaScript, those of the glue included: most of a
/// step's time, and registries that grow with each.
pub fn run_constructors() {
    unsafe extern "C" {
        fn __wasm_call_ctors();
    }
    static ONCE: Once = Once::new();
    // SAFETY: the linker makes the function, which takes and returns nothing; it runs once, before anything uses what it registers.
    ONCE.call_once(|| unsafe { __wasm_call_ctors() });
}

/// Opens the browser's adapter with all it offers: a new device with each call.
///
/// # Errors
/// There is none, or it does not open.
pub async fn open_in_browser() -> Result<BrowserDevice, NoWebGpu> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends: wgpu::Backends::BROWSER_WEBGPU,
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    });
    let wanted = wgpu::RequestAdapterOptions {
        power_preference: wgpu::PowerPreference::HighPerformance,
        ..wgpu::RequestAdapterOptions::default()
    };
    let adapter = instance.request_adapter(&wanted).await.map_err(|error| NoWebGpu::NoAdapter(error.to_string()))?;
    let limits = adapter.limits();
    let descriptor = wgpu::DeviceDescriptor {
        label: Some("electra"),
        required_features: adapter.features(),
        required_limits: limits.clone(),
        ..wgpu::DeviceDescriptor::default()
    };
    let does_not_open = |reason: &dyn ToString| NoWebGpu::DoesNotOpen(reason.to_string());
    let (device, queue) = adapter.request_device(&descriptor).await.map_err(|error| does_not_open(&error))?;
    let info = adapter.get_info();
    let wgpu_device = device.clone();
    let setup = WgpuSetup { instance, adapter, device, queue, backend: info.backend };
    let device = Device::wgpu_options().setup(setup).init().map_err(|error| does_not_open(&error))?;
    let workgroup_bytes = limits.max_compute_workgroup_storage_size as usize;
    // Subgroups are not to be had in a page, nor are cooperative matrices.
    adapter::register(&device, Traits { workgroup_bytes, ..Traits::default() }, wgpu_device);
    let name = [info.name, info.driver].into_iter().find(|name| !name.is_empty());
    Ok(BrowserDevice {
        device,
        is_fallback: info.device_type == wgpu::DeviceType::Cpu,
        description: format!("WebGPU ({})", name.unwrap_or_else(|| "an adapter without a name".to_owned())),
        max_binding_bytes: limits.max_storage_buffer_binding_size,
    })
}

/// Loses a device, as a driver does that resets its card: for tests.
#[doc(hidden)]
pub fn lose(device: &Device) {
    if let Some(adapter) = adapter::behind(device) {
        adapter.destroy();
    }
}
