//! The optimizer's update on graphics adapters: parameters, moments and gradients in few large arrays ("arenas"), so that
//! an update is a handful of launches, and nobody waits for the gradient's norm.

use burn::tensor::{DType, Shape};
use burn_wgpu::CubeTensor;

use crate::gpu::{
    constant, empty, is_software,
    launch::Launch,
    shader::{Shader, shader},
    tensor, view,
};
use crate::types::{loss_scale::LossScale, update::DeviceUpdate};

static GATHER: Shader = shader!("adam", "gather_gradients");
static NORM: Shader = shader!("adam", "adam_norm");
static DECIDE: Shader = shader!("adam", "adam_decide");
static UPDATE: Shader = shader!("adam", "adam_update");

/// Values that share their rules. Every tensor begins at a multiple of it, which is where any binding may begin.
const BLOCK: usize = 64;
/// Values of an arena at most: far fewer than an index or a binding of a card can reach.
const LARGEST: usize = 1 << 28;
/// Tensors that one launch copies at most; adapters allow fewer.
const MOST_AT_ONCE: usize = 14;
/// Values whose squares one workgroup sums.
const STRETCH: usize = 1 << 14;

/// What a tensor's update depends on: the factor of its learning rate, and its decay.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rule {
    pub(crate) factor: f32,
    pub(crate) decay: f32,
}

/// Where a tensor lies.
#[derive(Debug, Clone, Copy)]
struct Place {
    arena: usize,
    start: usize,
    length: usize,
}

#[derive(Debug, Clone)]
struct Arena {
    length: usize,
    parameters: CubeTensor,
    m: CubeTensor,
    v: CubeTensor,
    gradients: CubeTensor,
    rules: Option<CubeTensor>,
}

/// Parameters and the optimizer's state on one adapter.
#[derive(Debug, Clone)]
pub(crate) struct Arenas {
    places: Vec<Place>,
    arenas: Vec<Arena>,
    /// The rules that the arenas hold.
    rules: Vec<Option<Rule>>,
    state: CubeTensor,
    /// `[2]`: the loss's factor, and steps since it changed.
    loss_scale: Option<CubeTensor>,
}

/// Which of the four arrays.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part {
    Parameters,
    First,
    Second,
}

impl Arenas {
    /// Arenas with these values: parameters and moments, one each per tensor, after `updates` updates.
    pub(crate) fn new(
        parameters: &[CubeTensor],
        m: &[CubeTensor],
        v: &[CubeTensor],
        updates: u64,
        loss_scale: Option<LossScale>,
    ) -> Self {
        let like = &parameters[0];
        let largest = LARGEST.min(like.client.properties().memory.max_page_size as usize / 4) / BLOCK * BLOCK;
        let mut lengths = vec![0];
        let mut places = Vec::with_capacity(parameters.len());
        for parameter in parameters {
            let length = parameter.meta.shape().num_elements();
            let last = lengths.last_mut().expect("there is one");
            if *last > 0 && *last + length > largest {
                lengths.push(0);
            }
            let arena = lengths.len() - 1;
            places.push(Place { arena, start: lengths[arena], length });
            lengths[arena] = (lengths[arena] + length).next_multiple_of(BLOCK);
        }
        let zeros = |length: usize| upload(like, &vec![0.0; length]);
        let arenas = lengths.into_iter().map(|length| Arena {
            length,
            parameters: zeros(length),
            m: zeros(length),
            v: zeros(length),
            gradients: zeros(length),
            rules: None,
        });
        let state = upload(like, &[updates as f32, 1.0, 0.0, 1.0, 1.0]);
        let loss_scale = loss_scale.map(|scale| upload(like, &[scale.factor as f32, scale.good_steps as f32]));
        let arenas = Self { places, arenas: arenas.collect(), rules: Vec::new(), state, loss_scale };
        arenas.copy(parameters.iter().map(Some), |arena| &arena.parameters, false);
        arenas.copy(m.iter().map(Some), |arena| &arena.m, false);
        arenas.copy(v.iter().map(Some), |arena| &arena.v, false);
        arenas
    }

    /// The tensors of one kind, in place.
    pub(crate) fn tensors(&self, part: Part) -> Vec<CubeTensor> {
        let of = |place: &Place| {
            let arena = &self.arenas[place.arena];
            let array = match part {
                Part::Parameters => &arena.parameters,
                Part::First => &arena.m,
                Part::Second => &arena.v,
            };
            view(array, place.start, arena.length - place.start - place.length, [place.length])
        };
        self.places.iter().map(of).collect()
    }

    /// Whether these are the parameters that [`Arenas::tensors`] gave.
    pub(crate) fn hold(&self, parameters: &[CubeTensor]) -> bool {
        parameters.len() == self.places.len()
            && parameters.iter().zip(&self.places).all(|(parameter, place)| {
                let own = &self.arenas[place.arena].parameters.handle;
                parameter.handle.memory.descriptor() == own.memory.descriptor()
                    && parameter.handle.offset_start.unwrap_or(0)
                        == own.offset_start.unwrap_or(0) + 4 * place.start as u64
            })
    }

    /// Arenas of other values, with what these have counted: nothing is read back for it.
    pub(crate) fn of_other(&self, parameters: &[CubeTensor], m: &[CubeTensor], v: &[CubeTensor]) -> Self {
        let copy = |array: &CubeTensor| constant(&tensor::<1>(array.clone()).mul_scalar(1.0));
        let (state, loss_scale) = (copy(&self.state), self.loss_scale.as_ref().map(copy));
        Self { state, loss_scale, ..Self::new(parameters, m, v, 0, None) }
    }

    /// Updates made so far come first. They are counted in f32: up to 2^24, four times the longest preset.
    pub(crate) fn state(&self) -> CubeTensor {
        self.state.clone()
    }

    /// The loss's factor as it is now, `[1]`: the next update may change it in place.
    pub(crate) fn loss_scale_array(&self) -> Option<CubeTensor> {
        self.loss_scale.as_ref().map(|scale| view(scale, 0, 1, [1]))
    }

    /// `[2]`: the loss's factor, and steps since it changed.
    pub(crate) fn loss_scale(&self) -> Option<CubeTensor> {
        self.loss_scale.clone()
    }

    /// Puts gradients into the arenas; with `add`, onto what is there. `None` leaves its place alone.
    pub(crate) fn put_gradients(&self, gradients: &[Option<CubeTensor>], add: bool) {
        assert_eq!(gradients.len(), self.places.len(), "one gradient per parameter");
        self.copy(gradients.iter().map(Option::as_ref), |arena| &arena.gradients, add);
    }

    fn copy<'a>(
        &'a self,
        tensors: impl Iterator<Item = Option<&'a CubeTensor>>,
        array: impl Fn(&Arena) -> &CubeTensor,
        add: bool,
    ) {
        let bindings = self.state.client.properties().hardware.max_bindings as usize;
        // The arena and the table of sizes are bindings too.
        let at_once = bindings.saturating_sub(2).clamp(1, MOST_AT_ONCE);
        let mut by_arena: Vec<Vec<(&Place, &CubeTensor)>> = vec![Vec::new(); self.arenas.len()];
        for (place, tensor) in self.places.iter().zip(tensors) {
            let Some(tensor) = tensor else { continue };
            assert_eq!(tensor.meta.shape().num_elements(), place.length, "a tensor has another length than its place");
            by_arena[place.arena].push((place, tensor));
        }
        for (arena, tensors) in self.arenas.iter().zip(by_arena) {
            // All but few have lengths in vectors of 4.
            let (fours, rest): (Vec<_>, Vec<_>) =
                tensors.into_iter().partition(|(place, _)| place.length.is_multiple_of(4));
            for (width, tensors) in [(4, fours), (1, rest)] {
                for group in tensors.chunks(at_once) {
                    // Fewer launches the more buffers they take: as many as this adapter offers.
                    let mut launch = Launch::new(&GATHER).at_most_buffers(at_once + 2).buffer(array(arena));
                    let mut first = 0;
                    for (place, tensor) in group {
                        let words = [first, place.length / width, place.start / width];
                        launch = words.into_iter().fold(launch.buffer(tensor), Launch::size);
                        first += place.length.next_multiple_of(BLOCK) / width;
                    }
                    let launch = launch.define("COUNT", group.len() as i64).define("ADD", add);
                    launch.define("VECTOR", width == 4).run(BLOCK as u32, first.div_ceil(BLOCK));
                }
            }
        }
    }

    /// One update with the gradients that lie here. `rules`: one per tensor, `None` for one without a gradient.
    ///
    /// `loss`: `[1]`; the update is skipped on the device where it, or the norm, is NaN or infinite. Returns `[3]`: the norm
    /// before clipping, 1 where the update was made, and the factor of the loss whose gradients these are.
    pub(crate) fn update(&mut self, loss: &CubeTensor, rules: Vec<Option<Rule>>, numbers: &DeviceUpdate) -> CubeTensor {
        self.set_rules(rules);
        let counts: Vec<usize> = self.arenas.iter().map(|arena| arena.length.div_ceil(STRETCH)).collect();
        let total: usize = counts.iter().sum();
        let sums = empty(&self.state, [total]);
        let software = is_software(&self.state);
        let mut first = 0;
        for (arena, &count) in self.arenas.iter().zip(&counts) {
            Launch::new(&NORM)
                .buffer(&arena.gradients)
                .buffer(&sums)
                .size(arena.length)
                .size(STRETCH)
                .size(first)
                .run(if software { 8 } else { 256 }, count);
            first += count;
        }
        let report = empty(&self.state, [3]);
        Launch::new(&DECIDE)
            .define("CORRECT", numbers.bias_correction)
            .buffer(&sums)
            .buffer(loss)
            .buffer(&self.state)
            .buffer(&report)
            .optional("SCALED", self.loss_scale.as_ref())
            .size(total)
            .float(numbers.clip_norm as f32)
            .float(numbers.beta1 as f32)
            .float(numbers.beta2 as f32)
            .float(LossScale::STEPS_TO_GROW as f32)
            .float(LossScale::LARGEST as f32)
            .run(if software { 8 } else { 256 }, 1);
        for arena in &self.arenas {
            Launch::new(&UPDATE)
                .buffer(&arena.parameters)
                .buffer(&arena.m)
                .buffer(&arena.v)
                .buffer(&arena.gradients)
                .buffer(arena.rules.as_ref().expect("just set"))
                .buffer(&self.state)
                .size(arena.length / 4)
                .float(numbers.learning_rate as f32)
                .float(numbers.beta1 as f32)
                .float(numbers.beta2 as f32)
                .float((1.0 - numbers.beta1) as f32)
                .float((1.0 - numbers.beta2) as f32)
                .float(numbers.epsilon as f32)
                .run(64, (arena.length / 4).div_ceil(64));
        }
        report
    }

    /// Gradients that nobody put there this time must count neither in the norm nor in an update.
    fn set_rules(&mut self, rules: Vec<Option<Rule>>) {
        if self.rules == rules {
            return;
        }
        let mut tables: Vec<Vec<f32>> = self.arenas.iter().map(|arena| vec![-1.0; 2 * arena.length / BLOCK]).collect();
        for (place, rule) in self.places.iter().zip(&rules) {
            let Rule { factor, decay } = rule.unwrap_or(Rule { factor: -1.0, decay: 0.0 });
            for block in place.start / BLOCK..(place.start + place.length).div_ceil(BLOCK) {
                tables[place.arena][2 * block] = factor;
                tables[place.arena][2 * block + 1] = decay;
            }
        }
        for (arena, table) in self.arenas.iter_mut().zip(tables) {
            arena.rules = Some(upload(&arena.parameters, &table));
        }
        let zeros_for = |(rule, place): (&Option<Rule>, &Place)| {
            rule.is_none().then(|| upload(&self.state, &vec![0.0; place.length]))
        };
        let zeros: Vec<_> = rules.iter().zip(&self.places).map(zeros_for).collect();
        self.put_gradients(&zeros, false);
        self.rules = rules;
    }
}

fn upload(like: &CubeTensor, values: &[f32]) -> CubeTensor {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let handle = like.client.create_from_slice(&bytes);
    let (client, device) = (like.client.clone(), like.device.clone());
    CubeTensor::new_contiguous(client, device, Shape::from([values.len()]), handle, DType::F32)
}
