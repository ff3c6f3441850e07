//! Launching a shader on Burn's runtime.
//!
//! All launches go through [`Launch::run`], so that what every kernel must keep in mind stands in one place: the id
//! that tells variants apart, the grid folded into two dimensions, the table of sizes in the last binding.

use burn_wgpu::{CubeDim, CubeTensor};
use cubecl::{
    CubeCount, CubeKernel, PrecompiledSource,
    client::Client,
    ir::{AddressType, ElemType, Scope, UIntKind, metadata::Info},
    prelude::{ExecutionMode, KernelDefinition, KernelId, KernelMetadata, KernelSettings},
    server::{KernelArguments, MetadataBindingInfo},
};

#[cfg(not(target_family = "wasm"))]
use super::is_software;
use super::shader::{Define, Shader};

/// Workgroups along x at most: the least that WebGPU promises is 65,535, and a power of two divides well.
const WIDEST_GRID: u32 = 1 << 15;

/// Storage buffers of a shader that every adapter binds (WebGPU's `maxStorageBuffersPerShaderStage`), the table of sizes
/// among them.
const PROMISED_BUFFERS: usize = 8;

/// One variant of a shader.
struct Kernel {
    shader: &'static Shader,
    defines: Vec<Define>,
    workgroup: u32,
}

impl KernelMetadata for Kernel {
    fn name(&self) -> &'static str {
        self.shader.name
    }

    fn id(&self) -> KernelId {
        // The id is the only key of the pipeline cache: all that changes the text is in it. Unchecked: naga would count
        // the turns of every loop otherwise, and all loops here run to a size.
        KernelId::new::<Self>().info((self.shader.name, self.defines.clone())).mode(ExecutionMode::Unchecked)
    }

    fn address_type(&self) -> ElemType {
        UIntKind::U32.into()
    }
}

impl CubeKernel for Kernel {
    fn define(&self) -> KernelDefinition {
        let dimensions = CubeDim::new_1d(self.workgroup);
        let settings = KernelSettings::new(dimensions.0, ExecutionMode::Unchecked, AddressType::U32);
        KernelDefinition { body: Scope::root(settings.clone()), settings, info: Info::default() }
    }

    fn source(&self) -> Option<PrecompiledSource> {
        Some(PrecompiledSource {
            source: self.shader.expand(&self.defines),
            entrypoint_name: "main".to_owned(),
            lang: "wgsl",
        })
    }
}

/// A launch in the making: the shader's variant, its buffers in the order of their bindings, and its table of sizes.
pub(crate) struct Launch<'a> {
    shader: &'static Shader,
    defines: Vec<Define>,
    buffers: Vec<&'a CubeTensor>,
    sizes: Vec<u32>,
    /// Buffers at most, the table among them.
    most_buffers: usize,
}

impl<'a> Launch<'a> {
    pub(crate) fn new(shader: &'static Shader) -> Self {
        Self {
            shader,
            defines: Vec::with_capacity(12),
            buffers: Vec::with_capacity(PROMISED_BUFFERS),
            sizes: Vec::with_capacity(12),
            most_buffers: PROMISED_BUFFERS,
        }
    }

    /// Allows more buffers than every adapter binds, for a launch that takes as many as its own adapter does.
    pub(crate) fn at_most_buffers(mut self, count: usize) -> Self {
        self.most_buffers = count;
        self
    }

    /// Sets a number of the shader's text.
    pub(crate) fn define(mut self, name: &'static str, value: impl TryInto<i64>) -> Self {
        let value = value.try_into().unwrap_or_else(|_| panic!("{}: {name} does not fit", self.shader.name));
        self.defines.push((name, value));
        self
    }

    /// The next binding.
    pub(crate) fn buffer(mut self, buffer: &'a CubeTensor) -> Self {
        self.buffers.push(buffer);
        self
    }

    /// The next binding, where the variant has it; defines `name` as 1 or 0.
    pub(crate) fn optional(self, name: &'static str, buffer: Option<&'a CubeTensor>) -> Self {
        let launch = self.define(name, i64::from(buffer.is_some()));
        match buffer {
            Some(buffer) => launch.buffer(buffer),
            None => launch,
        }
    }

    /// The next word of the table of sizes.
    pub(crate) fn size(mut self, value: usize) -> Self {
        self.sizes.push(u32::try_from(value).unwrap_or_else(|_| panic!("{}: size {value}", self.shader.name)));
        self
    }

    pub(crate) fn word(mut self, value: u32) -> Self {
        self.sizes.push(value);
        self
    }

    pub(crate) fn float(self, value: f32) -> Self {
        self.word(value.to_bits())
    }

    pub(crate) fn words(mut self, values: &[u32]) -> Self {
        self.sizes.extend_from_slice(values);
        self
    }

    /// Runs `groups` workgroups of `workgroup` invocations; none where there is nothing to do.
    ///
    /// The shader gets its workgroup's number from `workgroup_number`, and sees `groups` as the first word of its
    /// table: the grid is folded, and may be larger than `groups`.
    ///
    /// # Panics
    /// If more buffers are bound than adapters must allow.
    pub(crate) fn run(self, workgroup: u32, groups: usize) {
        let (bound, most) = (self.buffers.len() + 1, self.most_buffers);
        assert!(
            bound <= most,
            "{}: {bound} storage buffers with the table, at most {most} may be bound",
            self.shader.name
        );
        if groups == 0 {
            return;
        }
        let client: Client = self.buffers[0].client.clone();
        let count = u32::try_from(groups).unwrap_or_else(|_| panic!("{}: {groups} workgroups", self.shader.name));
        let width = count.min(WIDEST_GRID);
        let mut words = Vec::with_capacity(self.sizes.len() + 2);
        words.push(count);
        words.extend(self.sizes);
        let pair = |pair: &[u32]| u64::from(pair[0]) | u64::from(*pair.get(1).unwrap_or(&0)) << 32;
        let sizes: Vec<u64> = words.chunks(2).map(pair).collect();
        let grid = [width, count.div_ceil(width)];
        let arguments = KernelArguments::new()
            .with_buffers(self.buffers.iter().map(|buffer| buffer.handle.clone().binding()).collect())
            .with_info(MetadataBindingInfo::custom(sizes.clone()));
        let mut defines = self.defines;
        defines.push(("WORKGROUP", i64::from(workgroup)));
        defines.push(("BUFFERS", self.buffers.len() as i64));
        #[cfg(all(test, not(target_family = "wasm")))]
        let launched = {
            super::translate::check(self.shader.name, &self.shader.expand(&defines));
            super::bounds::before(&self.buffers, || self.shader.expand(&defines), &sizes, grid)
        };
        let kernel = Kernel { shader: self.shader, defines, workgroup };
        client.launch(Box::new(kernel), CubeCount::Static(grid[0], grid[1], 1), arguments);
        #[cfg(all(test, not(target_family = "wasm")))]
        super::bounds::after(self.shader.name, launched, &self.buffers);
        #[cfg(not(target_family = "wasm"))]
        if is_software(self.buffers[0]) {
            wait_now_and_then(&client);
        }
    }
}

/// Launches after which a software adapter is waited for.
#[cfg(not(target_family = "wasm"))]
const LAUNCHES_AHEAD: u32 = 8;

/// Waits for a software adapter every few launches. Burn's queue holds 32 tasks; a host that finds it full spins, and
/// would take from the adapter the very processor that it computes on.
#[cfg(not(target_family = "wasm"))]
fn wait_now_and_then(client: &Client) {
    thread_local! {
        static AHEAD: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
    }
    let ahead = AHEAD.get() + 1;
    AHEAD.set(ahead % LAUNCHES_AHEAD);
    if ahead == LAUNCHES_AHEAD {
        // A failure shows where results are read.
        let _ = cubecl::future::block_on(client.sync());
    }
}
