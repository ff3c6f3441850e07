//! Launching a shader on Burn's runtime.
//!
//! All launches go through [`Launch::run`], so that what every kernel must keep in mind stands in one place: the id
//! that tells variants apart, the dispatches of a long launch, the grid folded into two dimensions, the table of sizes in
//! the last binding.

use burn_wgpu::{CubeDim, CubeTensor};
use cubecl::{
    CubeCount, CubeKernel, PrecompiledSource,
    client::Client,
    ir::{AddressType, ElemType, Scope, UIntKind, metadata::Info},
    prelude::{ExecutionMode, KernelDefinition, KernelId, KernelMetadata, KernelSettings},
    server::{KernelArguments, MetadataBindingInfo},
};

#[cfg(not(target_family = "wasm"))]
use super::arrays::is_software;
use super::shader::{Define, Shader};

/// Workgroups along x at most: the least that WebGPU promises is 65,535, and a power of two divides well.
const WIDEST_GRID: u32 = 1 << 15;

/// Work of a dispatch at most, in floating-point operations at the rate of a product. An operating system resets a card
/// that one piece of work holds for some 2 s, and on integrated ones nothing but a dispatch's end lets others in. One of
/// them that is old or busy does 100 GFLOP/s, so that a dispatch takes .2 s there.
///
/// No kernel lets one workgroup see another's results, so that a launch may be cut between any two. One workgroup is never
/// cut. The longest are a tile of the MLM head's gradient (.25 GFLOP for 30,522 ids) and a row of a word's gradient (a chain
/// of loads, as long as the tokens that share the word): less than .1 s there. A row of logits in mlm_rows is 3 MFLOP.
const DISPATCH_WORK: f64 = 20e9;

/// Work that is submitted together at most, where Burn has not submitted by itself (every 32 dispatches): some drivers let
/// nobody in before the end of a submission.
#[cfg(not(target_family = "wasm"))]
const SUBMISSION_WORK: f64 = 4.0 * DISPATCH_WORK;

/// Operations that take as long as reading or writing a value: such a card moves 10 GB/s.
pub(crate) const VALUE_WORK: f64 = 40.0;

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
    /// Of all workgroups together, where the buffers' lengths do not tell it.
    work: Option<f64>,
}

impl<'a> Launch<'a> {
    pub(crate) fn new(shader: &'static Shader) -> Self {
        Self {
            shader,
            defines: Vec::with_capacity(12),
            buffers: Vec::with_capacity(PROMISED_BUFFERS),
            sizes: Vec::with_capacity(12),
            most_buffers: PROMISED_BUFFERS,
            work: None,
        }
    }

    /// Allows more buffers than every adapter binds, for a launch that takes as many as its own adapter does.
    pub(crate) fn at_most_buffers(mut self, count: usize) -> Self {
        self.most_buffers = count;
        self
    }

    /// States the work of the whole launch, in floating-point operations at the rate of a product. Without it each value of
    /// each buffer is taken to be read or written once.
    pub(crate) fn work(mut self, operations: f64) -> Self {
        self.work = Some(operations);
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
    /// The shader gets its workgroup's number from `workgroup_number`, whatever dispatches and grids they are divided into.
    ///
    /// # Panics
    /// If more buffers are bound than adapters must allow.
    pub(crate) fn run(self, workgroup: u32, groups: usize) {
        let Self { shader, mut defines, buffers, sizes, most_buffers: most, work } = self;
        let bound = buffers.len() + 1;
        assert!(bound <= most, "{}: {bound} storage buffers with the table, at most {most} may be bound", shader.name);
        let groups = u32::try_from(groups).unwrap_or_else(|_| panic!("{}: {groups} workgroups", shader.name));
        if groups == 0 {
            return;
        }
        let client: Client = buffers[0].client.clone();
        let values = || buffers.iter().map(|buffer| buffer.meta.shape().num_elements() as f64).sum::<f64>();
        let work_each = work.unwrap_or_else(|| VALUE_WORK * values()) / f64::from(groups);
        defines.push(("WORKGROUP", i64::from(workgroup)));
        defines.push(("BUFFERS", buffers.len() as i64));
        #[cfg(all(test, not(target_family = "wasm")))]
        super::translate::check(shader.name, &shader.expand(&defines));
        let mut words = vec![0];
        words.extend(sizes);
        for (first, grid) in dispatches(groups, at_once(groups, work_each)) {
            words[0] = first;
            let pair = |pair: &[u32]| u64::from(pair[0]) | u64::from(*pair.get(1).unwrap_or(&0)) << 32;
            let sizes: Vec<u64> = words.chunks(2).map(pair).collect();
            #[cfg(all(test, not(target_family = "wasm")))]
            let launched = super::instruments::before(&buffers, || shader.expand(&defines), &sizes, grid);
            let arguments = KernelArguments::new()
                .with_buffers(buffers.iter().map(|buffer| buffer.handle.clone().binding()).collect())
                .with_info(MetadataBindingInfo::custom(sizes));
            let kernel = Kernel { shader, defines: defines.clone(), workgroup };
            client.launch(Box::new(kernel), CubeCount::Static(grid[0], grid[1], 1), arguments);
            #[cfg(all(test, not(target_family = "wasm")))]
            super::instruments::after(shader.name, launched, &buffers);
            #[cfg(not(target_family = "wasm"))]
            if is_software(buffers[0]) {
                wait_now_and_then(&client);
            } else {
                submit_now_and_then(&client, work_each * f64::from(grid[0] * grid[1]));
            }
        }
    }
}

/// Workgroups of a dispatch at most, where each does so much work.
fn at_once(groups: u32, work_each: f64) -> u32 {
    #[cfg(all(test, not(target_family = "wasm")))]
    if let Some(pieces) = super::instruments::PIECES.get() {
        return groups.div_ceil(pieces);
    }
    let dispatches = (work_each * f64::from(groups) / DISPATCH_WORK).ceil().clamp(1.0, f64::from(groups));
    groups.div_ceil(dispatches as u32)
}

/// The first workgroup and the grid of each dispatch, of at most `at_once` workgroups: those that do not fit along x make
/// whole rows, and what remains is another dispatch, so that every workgroup has work.
fn dispatches(groups: u32, at_once: u32) -> impl Iterator<Item = (u32, [u32; 2])> {
    let mut first = 0;
    std::iter::from_fn(move || {
        if first == groups {
            return None;
        }
        let count = at_once.min(groups - first);
        let width = count.min(WIDEST_GRID);
        let grid = [width, (count / width).min(WIDEST_GRID)];
        let dispatch = (first, grid);
        first += grid[0] * grid[1];
        Some(dispatch)
    })
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

/// Submits what was launched once it is [`SUBMISSION_WORK`].
#[cfg(not(target_family = "wasm"))]
fn submit_now_and_then(client: &Client, work: f64) {
    thread_local! {
        static AHEAD: std::cell::Cell<f64> = const { std::cell::Cell::new(0.0) };
    }
    let ahead = AHEAD.get() + work;
    let is_due = ahead >= SUBMISSION_WORK;
    AHEAD.set(if is_due { 0.0 } else { ahead });
    if is_due {
        // A failure shows where results are read.
        let _ = client.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dispatches_hold_every_workgroup_once() {
        for groups in [1, 2, 7, WIDEST_GRID - 1, WIDEST_GRID, WIDEST_GRID + 1, 3 * WIDEST_GRID + 5, 100_000] {
            for at_once in [1, 2, 5, WIDEST_GRID - 1, WIDEST_GRID, WIDEST_GRID + 1, 2 * WIDEST_GRID + 9, u32::MAX] {
                if groups / at_once > 50_000 {
                    continue;
                }
                let mut next = 0;
                for (first, [width, height]) in dispatches(groups, at_once) {
                    assert_eq!(first, next, "{groups} by {at_once}");
                    assert!(width <= WIDEST_GRID && height <= WIDEST_GRID && width * height <= at_once);
                    next += width * height;
                }
                assert_eq!(next, groups, "{groups} by {at_once}");
            }
        }
    }

    #[test]
    fn no_dispatch_has_more_work_than_allowed() {
        assert_eq!(at_once(1000, 1e6), 1000);
        assert_eq!(at_once(1000, DISPATCH_WORK / 100.0), 100);
        assert_eq!(at_once(1001, DISPATCH_WORK / 100.0), 91);
        assert_eq!(at_once(10, 3.0 * DISPATCH_WORK), 1, "one workgroup is not cut");
    }
}
