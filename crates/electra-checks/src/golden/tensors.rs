//! Tensors of a fixture file.

use std::path::Path;

use safetensors::{Dtype, SafeTensors};

/// A safetensors file in memory; fixtures hold f32 and i32.
///
/// Its methods panic where a tensor is not there or of another type.
#[derive(Debug, Clone)]
pub struct Tensors {
    name: String,
    bytes: Vec<u8>,
}

impl Tensors {
    /// The file of these bytes, which panics call `name`.
    pub fn new(name: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self { name: name.into(), bytes }
    }

    /// # Panics
    /// If it cannot be read.
    pub fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self::new(path.display().to_string(), bytes)
    }

    fn view(&self, name: &str, step: Option<usize>) -> (Dtype, Vec<usize>, Vec<u8>) {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        let view = file.tensor(name).unwrap_or_else(|error| panic!("{}: {name}: {error}", self.name));
        let (shape, data) = (view.shape(), view.data());
        match step {
            None => (view.dtype(), shape.to_vec(), data.to_vec()),
            Some(step) => {
                let len = data.len() / shape[0];
                (view.dtype(), shape[1..].to_vec(), data[step * len..(step + 1) * len].to_vec())
            }
        }
    }

    /// Whether there is a tensor of this name.
    pub fn has(&self, name: &str) -> bool {
        SafeTensors::deserialize(&self.bytes).unwrap().tensor(name).is_ok()
    }

    /// Those that begin with `prefix`.
    pub fn names(&self, prefix: &str) -> Vec<String> {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        file.names().into_iter().filter(|name| name.starts_with(prefix)).map(|name| name.to_string()).collect()
    }

    /// The shape of `name`, without the first dimension where `step` picks one.
    pub fn shape_at(&self, name: &str, step: Option<usize>) -> Vec<usize> {
        self.view(name, step).1
    }

    /// As [`Tensors::shape_at`], the values.
    pub fn floats_at(&self, name: &str, step: Option<usize>) -> Vec<f32> {
        let (dtype, _, bytes) = self.view(name, step);
        assert_eq!(dtype, Dtype::F32, "{name}");
        bytes.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect()
    }

    /// As [`Tensors::floats_at`], of integers.
    pub fn ints_at(&self, name: &str, step: Option<usize>) -> Vec<i32> {
        let (dtype, _, bytes) = self.view(name, step);
        match dtype {
            Dtype::I32 => bytes.chunks_exact(4).map(|bytes| i32::from_le_bytes(bytes.try_into().unwrap())).collect(),
            Dtype::I64 => {
                bytes.chunks_exact(8).map(|bytes| i64::from_le_bytes(bytes.try_into().unwrap()) as i32).collect()
            }
            other => panic!("{name} holds {other:?}"),
        }
    }
}
