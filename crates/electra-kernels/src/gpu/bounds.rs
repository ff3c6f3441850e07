//! Every launch of a test once more, with naga's bounds checks.
//!
//! Natively nothing checks an index: Burn's runtime compiles WGSL as it is. With `ELECTRA_CHECK_BOUNDS=1` each launch of
//! this crate's tests is repeated on a wgpu device of its own, where every access is confined to its array, from the same
//! values and on arrays of exactly their length. A kernel that reads or writes beyond one gives other results there.

use std::sync::LazyLock;

use burn::tensor::wgpu::wgpu::{self, util::DeviceExt};
use burn_wgpu::CubeTensor;

static IS_ON: LazyLock<bool> =
    LazyLock::new(|| std::env::var_os("ELECTRA_CHECK_BOUNDS").is_some_and(|value| value == "1"));

static DEVICE: LazyLock<(wgpu::Device, wgpu::Queue)> = LazyLock::new(crate::device::test_device);

/// A launch as it was before it ran.
pub(super) struct Launched {
    buffers: Vec<Vec<u8>>,
    source: String,
    table: Vec<u8>,
    grid: [u32; 2],
}

/// What is needed to repeat a launch; `None` where nobody asked for it.
pub(super) fn before(
    buffers: &[&CubeTensor],
    source: impl FnOnce() -> String,
    table: &[u64],
    grid: [u32; 2],
) -> Option<Launched> {
    IS_ON.then(|| Launched {
        buffers: buffers.iter().map(|buffer| read(buffer)).collect(),
        source: source(),
        table: table.iter().flat_map(|word| word.to_le_bytes()).collect(),
        grid,
    })
}

/// Repeats a launch with checks, and compares every array with what the launch itself left.
///
/// # Panics
/// If one differs.
pub(super) fn after(name: &str, launched: Option<Launched>, buffers: &[&CubeTensor]) {
    let Some(launched) = launched else { return };
    let found: Vec<Vec<u8>> = buffers.iter().map(|buffer| read(buffer)).collect();
    let expected = checked(&launched);
    for (binding, (found, expected)) in found.iter().zip(&expected).enumerate() {
        // Bound twice, an array is two here.
        let shared = buffers.iter().enumerate().any(|(other, buffer)| {
            other != binding && buffer.handle.memory.descriptor() == buffers[binding].handle.memory.descriptor()
        });
        assert!(shared || found == expected, "{name}: binding {binding} differs where accesses are confined to arrays");
    }
}

/// The array's values, without what lies behind it, but with what lies between rows that are apart.
fn read(buffer: &CubeTensor) -> Vec<u8> {
    let bytes = buffer.client.read_one(buffer.handle.clone()).expect("the device gives its results back");
    let (shape, strides) = (buffer.meta.shape(), buffer.meta.strides());
    let last: usize = shape.iter().zip(strides.iter()).map(|(length, stride)| length.saturating_sub(1) * stride).sum();
    bytes[..4 * (last + 1)].to_vec()
}

fn checked(launched: &Launched) -> Vec<Vec<u8>> {
    let (device, queue) = &*DEVICE;
    // Checks are what wgpu does unless it is told not to.
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: None,
        source: wgpu::ShaderSource::Wgsl(launched.source.as_str().into()),
    });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: None,
        layout: None,
        module: &module,
        entry_point: Some("main"),
        compilation_options: wgpu::PipelineCompilationOptions::default(),
        cache: None,
    });
    let upload = |bytes: &Vec<u8>| {
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC;
        device.create_buffer_init(&wgpu::util::BufferInitDescriptor { label: None, contents: bytes, usage })
    };
    let buffers: Vec<wgpu::Buffer> = launched.buffers.iter().chain([&launched.table]).map(upload).collect();
    let entries: Vec<wgpu::BindGroupEntry<'_>> = (0..)
        .zip(&buffers)
        .map(|(binding, buffer)| wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() })
        .collect();
    let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: None,
        layout: &pipeline.get_bind_group_layout(0),
        entries: &entries,
    });
    let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.dispatch_workgroups(launched.grid[0], launched.grid[1], 1);
    }
    let staged: Vec<wgpu::Buffer> = buffers[..launched.buffers.len()]
        .iter()
        .map(|buffer| {
            let staging = device.create_buffer(&wgpu::BufferDescriptor {
                label: None,
                size: buffer.size(),
                usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            });
            encoder.copy_buffer_to_buffer(buffer, 0, &staging, 0, buffer.size());
            staging
        })
        .collect();
    queue.submit([encoder.finish()]);
    for staging in &staged {
        staging.map_async(wgpu::MapMode::Read, .., |mapped| mapped.expect("a buffer can be read"));
    }
    device.poll(wgpu::PollType::wait_indefinitely()).expect("the device answers");
    staged
        .iter()
        .zip(&launched.buffers)
        .map(|(staging, bytes)| staging.get_mapped_range(..).expect("it is mapped")[..bytes.len()].to_vec())
        .collect()
}
