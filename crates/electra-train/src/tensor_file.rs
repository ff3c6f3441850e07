//! Named f32 tensors in safetensors files, with the checks that a file from elsewhere needs.
//!
//! Works on host values, without Burn: checkpoints, import and export share it, and its faults are tested
//! without building a network.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::tensor::TensorInfo;
use safetensors::{Dtype, SafeTensors, View};

use crate::error::{Error, Result};

/// One named tensor on the host, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct HostTensor {
    pub name: String,
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

impl HostTensor {
    /// # Panics
    /// If the number of values is not the shape's.
    pub fn new(name: impl Into<String>, shape: impl Into<Vec<usize>>, values: Vec<f32>) -> Self {
        let (name, shape) = (name.into(), shape.into());
        assert_eq!(shape.iter().product::<usize>(), values.len(), "{name}: {shape:?} values expected");
        Self { name, shape, values }
    }
}

/// Converts one tensor at a time, so that a file never costs a second copy of all weights as bytes.
impl View for &HostTensor {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(self.values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    fn data_len(&self) -> usize {
        4 * self.values.len()
    }
}

/// The bytes of a safetensors file. Equal tensors and metadata of at most one entry give equal bytes.
///
/// # Panics
/// If two tensors have one name: a mistake in the caller's list.
pub fn encode(tensors: &[HostTensor], metadata: Option<(&str, &str)>) -> Vec<u8> {
    let metadata = metadata.map(|(key, value)| HashMap::from([(key.to_owned(), value.to_owned())]));
    safetensors::serialize(tensors.iter().map(|tensor| (tensor.name.as_str(), tensor)), metadata)
        .expect("shapes fit their values, and names are distinct")
}

/// A safetensors file in memory whose header has been checked.
#[derive(Debug)]
pub struct TensorFile {
    path: PathBuf,
    bytes: Vec<u8>,
    /// Sorted by name: the library's own order changes from run to run.
    entries: Vec<Entry>,
}

/// What the header says of a tensor.
#[derive(Debug)]
struct Entry {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    /// Its place in the file.
    bytes: Range<usize>,
}

impl TensorFile {
    /// Checks the header of `bytes`; `path` is for messages.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a truncated, corrupt or foreign file.
    pub fn parse(path: &Path, bytes: Vec<u8>) -> Result<Self> {
        let remedy = "the file is corrupt or only partly copied: copy or export it again";
        let (header_bytes, metadata) = SafeTensors::read_metadata(&bytes)
            .map_err(|error| Error::invalid(path, format!("not a whole safetensors file ({error})"), remedy))?;
        // The header's length stands before it, in 8 bytes.
        let data = 8 + header_bytes;
        let entry = |(name, info): (String, &TensorInfo)| Entry {
            name,
            dtype: info.dtype,
            shape: info.shape.clone(),
            bytes: data + info.data_offsets.0..data + info.data_offsets.1,
        };
        let mut entries: Vec<Entry> = metadata.tensors().into_iter().map(entry).collect();
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { path: path.to_owned(), bytes, entries })
    }

    /// Reads and checks a file.
    ///
    /// # Errors
    /// As [`TensorFile::parse`], and when the file cannot be read.
    #[cfg(feature = "native")]
    pub fn open(path: &Path) -> Result<Self> {
        Self::parse(path, crate::file::read(path)?)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.name.as_str())
    }

    pub fn contains(&self, name: &str) -> bool {
        self.entry(name).is_some()
    }

    fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.binary_search_by(|entry| entry.name.as_str().cmp(name)).ok().map(|found| &self.entries[found])
    }

    /// The tensor `name`, f16 and bf16 widened to f32.
    ///
    /// # Errors
    /// It is not there, has another shape than `shape` (where given), or is of no floating-point type.
    pub fn tensor(&self, name: &str, shape: Option<&[usize]>) -> Result<HostTensor> {
        let invalid = |problem: String, remedy: &str| Err(Error::invalid(&self.path, problem, remedy));
        let Some(Entry { dtype, shape: found, bytes, .. }) = self.entry(name) else {
            return invalid(
                format!("tensor \"{name}\" is missing"),
                "the file holds another kind of network, or config.json does not belong to it",
            );
        };
        if let Some(shape) = shape
            && shape != found
        {
            return invalid(
                format!("tensor \"{name}\" has shape {found:?}, but {shape:?} is expected"),
                "the file and its configuration do not belong together",
            );
        }
        let data = &self.bytes[bytes.clone()];
        let values = match dtype {
            Dtype::F32 => data.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
            Dtype::F16 => data.as_chunks::<2>().0.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect(),
            Dtype::BF16 => data.as_chunks::<2>().0.iter().map(|bytes| bf16::from_le_bytes(*bytes).to_f32()).collect(),
            other => {
                return invalid(
                    format!("tensor \"{name}\" is of type {other:?}"),
                    "f32, f16 and bf16 are read: convert the file",
                );
            }
        };
        Ok(HostTensor { name: name.to_owned(), shape: found.clone(), values })
    }

    /// All tensors, by name.
    ///
    /// # Errors
    /// As [`TensorFile::tensor`].
    pub fn tensors(&self) -> Result<Vec<HostTensor>> {
        self.names().map(|name| self.tensor(name, None)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Vec<u8> {
        encode(
            &[
                HostTensor::new("a", [2, 2], vec![1.0, -0.0, f32::MIN_POSITIVE, 4.5]),
                HostTensor::new("b", [1], vec![0.1]),
            ],
            Some(("format", "pt")),
        )
    }

    #[test]
    fn values_return_bit_for_bit() {
        let file = TensorFile::parse(Path::new("x"), example()).unwrap();
        let tensors = file.tensors().unwrap();
        assert_eq!(encode(&tensors, Some(("format", "pt"))), example());
        assert_eq!(file.tensor("a", Some(&[2, 2])).unwrap().values[1].to_bits(), (-0.0f32).to_bits());
    }

    #[test]
    fn half_precision_is_widened() {
        let halves: Vec<u8> = [1.5f32, -2.0].iter().flat_map(|x| f16::from_f32(*x).to_le_bytes()).collect();
        let brains: Vec<u8> = [1.5f32, -2.0].iter().flat_map(|x| bf16::from_f32(*x).to_le_bytes()).collect();
        for (dtype, data) in [(Dtype::F16, &halves), (Dtype::BF16, &brains)] {
            let view = safetensors::tensor::TensorView::new(dtype, vec![2], data).unwrap();
            let file = TensorFile::parse(Path::new("x"), safetensors::serialize([("w", view)], None).unwrap()).unwrap();
            assert_eq!(file.tensor("w", None).unwrap().values, [1.5, -2.0]);
        }
        let view = safetensors::tensor::TensorView::new(Dtype::I64, vec![1], &[0; 8]).unwrap();
        let file = TensorFile::parse(Path::new("x"), safetensors::serialize([("w", view)], None).unwrap()).unwrap();
        assert!(file.tensor("w", None).unwrap_err().to_string().contains("I64"));
    }

    #[test]
    fn every_truncation_and_wrong_header_is_an_error() {
        let whole = example();
        for len in 0..whole.len() {
            let message = TensorFile::parse(Path::new("w.safetensors"), whole[..len].to_vec()).unwrap_err().to_string();
            assert!(message.contains("w.safetensors") && message.contains("again"), "{message}");
        }
        for (position, value) in [(0, 0xFF), (7, 0x7F), (8, b'['), (12, 0xC3)] {
            let mut bytes = whole.clone();
            bytes[position] = value;
            assert!(TensorFile::parse(Path::new("x"), bytes).is_err(), "byte {position}");
        }
    }

    #[test]
    fn a_missing_or_misshapen_tensor_is_named() {
        let file = TensorFile::parse(Path::new("x"), example()).unwrap();
        assert!(file.tensor("c", None).unwrap_err().to_string().contains("\"c\" is missing"));
        assert!(file.tensor("a", Some(&[4])).unwrap_err().to_string().contains("[2, 2], but [4]"));
    }
}
