//! Every launch of a test once more, with naga's bounds checks.
//!
//! Natively nothing checks an index: Burn's runtime compiles WGSL as it is. With `ELECTRA_CHECK_BOUNDS=1` each launch of
//! this crate's tests is repeated on a wgpu device of its own, where every access is confined to its array, from the same
//! values and on arrays of exactly their length. A kernel that reads or writes beyond one gives other results there.

use std::sync::LazyLock;

use burn::tensor::wgpu::wgpu::{self, util::DeviceExt};

use crate::device::adapters::{adapters, best, found};
use crate::gpu::instruments::{Launched, repeat_launches};

static DEVICE: LazyLock<(wgpu::Device, wgpu::Queue)> = LazyLock::new(open);

/// Repeats the launches of this process's tests from now on, where the environment asks for it.
pub(super) fn repeat_if_asked() {
    if std::env::var_os("ELECTRA_CHECK_BOUNDS").is_some_and(|value| value == "1") {
        repeat_launches(checked);
    }
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

/// A wgpu device beside Burn's on the best adapter, for tests.
fn open() -> (wgpu::Device, wgpu::Queue) {
    let infos = adapters();
    let number = best(&infos).expect("there is an adapter, since tests use it").number;
    let adapter = &found()[number].adapter;
    let descriptor = wgpu::DeviceDescriptor {
        // What products in half precision, and those that share what they read, are tested with.
        required_features: adapter.features() & (wgpu::Features::SHADER_F16 | wgpu::Features::SUBGROUP),
        required_limits: adapter.limits(),
        ..wgpu::DeviceDescriptor::default()
    };
    cubecl::future::block_on(adapter.request_device(&descriptor)).expect("an adapter opens twice")
}
