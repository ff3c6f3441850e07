//! Named f32 tensors in safetensors files, with the checks that a file from elsewhere needs.
//!
//! Works on host values, without Burn: checkpoints, import and export share it, and its faults are tested
//! without building a network.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::tensor::TensorInfo;
use safetensors::{Dtype, SafeTensors, View};

use crate::error::{Error, Result};
use crate::host::HostTensor;

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

/// The bytes of a safetensors file. Equal tensors and metadata give equal bytes.
///
/// # Panics
/// If two tensors have one name: a mistake in the caller's list.
pub(crate) fn encode<'m>(tensors: &[HostTensor], metadata: impl IntoIterator<Item = (&'m str, &'m str)>) -> Vec<u8> {
    let metadata: BTreeMap<&str, &str> = metadata.into_iter().collect();
    let mut bytes = safetensors::serialize(tensors.iter().map(|tensor| (tensor.name.as_str(), tensor)), None)
        .expect("shapes fit their values, and names are distinct");
    if metadata.is_empty() {
        return bytes;
    }
    // The library takes metadata in a map without an order; so it is put at the front of the header here.
    let end = LENGTH_BYTES + header_length(&bytes).expect("just written");
    let rest = std::str::from_utf8(&bytes[LENGTH_BYTES + 1..end]).expect("JSON").trim_end();
    let comma = if rest == "}" { "" } else { "," };
    let mut header = format!("{{\"__metadata__\":{}{comma}{rest}", serde_json::json!(metadata)).into_bytes();
    header.resize(header.len().next_multiple_of(LENGTH_BYTES), b' ');
    let length = (header.len() as u64).to_le_bytes();
    bytes.splice(..end, length.into_iter().chain(header));
    bytes
}

/// Bytes of the number at the start of a file, which is the length of its header.
const LENGTH_BYTES: usize = 8;

fn header_length(bytes: &[u8]) -> Option<usize> {
    usize::try_from(u64::from_le_bytes(*bytes.first_chunk()?)).ok()
}

/// One entry of a file's metadata, without reading its tensors; `None` where it has none of this name or is no such file.
#[cfg(feature = "native")]
pub(crate) fn metadata_of(path: &Path, key: &str) -> Option<String> {
    use std::io::Read;
    // What the format allows for a header.
    const MAX_HEADER_BYTES: usize = 100_000_000;
    let mut file = std::fs::File::open(path).ok()?;
    let mut length = [0; LENGTH_BYTES];
    file.read_exact(&mut length).ok()?;
    let length = header_length(&length).filter(|&length| length <= MAX_HEADER_BYTES)?;
    let mut header = Vec::new();
    file.take(length as u64).read_to_end(&mut header).ok()?;
    let header: serde_json::Value = serde_json::from_slice(&header).ok()?;
    header["__metadata__"][key].as_str().map(str::to_owned)
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
        Self::parse(path, super::read(path)?)
    }

    /// Where it was read.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.name.as_str())
    }

    /// Whether it holds a tensor of this name.
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
        let Some(Entry { dtype, shape: found, bytes, .. }) = self.entry(name) else {
            let remedy = "the file holds another kind of network, or config.json does not belong to it";
            return Err(Error::invalid(&self.path, format!("tensor \"{name}\" is missing"), remedy));
        };
        check_shape(&self.path, name, found, shape)?;
        let values = floats(&self.path, name, *dtype, &self.bytes[bytes.clone()])?;
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

/// Refuses a tensor of another shape than the one that is expected, if any.
pub(crate) fn check_shape(path: &Path, name: &str, found: &[usize], expected: Option<&[usize]>) -> Result<()> {
    match expected.filter(|expected| *expected != found) {
        None => Ok(()),
        Some(expected) => Err(Error::invalid(
            path,
            format!("tensor \"{name}\" has shape {found:?}, but {expected:?} is expected"),
            "the file and its configuration do not belong together",
        )),
    }
}

/// Little-endian numbers as f32, f16 and bf16 widened.
pub(crate) fn floats(path: &Path, name: &str, dtype: Dtype, data: &[u8]) -> Result<Vec<f32>> {
    Ok(match dtype {
        Dtype::F32 => data.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        Dtype::F16 => data.as_chunks::<2>().0.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect(),
        Dtype::BF16 => data.as_chunks::<2>().0.iter().map(|bytes| bf16::from_le_bytes(*bytes).to_f32()).collect(),
        other => {
            let problem = format!("tensor \"{name}\" is of type {other:?}");
            return Err(Error::invalid(path, problem, "f32, f16 and bf16 are read: convert the file"));
        }
    })
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
            [("format", "pt"), ("run", "1")],
        )
    }

    #[test]
    fn metadata_are_found_without_the_tensors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.safetensors");
        for tensors in [vec![], vec![HostTensor::new("a", [1], vec![0.5])]] {
            std::fs::write(&path, encode(&tensors, [("run", "7"), ("format", "pt")])).unwrap();
            assert_eq!(metadata_of(&path, "run").as_deref(), Some("7"));
            assert_eq!(metadata_of(&path, "other"), None);
            assert_eq!(TensorFile::open(&path).unwrap().tensors().unwrap(), tensors);
        }
        std::fs::write(&path, example().split_at(20).0).unwrap();
        assert_eq!(metadata_of(&path, "run"), None);
        std::fs::write(&path, [0xFF; 12]).unwrap();
        assert_eq!(metadata_of(&path, "run"), None);
    }

    #[test]
    fn values_return_bit_for_bit() {
        let file = TensorFile::parse(Path::new("x"), example()).unwrap();
        let tensors = file.tensors().unwrap();
        assert_eq!(encode(&tensors, [("format", "pt"), ("run", "1")]), example());
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
