//! Tensors of a `pytorch_model.bin`: a zip archive with a pickle, which Python would execute, and the numbers beside it.
//!
//! Only a dictionary of tensors is understood ([`pickle`]); nothing of the file is executed. A crate reads more (burn-store's), with
//! another zip reader whose features have all of Burn compiled anew.

mod pickle;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use electra_data::input::zip::{ZipArchive, ZipFailure};
use safetensors::Dtype;

use self::pickle::TensorView;
use crate::error::{Error, Result};
use crate::file::tensor_file::{check_shape, floats};
use crate::host::HostTensor;

/// A list of tensors has some hundred bytes for each.
const MAX_PICKLE_BYTES: u64 = 64 << 20;
const AGAIN: &str = "copy or download it again; if Python loads it, save it there with save_pretrained(\"FOLDER\"), which writes \
                     model.safetensors";

/// A checkpoint of PyTorch whose list of tensors has been read.
pub(crate) struct PytorchFile {
    path: PathBuf,
    archive: ZipArchive,
    /// What the names of its members begin with.
    root: String,
    tensors: BTreeMap<String, TensorView>,
}

impl PytorchFile {
    /// # Errors
    /// The file cannot be read, is of PyTorch before 1.6, or holds anything but tensors.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let invalid = |problem: String| Error::invalid(path, problem, AGAIN);
        let mut start = [0; 4];
        let mut file = std::fs::File::open(path).map_err(|source| Error::io(path, "read", source))?;
        // A short file is no archive either.
        let _ = file.read_exact(&mut start);
        if start != *b"PK\x03\x04" {
            let problem = "not a zip archive: damaged, or written by PyTorch before 1.6";
            let remedy = "load it in Python with transformers and save it with save_pretrained(\"FOLDER\"), then take that folder";
            return Err(Error::invalid(path, problem, remedy));
        }
        let archive = ZipArchive::open(path).map_err(|failure| failed(path, failure))?;
        let Some(pickle) = archive.members().iter().find(|member| member.name.ends_with("/data.pkl")) else {
            return Err(invalid("an archive without data.pkl, and so not of PyTorch".to_owned()));
        };
        let root = pickle.name[..pickle.name.len() - "data.pkl".len()].to_owned();
        let order = read(path, &archive, &format!("{root}byteorder"), 16)?;
        if order.is_some_and(|order| order != b"little") {
            return Err(invalid("its numbers have their most significant byte first, which is not read".to_owned()));
        }
        let bytes = read(path, &archive, &pickle.name, MAX_PICKLE_BYTES)?.unwrap_or_default();
        let tensors: BTreeMap<_, _> = pickle::tensors(&bytes).map_err(invalid)?.into_iter().collect();
        if tensors.is_empty() {
            return Err(invalid("it holds no tensors".to_owned()));
        }
        Ok(Self { path: path.to_owned(), archive, root, tensors })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Names of all tensors, sorted.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The tensor `name`, f16 and bf16 widened to f32.
    ///
    /// # Errors
    /// It is not there, has another shape than `shape` (where given), is of no floating-point type, or reaches out of its storage.
    pub(crate) fn tensor(&self, name: &str, shape: Option<&[usize]>) -> Result<HostTensor> {
        let invalid = |problem: String, remedy: &str| Error::invalid(&self.path, problem, remedy);
        let Some(view) = self.tensors.get(name) else {
            return Err(invalid(format!("tensor \"{name}\" is missing"), "the file holds another kind of network"));
        };
        check_shape(&self.path, name, &view.shape, shape)?;
        let (dtype, bytes) = match view.storage_type.as_str() {
            "FloatStorage" => (Dtype::F32, 4),
            "HalfStorage" => (Dtype::F16, 2),
            "BFloat16Storage" => (Dtype::BF16, 2),
            other => {
                let problem = format!("tensor \"{name}\" lies in a {other}");
                return Err(invalid(problem, "f32, f16 and bf16 are read: convert the file"));
            }
        };
        let Some(indices) = indices(view) else {
            return Err(invalid(format!("tensor \"{name}\" reaches out of its storage"), AGAIN));
        };
        let size = (view.storage_len as u64).saturating_mul(bytes);
        let data = read(&self.path, &self.archive, &format!("{}data/{}", self.root, view.storage), size)?;
        let Some(data) = data.filter(|data| data.len() as u64 == size) else {
            return Err(invalid(format!("the numbers of tensor \"{name}\" are missing or cut off"), AGAIN));
        };
        let stored = floats(&self.path, name, dtype, &data)?;
        let values = match indices {
            Indices::Range(range) => stored[range].to_vec(),
            Indices::Each(each) => each.into_iter().map(|index| stored[index]).collect(),
        };
        Ok(HostTensor::new(name, view.shape.clone(), values))
    }
}

/// Where a tensor's numbers lie in its storage.
enum Indices {
    Range(std::ops::Range<usize>),
    /// Of a transposed tensor, for example.
    Each(Vec<usize>),
}

/// `None` where one lies outside, or where there are more of them than the storage has numbers: a view may repeat a few as often as
/// it likes.
fn indices(view: &TensorView) -> Option<Indices> {
    let count = view.shape.iter().try_fold(1usize, |count, &length| count.checked_mul(length))?;
    let mut row_major = vec![1; view.shape.len()];
    for axis in (1..view.shape.len()).rev() {
        row_major[axis - 1] = row_major[axis] * view.shape[axis].max(1);
    }
    // The stride of an axis of one says nothing.
    let is_plain = || (0..row_major.len()).all(|axis| view.shape[axis] == 1 || view.strides[axis] == row_major[axis]);
    if count == 0 || is_plain() {
        let end = view.offset.checked_add(count)?;
        return (end <= view.storage_len).then_some(Indices::Range(view.offset..end));
    }
    if count > view.storage_len {
        return None;
    }
    let mut each = Vec::with_capacity(count);
    for number in 0..count {
        let mut index = view.offset;
        for ((&below, &length), &stride) in row_major.iter().zip(&view.shape).zip(&view.strides) {
            index = index.checked_add((number / below % length).checked_mul(stride)?)?;
        }
        each.push(index);
    }
    each.iter().all(|&index| index < view.storage_len).then_some(Indices::Each(each))
}

/// A member's bytes, which must be at most `limit`; `None` where there is no such member.
fn read(path: &Path, archive: &ZipArchive, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
    let Some(member) = archive.members().iter().find(|member| member.name == name) else { return Ok(None) };
    if member.bytes > limit {
        let problem = format!("its member {name} has {} bytes, where at most {limit} are expected", member.bytes);
        return Err(Error::invalid(path, problem, AGAIN));
    }
    let mut bytes = Vec::new();
    let mut content = archive.read(member).map_err(|failure| failed(path, failure))?;
    content.by_ref().take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(|source| match source.kind() {
        std::io::ErrorKind::InvalidData => failed(path, ZipFailure::Damaged(source.to_string())),
        _ => Error::io(path, "read", source),
    })?;
    Ok(Some(bytes))
}

fn failed(path: &Path, failure: ZipFailure) -> Error {
    match failure {
        ZipFailure::Io(source) => Error::io(path, "read", source),
        ZipFailure::Damaged(reason) => Error::invalid(path, format!("a damaged archive: {reason}"), AGAIN),
        ZipFailure::Unsupported(what) => Error::invalid(path, format!("it has {what}"), AGAIN),
    }
}
