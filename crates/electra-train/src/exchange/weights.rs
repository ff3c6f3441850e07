//! The tensors of a folder in Hugging Face's layout, in whichever of its forms they lie there.
//!
//! One `model.safetensors` or `pytorch_model.bin`, or several that an index lists; an encoder's tensors under `electra.`, under
//! `bert.`, or as an encoder that was saved alone has them, without either; layer norms under today's names or under
//! TensorFlow's, `gamma` and `beta`, which old releases of `transformers` kept. Formats that aren't read are told by their names,
//! since "no such file" helps nobody who has one of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use electra_data::Folder;
use serde_json::Value;

use crate::error::{Error, Result};
#[cfg(feature = "native")]
use crate::exchange::pytorch::PytorchFile;
use crate::file::tensor_file::TensorFile;
use crate::host::HostTensor;

/// The file of all tensors.
pub(crate) const WEIGHTS: &str = "model.safetensors";
/// Which file holds which tensor, where there are several.
const INDEX: &str = "model.safetensors.index.json";
/// The same of old releases of `transformers`.
const PYTORCH: &str = "pytorch_model.bin";
const PYTORCH_INDEX: &str = "pytorch_model.bin.index.json";

/// A file of tensors.
enum File {
    Safetensors(TensorFile),
    #[cfg(feature = "native")]
    Pytorch(PytorchFile),
}

impl File {
    fn path(&self) -> &Path {
        match self {
            Self::Safetensors(file) => file.path(),
            #[cfg(feature = "native")]
            Self::Pytorch(file) => file.path(),
        }
    }

    fn names(&self) -> Vec<&str> {
        match self {
            Self::Safetensors(file) => file.names().collect(),
            #[cfg(feature = "native")]
            Self::Pytorch(file) => file.names().collect(),
        }
    }

    fn tensor(&self, name: &str, shape: Option<&[usize]>) -> Result<HostTensor> {
        match self {
            Self::Safetensors(file) => file.tensor(name, shape),
            #[cfg(feature = "native")]
            Self::Pytorch(file) => file.tensor(name, shape),
        }
    }
}

/// The tensors of a folder by their names of today.
pub(crate) struct Weights {
    /// For messages: the file, or the index of several.
    path: PathBuf,
    files: Vec<File>,
    /// From a name to its file and its name there.
    places: BTreeMap<String, (usize, String)>,
}

impl Weights {
    /// Opens the weights of `folder`.
    ///
    /// # Errors
    /// There are none, or of a format that isn't read; a file is damaged or missing; two tensors have one name.
    pub(crate) fn open(folder: Folder<'_>) -> Result<Self> {
        let mut known = [WEIGHTS, INDEX, PYTORCH, PYTORCH_INDEX].into_iter();
        let Some(name) = known.find(|name| folder.has(name)) else {
            return Err(other_format(folder));
        };
        let names = if name.ends_with(".json") { shards(folder, name)? } else { vec![name.to_owned()] };
        let files = names.iter().map(|name| open(folder, name)).collect::<Result<Vec<_>>>()?;
        let path = folder.path(name);
        let mut places = BTreeMap::new();
        let prefix = prefix_of(files.iter().flat_map(File::names));
        for (number, file) in files.iter().enumerate() {
            for name in file.names() {
                if let Some((_, other)) = places.insert(name_of_today(name, prefix), (number, name.to_owned())) {
                    let problem = format!("it holds \"{name}\" and \"{other}\", which are the same tensor");
                    return Err(Error::invalid(file.path(), problem, "remove the files of the older export"));
                }
            }
        }
        Ok(Self { path, files, places })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Names of all tensors, sorted.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.places.keys().map(String::as_str)
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    /// The tensor `name`.
    ///
    /// # Errors
    /// As [`TensorFile::tensor`]; values that are not finite.
    pub(crate) fn tensor(&self, name: &str, shape: Option<&[usize]>) -> Result<HostTensor> {
        let Some((file, stored)) = self.places.get(name) else {
            let problem = format!("tensor \"{name}\" is missing");
            return Err(Error::invalid(&self.path, problem, "copy or export the folder again"));
        };
        let file = &self.files[*file];
        let tensor = HostTensor { name: name.to_owned(), ..file.tensor(stored, shape)? };
        if let Some(place) = tensor.values.iter().position(|value| !value.is_finite()) {
            let count = tensor.values.iter().filter(|value| !value.is_finite()).count();
            let problem = format!(
                "tensor \"{name}\" holds {count} values that are not finite, the first is {} at {place}",
                tensor.values[place]
            );
            let remedy = "its training broke, or it did not fit half precision: take an earlier checkpoint or f32";
            return Err(Error::invalid(file.path(), problem, remedy));
        }
        Ok(tensor)
    }
}

/// Opens one file, and tells a placeholder of a repository from a damaged one.
fn open(folder: Folder<'_>, name: &str) -> Result<File> {
    let path = &folder.path(name);
    if name.ends_with(".bin") {
        return match folder {
            #[cfg(feature = "native")]
            Folder::Disk(_) => PytorchFile::open(path).map(File::Pytorch),
            Folder::Memory(_) => Err(Error::invalid(path, "PyTorch's files are not read in a page", FROM_PYTORCH)),
        };
    }
    let bytes = read(folder, name)?;
    if bytes.starts_with(b"version https://git-lfs") {
        let problem = "a pointer of Git LFS and not the weights themselves";
        return Err(Error::invalid(path, problem, "run \"git lfs pull\" in the repository it was cloned from"));
    }
    TensorFile::parse(path, bytes).map(File::Safetensors)
}

/// The bytes of a file of `folder`.
pub(super) fn read(folder: Folder<'_>, name: &str) -> Result<Vec<u8>> {
    folder.read(name).map_err(|source| Error::io(&folder.path(name), "read", source))
}

/// Names of the files that an index lists.
fn shards(folder: Folder<'_>, name: &str) -> Result<Vec<String>> {
    let (index, remedy) = (&folder.path(name), "copy or download the folder again");
    let value: Value = serde_json::from_slice(&read(folder, name)?)
        .map_err(|error| Error::invalid(index, format!("malformed JSON ({error})"), remedy))?;
    let Some(map) = value["weight_map"].as_object() else {
        return Err(Error::invalid(index, "it has no weight_map", remedy));
    };
    let mut names: Vec<String> = Vec::new();
    for (tensor, name) in map {
        let name = name.as_str().filter(|name| Path::new(name).file_name() == Some(name.as_ref()));
        let Some(name) = name else {
            return Err(Error::invalid(index, format!("\"{tensor}\" lies in no file of this folder"), remedy));
        };
        names.push(name.to_owned());
    }
    names.sort();
    names.dedup();
    Ok(names)
}

/// What an encoder's tensors begin with in a file of these `names`.
fn prefix_of<'n>(mut names: impl Iterator<Item = &'n str> + Clone) -> &'static str {
    ["electra.", "bert."]
        .into_iter()
        .find(|prefix| names.clone().any(|name| name.starts_with(prefix)))
        .unwrap_or(if names.any(|name| name.starts_with("embeddings.")) { "" } else { "electra." })
}

/// An encoder's tensors begin with `electra.` here, and with `prefix` in the file. A layer norm's parameters had TensorFlow's
/// names in old files.
fn name_of_today(name: &str, prefix: &str) -> String {
    const PARTS: [&str; 3] = ["embeddings.", "embeddings_project.", "encoder."];
    let name = match name.strip_prefix(prefix) {
        Some(part) if PARTS.iter().any(|of_encoder| part.starts_with(of_encoder)) => format!("electra.{part}"),
        _ => name.to_owned(),
    };
    for (old, new) in [("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias")] {
        if let Some(rest) = name.strip_suffix(old) {
            return format!("{rest}{new}");
        }
    }
    name
}

/// What to say of a folder without weights that are read: which there are, and what to do.
fn other_format(folder: Folder<'_>) -> Error {
    let wanted = &folder.path(WEIGHTS);
    let known = [
        ("tf_model.h5", "only tf_model.h5, the weights of TensorFlow, which are not read", FROM_TF),
        ("flax_model.msgpack", "only flax_model.msgpack, the weights of Flax, which are not read", FROM_FLAX),
    ];
    let names = folder.names();
    for (name, problem, remedy) in known {
        if names.iter().any(|found| found == name) {
            return Error::invalid(wanted, format!("not there, {problem}"), remedy);
        }
    }
    if let Some(checkpoint) = names.iter().find(|name| name.contains(".ckpt") || name.ends_with(".index")) {
        let problem = format!("not there, only {checkpoint}, a checkpoint of TensorFlow, which is not read");
        return Error::invalid(wanted, problem, FROM_CHECKPOINT);
    }
    if let Some(other) = names.iter().find(|name| name.ends_with(".safetensors") || name.ends_with(".onnx")) {
        let problem = format!("not there, only {other}");
        return Error::invalid(wanted, problem, "if these are the weights, give them that name");
    }
    let problem = if folder.exists() { "no weights in this folder" } else { "no such folder" };
    Error::invalid(wanted, problem, "check the path")
}

const FROM_PYTORCH: &str = "\"electra import FOLDER --out DIR\" makes a folder of it that can be";
const FROM_TF: &str = "load it in Python with transformers 4 and TensorFlow, from_pretrained(\"FOLDER\", from_tf=True), and \
                       save it with save_pretrained(\"FOLDER\"), then import that folder";
const FROM_FLAX: &str = "load it in Python with transformers 4 and Flax, from_pretrained(\"FOLDER\", from_flax=True), and save \
                         it with save_pretrained(\"FOLDER\"), then import that folder";
const FROM_CHECKPOINT: &str = "transformers 4 has a script for it, convert_electra_original_tf_checkpoint_to_pytorch.py; \
                               import the folder that it writes";

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::file::tensor_file::encode;

    fn tensor(name: &str, value: f32) -> HostTensor {
        HostTensor::new(name, [2], vec![1.0, value])
    }

    fn failure(folder: &Path) -> String {
        match Weights::open(folder.into()) {
            Ok(_) => panic!("an error is expected"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn shards_are_read_as_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
        put("a.safetensors", &encode(&[tensor("x.LayerNorm.gamma", 2.0)], None));
        put("b.safetensors", &encode(&[tensor("x.LayerNorm.beta", 3.0), tensor("y", 4.0)], None));
        let map =
            r#"{"x.LayerNorm.gamma": "a.safetensors", "x.LayerNorm.beta": "b.safetensors", "y": "b.safetensors"}"#;
        put(INDEX, format!(r#"{{"metadata": {{}}, "weight_map": {map}}}"#).as_bytes());
        let weights = Weights::open(folder.path().into()).unwrap();
        assert_eq!(weights.names().collect::<Vec<_>>(), ["x.LayerNorm.bias", "x.LayerNorm.weight", "y"]);
        assert_eq!(weights.tensor("x.LayerNorm.weight", Some(&[2])).unwrap(), tensor("x.LayerNorm.weight", 2.0));

        put(INDEX, br#"{"weight_map": {"y": "../b.safetensors"}}"#);
        assert!(failure(folder.path()).contains("no file of this folder"));
        put(INDEX, br#"{"weight_map": {"y": "c.safetensors"}}"#);
        assert!(failure(folder.path()).contains("c.safetensors"));
        for text in ["{", "[]", "{}"] {
            put(INDEX, text.as_bytes());
            assert!(failure(folder.path()).contains(INDEX));
        }
        put("a.safetensors", &encode(&[tensor("y", 2.0)], None));
        put(INDEX, br#"{"weight_map": {"y": "b.safetensors", "z": "a.safetensors"}}"#);
        assert!(failure(folder.path()).contains("the same tensor"));
    }

    #[test]
    fn values_that_are_not_finite_are_named() {
        let folder = tempfile::tempdir().unwrap();
        for (value, shown) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf"), (f32::NEG_INFINITY, "-inf")] {
            fs::write(folder.path().join(WEIGHTS), encode(&[tensor("w", value), tensor("v", 1.0)], None)).unwrap();
            let weights = Weights::open(folder.path().into()).unwrap();
            assert!(weights.tensor("v", None).is_ok());
            let message = weights.tensor("w", None).unwrap_err().to_string();
            assert!(message.contains(&format!("\"w\" holds 1 values that are not finite, the first is {shown} at 1")));
        }
    }

    #[test]
    fn formats_that_are_not_read_are_named_with_a_remedy() {
        for (name, words) in [
            ("pytorch_model.bin", ["pytorch_model.bin", "save_pretrained"]),
            ("pytorch_model.bin.index.json", ["malformed JSON", "download the folder again"]),
            ("tf_model.h5", ["TensorFlow", "from_tf"]),
            ("flax_model.msgpack", ["Flax", "from_flax"]),
            ("electra_small.index", ["checkpoint of TensorFlow", "convert_electra"]),
            ("model.ckpt-1000.data-00000-of-00001", ["checkpoint of TensorFlow", "convert_electra"]),
            ("weights.safetensors", ["weights.safetensors", "that name"]),
            ("notes.txt", ["no weights", "check the path"]),
        ] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join(name), "x").unwrap();
            let message = failure(folder.path());
            for word in words {
                assert!(message.contains(word), "{name}: {message}");
            }
        }
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(WEIGHTS), "version https://git-lfs.github.com/spec/v1\noid sha256:0\n").unwrap();
        assert!(failure(folder.path()).contains("git lfs pull"));
        assert!(failure(&folder.path().join("absent")).contains("no such folder"));
    }
}
