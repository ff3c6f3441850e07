//! The trainable tensors of all networks in one ordered, named list.
//!
//! Networks borrow their weights from here by Hugging Face's names, and the optimizer, checkpoints, import
//! and export walk the same list, so nothing needs a mirror of the network's structure. Tables that two
//! networks share live once, under the first owner's name; `Sharing` is no more than a list of aliases.
//! Values are flat, row-major, and keep Hugging Face's `[out, in]` layout: export is a change of prefix.
//!
//! A word table that is larger than the largest array of a device lies there in pieces of whole rows. Pieces exist on
//! devices alone: files and initialisers know whole parameters.

use std::collections::HashMap;
use std::ops::Range;

use burn::tensor::{Device, Tensor, TensorData};
use electra_kernels::Table;

pub use crate::initializer::Initializer;
use crate::pretraining::DELTA;

/// Name, shape and first value of one parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct ParameterSpec {
    /// Network prefix and Hugging Face's key: `discriminator.electra.embeddings.word_embeddings.weight`.
    pub name: String,
    /// Row-major.
    pub shape: Vec<usize>,
    /// How it begins.
    pub initializer: Initializer,
}

impl ParameterSpec {
    /// A spec under `prefix`, which ends in a dot or is empty.
    pub fn new(prefix: &str, name: &str, shape: &[usize], initializer: Initializer) -> Self {
        Self { name: format!("{prefix}{name}"), shape: shape.to_vec(), initializer }
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it has no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether weight decay applies: not to LayerNorm nor to biases (reference: `_do_use_weight_decay`).
    pub fn decays(&self) -> bool {
        !(self.name.contains("LayerNorm") || self.name.contains("layer_norm") || self.name.ends_with("bias"))
    }

    /// Whether networks can use it in pieces of rows: as a [`Table`], of the words.
    pub fn can_be_cut(&self) -> bool {
        let name = self.name.strip_suffix(DELTA).unwrap_or(&self.name);
        name.ends_with("word_embeddings.weight")
    }

    /// The first value, row-major. Depends on the seed and the name alone, so it is the same whatever the
    /// order, the device or the other networks beside it.
    pub fn initial_values(&self, seed: u64) -> Vec<f32> {
        self.initializer.values(&self.name, &self.shape, seed)
    }
}

/// Where a name that a network asks for is really stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Alias {
    /// Any name that starts with this …
    pub from: String,
    /// … is found under this instead.
    pub to: String,
}

impl Alias {
    /// `from` is found under `to`.
    pub fn new(from: impl Into<String>, to: impl Into<String>) -> Self {
        Self { from: from.into(), to: to.into() }
    }
}

/// Rows of a piece are a multiple of it, so that a matrix of columns for these rows begins where any binding may.
const PIECE_ROWS: usize = 64;

/// A parameter's part that is one tensor on a device.
#[derive(Debug, Clone, PartialEq)]
struct Piece {
    /// Place of the parameter in `specs`.
    spec: usize,
    /// Which of its values, row-major.
    values: Range<usize>,
}

/// The specs of all parameters and the aliases between networks: everything about the weights but their values.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Layout {
    specs: Vec<ParameterSpec>,
    aliases: Vec<Alias>,
    /// In the order of `specs`.
    pieces: Vec<Piece>,
}

impl Layout {
    /// Drops specs that an alias makes another's, so that each stored tensor appears once.
    pub fn new(specs: Vec<ParameterSpec>, aliases: Vec<Alias>) -> Self {
        let specs: Vec<_> = specs.into_iter().filter(|spec| resolve(&aliases, &spec.name) == spec.name).collect();
        let pieces = specs.iter().enumerate().map(|(spec, of)| Piece { spec, values: 0..of.len() }).collect();
        Self { specs, aliases, pieces }
    }

    /// Names, shapes and first values, in order.
    pub fn specs(&self) -> &[ParameterSpec] {
        &self.specs
    }

    /// The parameters' pieces in their order: each one's parameter and which of its values, row-major.
    ///
    /// One piece each, but for word tables of a layout that was [cut](Self::cut).
    pub fn pieces(&self) -> impl ExactSizeIterator<Item = (&ParameterSpec, Range<usize>)> {
        self.pieces.iter().map(|piece| (&self.specs[piece.spec], piece.values.clone()))
    }

    /// The same layout with word tables in pieces of at most `most` values each, and no more pieces than that takes; a
    /// multiple of 64 rows in all but the last.
    ///
    /// # Panics
    /// If 64 rows have more values than that.
    #[must_use]
    pub fn cut(mut self, most: usize) -> Self {
        let pieces = std::mem::take(&mut self.pieces);
        for piece in pieces {
            let spec = &self.specs[piece.spec];
            if piece.values.len() <= most || !spec.can_be_cut() {
                self.pieces.push(piece);
                continue;
            }
            let block = PIECE_ROWS * spec.shape[1];
            assert!(most >= block, "{}: {PIECE_ROWS} rows are more than {most} values", spec.name);
            let count = piece.values.len().div_ceil(most / block * block);
            let values = piece.values.len().div_ceil(count).next_multiple_of(block);
            for start in piece.values.clone().step_by(values) {
                let values = start..(start + values).min(piece.values.end);
                self.pieces.push(Piece { spec: piece.spec, values });
            }
        }
        self
    }

    /// The same layout with word tables [cut](Self::cut) as `device` needs it.
    #[must_use]
    pub fn cut_for(self, device: &Device) -> Self {
        self.cut(electra_kernels::largest_array(device))
    }

    /// The same layout, with other first values for the parameters whose name ends in `suffix`.
    #[must_use]
    pub fn with_initializer(mut self, suffix: &str, initializer: Initializer) -> Self {
        for spec in self.specs.iter_mut().filter(|spec| spec.name.ends_with(suffix)) {
            spec.initializer = initializer;
        }
        self
    }

    /// The name under which `name` is stored.
    pub fn resolve(&self, name: &str) -> String {
        resolve(&self.aliases, name)
    }

    /// Number of trainable values.
    pub fn parameter_count(&self) -> usize {
        self.specs.iter().map(ParameterSpec::len).sum()
    }

    /// Number of trainable values whose name starts with `prefix`, shared ones under their owner.
    pub fn parameter_count_of(&self, prefix: &str) -> usize {
        self.specs.iter().filter(|spec| spec.name.starts_with(prefix)).map(ParameterSpec::len).sum()
    }
}

fn resolve(aliases: &[Alias], name: &str) -> String {
    let mut name = name.to_owned();
    // Chains are short (head's table -> generator's table -> discriminator's table); the bound catches a loop.
    for _ in 0..8 {
        match aliases.iter().find(|alias| name.starts_with(&alias.from)) {
            Some(alias) => name = format!("{}{}", alias.to, &name[alias.from.len()..]),
            None => return name,
        }
    }
    panic!("the aliases of {name} form a loop: {aliases:?}")
}

/// Ordered, named values. Cloning shares the tensors.
#[derive(Debug, Clone, Default)]
pub struct Parameters {
    layout: Layout,
    /// One per piece of the layout.
    values: Vec<Tensor<1>>,
    /// By name, which pieces.
    index: HashMap<String, Range<usize>>,
    /// What is made of others, for networks to find: neither trained nor saved.
    derived: Vec<(ParameterSpec, Vec<Tensor<1>>)>,
}

impl Parameters {
    /// Fresh parameters for `layout`, cut as `device` needs it, from the initialisers and `seed`.
    pub fn initialize(layout: &Layout, seed: u64, device: &Device) -> Self {
        Self::from_values(layout, device, |spec| spec.initial_values(seed))
    }

    /// Parameters of `layout`, cut as `device` needs it, whose values come from `values`, called once per parameter in the
    /// layout's order.
    ///
    /// # Panics
    /// If the number of a parameter's values differs from its spec's.
    pub fn from_values(layout: &Layout, device: &Device, mut values: impl FnMut(&ParameterSpec) -> Vec<f32>) -> Self {
        let layout = layout.clone().cut_for(device);
        let mut tensors = Vec::with_capacity(layout.pieces.len());
        let mut index = HashMap::with_capacity(layout.specs.len());
        for pieces in layout.pieces.chunk_by(|a, b| a.spec == b.spec) {
            let spec = &layout.specs[pieces[0].spec];
            index.insert(spec.name.clone(), tensors.len()..tensors.len() + pieces.len());
            let values = values(spec);
            assert_eq!(values.len(), spec.len(), "{}: {:?} values expected", spec.name, spec.shape);
            tensors.extend(to_device(values, pieces.iter().map(|piece| piece.values.clone()), device));
        }
        Self { layout, values: tensors, index, derived: Vec::new() }
    }

    /// Names, shapes, pieces and aliases.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Names, shapes and first values, in order.
    pub fn specs(&self) -> &[ParameterSpec] {
        &self.layout.specs
    }

    /// Flat values, one tensor per piece ([`Layout::pieces`]).
    pub fn values(&self) -> &[Tensor<1>] {
        &self.values
    }

    /// Specs and flat values, in order, piece by piece.
    pub fn iter(&self) -> impl Iterator<Item = (&ParameterSpec, &Tensor<1>)> {
        self.layout.pieces().map(|(spec, _)| spec).zip(&self.values)
    }

    /// The same layout with other values, each piece made from the old one.
    pub fn map(&self, mut change: impl FnMut(usize, &ParameterSpec, &Tensor<1>) -> Tensor<1>) -> Self {
        let values = self.iter().enumerate().map(|(i, (spec, value))| change(i, spec, value)).collect();
        Self { layout: self.layout.clone(), values, index: self.index.clone(), derived: Vec::new() }
    }

    /// As [`Parameters::map`], of values that nobody else may hold, so that each can be changed in place.
    #[must_use]
    pub fn into_mapped(self, mut change: impl FnMut(usize, &ParameterSpec, Tensor<1>) -> Tensor<1>) -> Self {
        let Self { layout, values, index, .. } = self;
        let specs = layout.pieces().map(|(spec, _)| spec);
        let values = specs.zip(values).enumerate().map(|(i, (spec, value))| change(i, spec, value)).collect();
        Self { layout, values, index, derived: Vec::new() }
    }

    /// The value of `name`, in its shape; aliases are followed.
    ///
    /// # Panics
    /// If there is no such parameter, its rank is not `D` or it is in pieces: a mistake in the network's code, not in
    /// its input.
    pub fn get<const D: usize>(&self, name: &str) -> Tensor<D> {
        let (spec, pieces) = self.find(name);
        let shape: [usize; D] =
            spec.shape.clone().try_into().unwrap_or_else(|shape| panic!("{name} has shape {shape:?}, not rank {D}"));
        let [value] = pieces else { panic!("{name} is in {} pieces: read it as a table", pieces.len()) };
        value.clone().reshape(shape)
    }

    /// The matrix `name` in its pieces; aliases are followed.
    ///
    /// # Panics
    /// If there is no such parameter or it is no matrix.
    pub fn table(&self, name: &str) -> Table {
        let (spec, pieces) = self.find(name);
        let [_, width] = spec.shape[..] else { panic!("{name} has shape {:?}, not rank 2", spec.shape) };
        let piece = |piece: &Tensor<1>| {
            let [values] = piece.dims();
            piece.clone().reshape([values / width, width])
        };
        Table::new(pieces.iter().map(piece).collect())
    }

    /// The same values without gradient.
    #[must_use]
    pub fn detached(&self) -> Self {
        self.map(|_, _, value| value.clone().detach())
    }

    /// The same, with copies of the parameters under prefix `from` in the place of those under `to`.
    ///
    /// # Panics
    /// If one of them is missing, or has another shape.
    #[must_use]
    pub fn with_copies(&self, from: &str, to: &str) -> Self {
        let mut copied = self.clone();
        for replaced in &self.layout.specs {
            let Some(rest) = replaced.name.strip_prefix(to) else { continue };
            let (spec, values) = self.find(&format!("{from}{rest}"));
            assert_eq!(spec.shape, replaced.shape, "{} has another shape than {}", replaced.name, spec.name);
            copied.values[self.index[&replaced.name].clone()].clone_from_slice(values);
        }
        copied
    }

    /// Lets `name` be the sum of `base`, through which no gradient goes, and `difference`, piece by piece.
    ///
    /// # Panics
    /// If there is no such parameter, or the shapes differ.
    pub fn derive(&mut self, name: &str, base: &str, difference: &str) {
        let ((spec, base), (other, difference)) = (self.find(base), self.find(difference));
        assert_eq!(spec.shape, other.shape, "{name} is a sum of unequal shapes");
        let spec = ParameterSpec { name: name.to_owned(), ..spec.clone() };
        let sum = base.iter().zip(difference).map(|(base, difference)| base.clone().detach() + difference.clone());
        self.derived.push((spec, sum.collect()));
    }

    /// The parameter called `name`, aliases followed, in its pieces.
    fn look_up(&self, name: &str) -> Option<(&ParameterSpec, &[Tensor<1>])> {
        let stored = self.layout.resolve(name);
        if let Some((spec, values)) = self.derived.iter().find(|(spec, _)| spec.name == stored) {
            return Some((spec, values));
        }
        let pieces = self.index.get(&stored)?;
        Some((&self.layout.specs[self.layout.pieces[pieces.start].spec], &self.values[pieces.clone()]))
    }

    fn find(&self, name: &str) -> (&ParameterSpec, &[Tensor<1>]) {
        let stored = || self.layout.resolve(name);
        self.look_up(name).unwrap_or_else(|| panic!("no parameter {} (asked for as {name})", stored()))
    }

    /// Whether there is a parameter called `name`, aliases followed.
    pub fn contains(&self, name: &str) -> bool {
        self.look_up(name).is_some()
    }

    /// The flat pieces of `name`, aliases followed, or `None`.
    pub fn pieces(&self, name: &str) -> Option<&[Tensor<1>]> {
        self.look_up(name).map(|(_, pieces)| pieces)
    }
}

/// The `pieces` of a parameter's values, as tensors.
pub fn to_device(
    values: Vec<f32>,
    pieces: impl ExactSizeIterator<Item = Range<usize>>,
    device: &Device,
) -> Vec<Tensor<1>> {
    let tensor = |values: Vec<f32>| {
        let length = values.len();
        Tensor::from_data(TensorData::new(values, [length]), device)
    };
    if pieces.len() == 1 {
        return vec![tensor(values)];
    }
    pieces.map(|piece| tensor(values[piece].to_vec())).collect()
}
