//! Named tensors on the host, which files hold, and the way between them and parameters on a device.

use std::collections::HashMap;
use std::path::Path;

use burn::tensor::{Device, Tensor};
use electra_kernels::DeviceFailure;
use electra_kernels::read::{self, Reads};
use electra_model::parameters::to_device;
use electra_model::{Layout, ParameterSpec, Parameters};

use crate::error::{Error, Result};

/// One named tensor on the host, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct HostTensor {
    /// As in `Parameters`, or as a file has it.
    pub name: String,
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// As many as the shape says.
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

/// Runs a future to its end on this thread.
#[cfg(feature = "native")]
pub fn wait_for<T>(future: impl Future<Output = T>) -> T {
    use std::pin::pin;
    use std::sync::Arc;
    use std::task::{Context, Poll, Wake, Waker};
    use std::thread::{self, Thread};

    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return value;
        }
        thread::park();
    }
}

/// All parameters, read back, in the layout's order.
///
/// # Errors
/// The device failed.
pub async fn parameters_to_host(parameters: &Parameters) -> Result<Vec<HostTensor>, DeviceFailure> {
    to_host(parameters.layout(), parameters.values(), "").await
}

/// The parameters of `layout`, each whole, under `{prefix}NAME`; `values` are their pieces.
///
/// # Errors
/// The device failed.
pub(crate) async fn to_host(
    layout: &Layout,
    values: &[Tensor<1>],
    prefix: &str,
) -> Result<Vec<HostTensor>, DeviceFailure> {
    let mut pieces = layout.pieces().zip(values).peekable();
    let mut tensors = Vec::with_capacity(layout.specs().len());
    for spec in layout.specs() {
        let mut own = Vec::with_capacity(1);
        while let Some((_, value)) = pieces.next_if(|((of, _), _)| of.name == spec.name) {
            own.push(value.clone());
        }
        tensors.push(joined(format!("{prefix}{}", spec.name), spec, &own).await?);
    }
    Ok(tensors)
}

/// The values of one network under its names without `prefix` (`"generator."`), shared ones included.
///
/// # Errors
/// The device failed.
///
/// # Panics
/// If `parameters` lacks one of `specs`, whose names have no prefix.
pub async fn network_to_host(
    parameters: &Parameters,
    prefix: &str,
    specs: &[ParameterSpec],
) -> Result<Vec<HostTensor>, DeviceFailure> {
    let mut tensors = Vec::with_capacity(specs.len());
    for spec in specs {
        let name = format!("{prefix}{}", spec.name);
        let pieces = parameters.pieces(&name).unwrap_or_else(|| panic!("no parameter {name}"));
        tensors.push(joined(spec.name.clone(), spec, pieces).await?);
    }
    Ok(tensors)
}

async fn joined(name: String, spec: &ParameterSpec, pieces: &[Tensor<1>]) -> Result<HostTensor, DeviceFailure> {
    let mut reads = Reads::default();
    for piece in pieces {
        reads.floats(piece);
    }
    let found = reads.fetch().await?;
    let values = match found.as_slice() {
        [whole] => read::floats_of(whole),
        pieces => pieces.iter().flat_map(read::floats_of).collect(),
    };
    Ok(HostTensor::new(name, spec.shape.clone(), values))
}

/// Parameters of `layout` with the values of `tensors`, by name.
///
/// # Errors
/// One is missing or has another shape, or there are others; `path` is the file they came from.
pub fn parameters_from_host(
    layout: &Layout,
    tensors: Vec<HostTensor>,
    path: &Path,
    device: &Device,
) -> Result<Parameters> {
    let mut values = take(layout, tensors, path, "")?.into_iter();
    Ok(Parameters::from_values(layout, device, |_| values.next().expect("one per spec")))
}

/// One tensor per piece of `layout` with the values of `{prefix}NAME`.
///
/// # Errors
/// As [`parameters_from_host`].
pub(crate) fn pieces_from_host(
    layout: &Layout,
    tensors: Vec<HostTensor>,
    path: &Path,
    prefix: &str,
    device: &Device,
) -> Result<Vec<Tensor<1>>> {
    let values = take(layout, tensors, path, prefix)?;
    let ranges: Vec<_> = layout.pieces().map(|(spec, values)| (&spec.name, values)).collect();
    let of_specs = ranges.chunk_by(|(a, _), (b, _)| a == b);
    let on_device = |(values, pieces): (Vec<f32>, &[(&String, std::ops::Range<usize>)])| {
        to_device(values, pieces.iter().map(|(_, piece)| piece.clone()), device)
    };
    Ok(values.into_iter().zip(of_specs).flat_map(on_device).collect())
}

/// The values of `{prefix}NAME` for every name of `layout`, in its order; `tensors` must hold no more.
pub(crate) fn take(layout: &Layout, tensors: Vec<HostTensor>, path: &Path, prefix: &str) -> Result<Vec<Vec<f32>>> {
    let remedy = "the checkpoint belongs to a run with another configuration: resume with the run.toml that it was \
                  written with, or start afresh in another folder";
    let mut by_name: HashMap<String, HostTensor> =
        tensors.into_iter().map(|tensor| (tensor.name.clone(), tensor)).collect();
    let mut values = Vec::with_capacity(layout.specs().len());
    for spec in layout.specs() {
        let name = format!("{prefix}{}", spec.name);
        let Some(tensor) = by_name.remove(&name) else {
            return Err(Error::invalid(path, format!("tensor \"{name}\" is missing"), remedy));
        };
        if tensor.shape != spec.shape {
            let problem =
                format!("tensor \"{name}\" has shape {:?}, but the network has {:?}", tensor.shape, spec.shape);
            return Err(Error::invalid(path, problem, remedy));
        }
        values.push(tensor.values);
    }
    match by_name.keys().min() {
        None => Ok(values),
        Some(name) => Err(Error::invalid(path, format!("tensor \"{name}\" belongs to no parameter"), remedy)),
    }
}

#[cfg(test)]
mod tests {
    use electra_model::{Alias, Initializer};

    use super::*;

    fn layout() -> Layout {
        let spec = |name: &str, shape: &[usize]| ParameterSpec::new("", name, shape, Initializer::Ones);
        Layout::new(vec![spec("d.w", &[2, 3]), spec("d.b", &[3]), spec("g.w", &[2, 3])], vec![Alias::new("g.w", "d.w")])
    }

    #[test]
    fn parameters_return_as_they_were_and_mismatches_are_named() {
        let parameters_to_host = |parameters: &Parameters| wait_for(super::parameters_to_host(parameters));
        let network_to_host =
            |parameters: &Parameters, prefix, specs: &_| wait_for(super::network_to_host(parameters, prefix, specs));
        let to_host = |layout: &Layout, values: &_| wait_for(super::to_host(layout, values, ""));
        let device = Device::flex();
        let parameters = Parameters::initialize(&layout(), 1, &device);
        let host = parameters_to_host(&parameters).unwrap();
        assert_eq!(host.len(), 2, "a shared tensor is stored once");
        let path = Path::new("step_000001/parameters.safetensors");
        let again = parameters_from_host(&layout(), host.clone(), path, &device).unwrap();
        assert_eq!(parameters_to_host(&again).unwrap(), host);
        let shared =
            network_to_host(&parameters, "g.", &[ParameterSpec::new("", "w", &[2, 3], Initializer::Ones)]).unwrap();
        assert_eq!(shared[0].values, host[0].values);

        // In pieces on the device, it is whole on the host.
        let words = "d.word_embeddings.weight";
        let normal = Initializer::TruncatedNormal(0.02);
        let whole =
            Layout::new(vec![ParameterSpec::new("", words, &[200, 3], normal), layout().specs()[0].clone()], vec![]);
        let cut = whole.clone().cut(64 * 3 + 5);
        assert_eq!(cut.pieces().map(|(_, values)| values.len() / 3).collect::<Vec<_>>(), [64, 64, 64, 8, 2]);
        let in_pieces = Parameters::initialize(&cut, 1, &device);
        assert_eq!(in_pieces.table(words).rows(), 200);
        let host_of_pieces = parameters_to_host(&in_pieces).unwrap();
        assert_eq!(host_of_pieces, parameters_to_host(&Parameters::initialize(&whole, 1, &device)).unwrap());
        let again = pieces_from_host(&cut, host_of_pieces.clone(), path, "", &device).unwrap();
        assert_eq!(again.len(), 5);
        assert_eq!(to_host(&cut, &again).unwrap(), host_of_pieces);
        let alone = network_to_host(&in_pieces, "", &cut.specs()[..1]).unwrap();
        assert_eq!(alone[0].values, host_of_pieces[0].values);

        let fails = |tensors| parameters_from_host(&layout(), tensors, path, &device).unwrap_err().to_string();
        assert!(fails(host[..1].to_vec()).contains("\"d.b\" is missing"));
        let mut other = host.clone();
        other.push(HostTensor::new("x", [1], vec![0.0]));
        assert!(fails(other).contains("\"x\" belongs to no parameter"));
        let mut other = host.clone();
        other[1] = HostTensor::new("d.b", [1, 3], vec![0.0; 3]);
        assert!(fails(other).contains("shape [1, 3], but the network has [3]"));
    }
}
