//! How much memory an adapter has to give.
//!
//! wgpu does not say, and Burn's runtime only where it emits SPIR-V. Vulkan does: the heaps of the physical device and, where
//! the driver keeps a budget (VK_EXT_memory_budget), what other programs leave of them now. Elsewhere nobody is asked: a
//! micro-batch begins at what small cards hold, and whoever finds that too much halves it.

use burn::tensor::wgpu::wgpu;

/// Bytes that the largest heap of the adapter's own memory has free, by its driver's word.
#[cfg(any(target_os = "linux", target_os = "windows"))]
pub(super) fn free_bytes(adapter: &wgpu::Adapter) -> Option<u64> {
    use ash::vk;

    // SAFETY: the handles are asked for properties alone, and outlived by the adapter.
    let hal = unsafe { adapter.as_hal::<wgpu::hal::api::Vulkan>() }?;
    let (instance, device) = (hal.shared_instance().raw_instance(), hal.raw_physical_device());
    let capabilities = hal.physical_device_capabilities();
    let is_recent = hal.shared_instance().instance_api_version() >= vk::API_VERSION_1_1
        && capabilities.properties().api_version >= vk::API_VERSION_1_1;
    let mut budget = vk::PhysicalDeviceMemoryBudgetPropertiesEXT::default();
    let keeps_budget = is_recent && capabilities.supports_extension(ash::ext::memory_budget::NAME);
    let heaps = if keeps_budget {
        let mut properties = vk::PhysicalDeviceMemoryProperties2::default().push_next(&mut budget);
        // SAFETY: the device is this instance's, and both know version 1.1, which has this function.
        unsafe { instance.get_physical_device_memory_properties2(device, &mut properties) };
        properties.memory_properties
    } else {
        // SAFETY: the device is this instance's.
        unsafe { instance.get_physical_device_memory_properties(device) }
    };
    let free = |(number, heap): (usize, &vk::MemoryHeap)| {
        let left = budget.heap_budget[number].saturating_sub(budget.heap_usage[number]);
        if keeps_budget { left.min(heap.size) } else { heap.size }
    };
    let own = heaps.memory_heaps[..heaps.memory_heap_count as usize].iter().enumerate();
    own.filter(|(_, heap)| heap.flags.contains(vk::MemoryHeapFlags::DEVICE_LOCAL)).map(free).max()
}

#[cfg(not(any(target_os = "linux", target_os = "windows")))]
pub(super) fn free_bytes(_: &wgpu::Adapter) -> Option<u64> {
    None
}
