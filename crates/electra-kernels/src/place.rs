//! Where an operation runs: the one dispatch of all of them.
//!
//! A fused body takes tensors of f32, all on its kind of device, whose graph keeps what it is told to keep. For another
//! precision, a graph that recomputes by itself, or a kernel that was switched off because it failed on this adapter, the
//! reference body runs.

use burn::backend::DispatchDevice;
use burn::tensor::{Device, Tensor};

use crate::autodiff::is_f32_on;
use crate::gpu::adapter;
use crate::reference_only::is_reference_only;
use crate::types::kernel::Kernel;

/// Whose body of an operation runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Fused, on the CPU.
    Cpu,
    /// Shaders, on a graphics adapter.
    Gpu,
    /// Burn primitives, on any device.
    Reference,
}

/// A tensor of any rank.
pub(crate) trait Placed {
    fn device(&self) -> Device;
    fn is_f32_on(&self, is: fn(&DispatchDevice) -> bool) -> bool;
}

impl<const D: usize> Placed for Tensor<D> {
    fn device(&self) -> Device {
        self.device()
    }

    fn is_f32_on(&self, is: fn(&DispatchDevice) -> bool) -> bool {
        is_f32_on(self, is)
    }
}

impl Place {
    /// Where `kernel` runs on these operands, of which there is at least one. Bodies have conditions of their own beyond that.
    pub(crate) fn of(kernel: Kernel, operands: &[&dyn Placed]) -> Self {
        let all_are_on = |is: fn(&DispatchDevice) -> bool| operands.iter().all(|operand| operand.is_f32_on(is));
        if all_are_on(|device| matches!(device, DispatchDevice::Flex(_))) {
            return if is_reference_only() { Self::Reference } else { Self::Cpu };
        }
        let is_on = || adapter::behind(&operands[0].device()).is_none_or(|adapter| adapter.is_enabled(kernel));
        if all_are_on(|device| matches!(device, DispatchDevice::Cube(_))) && is_on() {
            Self::Gpu
        } else {
            Self::Reference
        }
    }
}

/// Switches `kernel` on or off for an adapter: off, its operation runs as Burn primitives there.
pub fn set_enabled(device: &Device, kernel: Kernel, enabled: bool) {
    if let Some(adapter) = adapter::behind(device) {
        adapter.set_enabled(kernel, enabled);
    }
}

/// Whether no kernel of `device` was switched off.
pub fn all_enabled(device: &Device) -> bool {
    adapter::behind(device).is_none_or(|adapter| adapter.are_all_enabled())
}
