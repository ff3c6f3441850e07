//! A case of the verification: what to compute, on numbers that are the same everywhere.

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::noise::NoiseKey;
use crate::read::{self, Reads};
use crate::types::{failure::DeviceFailure, kernel::Kernel};

/// How much is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// What training launches, at sizes that no tile divides.
    Short,
    /// Sizes around tiles and workgroups, and those of real networks.
    Full,
}

/// f32 sums in other orders, and functions that WGSL rounds loosely: what a healthy adapter stays far below.
pub(super) const TOLERANCE: f64 = 1e-4;

pub(super) type Arrays = Vec<Vec<f64>>;

type Make = Box<dyn FnOnce(&[TensorData]) -> Arrays>;

/// What a case has asked a device for, and what is made of it: a page may not wait, so that asking and reading are two things.
pub(super) struct Asked {
    reads: Reads,
    make: Make,
}

impl Asked {
    /// The arrays as they are read.
    pub(super) fn of(reads: Reads) -> Self {
        Self::to_make(reads, |found| found.iter().map(wide).collect())
    }

    /// What `make` makes of what is read.
    pub(super) fn to_make(reads: Reads, make: impl FnOnce(&[TensorData]) -> Arrays + 'static) -> Self {
        Self { reads, make: Box::new(make) }
    }

    pub(super) async fn arrays(self) -> Result<Arrays, DeviceFailure> {
        Ok((self.make)(&self.reads.fetch().await?))
    }
}

pub(super) type Body = Box<dyn Fn(&Device) -> Result<Asked, DeviceFailure>>;

/// A case: what to compute, and how far apart the results may be.
pub(super) struct Case {
    pub(super) kernel: Kernel,
    pub(super) name: String,
    pub(super) tolerance: f64,
    pub(super) body: Body,
    /// What gives the expected arrays on the adapter itself, where it is not `body` on the CPU.
    pub(super) twin: Option<Body>,
}

impl Case {
    pub(super) fn new(
        kernel: Kernel,
        name: String,
        body: impl Fn(&Device) -> Result<Asked, DeviceFailure> + 'static,
    ) -> Self {
        Self { kernel, name, tolerance: TOLERANCE, body: Box::new(body), twin: None }
    }
}

pub(super) fn values(seed: u64, length: usize) -> Vec<f32> {
    let key = NoiseKey::new(seed);
    (0..length).map(|index| key.uniform_f64(index as u64, 0) as f32 * 2.0 - 1.0).collect()
}

/// The values of tensors of one device, read together.
pub(super) fn host<const D: usize>(tensors: &[Tensor<D>]) -> Result<Asked, DeviceFailure> {
    let mut reads = Reads::default();
    for tensor in tensors {
        reads.floats(tensor);
    }
    Ok(Asked::of(reads))
}

fn wide(data: &TensorData) -> Vec<f64> {
    read::floats_of(data).into_iter().map(f64::from).collect()
}

pub(super) fn ids(rows: usize, columns: usize, limit: usize, device: &Device) -> Tensor<2, Int> {
    let ids: Vec<i32> = (0..rows * columns).map(|index| (index * 7919 % limit) as i32).collect();
    Tensor::from_data(TensorData::new(ids, [rows, columns]), device)
}

/// Random values, the same on every device.
pub(super) fn matrix(seed: u64, shape: [usize; 2], device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values(seed, shape[0] * shape[1]), shape), device)
}

/// The result of `operation` on random operands of these shapes, and their gradients.
pub(super) fn differentiate(
    device: &Device,
    shapes: &[[usize; 2]],
    operation: impl Fn(Vec<Tensor<2>>, &Device) -> Tensor<2>,
) -> Result<Asked, DeviceFailure> {
    host(&derivatives(device, shapes, operation))
}

/// What [`differentiate`] reads, on the device.
pub(super) fn derivatives(
    device: &Device,
    shapes: &[[usize; 2]],
    operation: impl Fn(Vec<Tensor<2>>, &Device) -> Tensor<2>,
) -> Vec<Tensor<2>> {
    let device = device.clone().autodiff();
    let leaves: Vec<_> =
        shapes.iter().zip(1..).map(|(&shape, seed)| matrix(seed, shape, &device).require_grad()).collect();
    let result = operation(leaves.clone(), &device);
    with_gradients(result, &leaves)
}

/// A result, and the gradients of `leaves` for a loss that weighs each of its values differently.
fn with_gradients(result: Tensor<2>, leaves: &[Tensor<2>]) -> Vec<Tensor<2>> {
    let weights = matrix(99, result.dims(), &result.device());
    let gradients = (result.clone() * weights).sum().backward();
    let none = || Tensor::zeros([1, 1], &result.device().inner());
    let of_leaf = |leaf: &Tensor<2>| leaf.grad(&gradients).unwrap_or_else(none);
    std::iter::once(result.clone().inner()).chain(leaves.iter().map(of_leaf)).collect()
}

/// `short`, and `more` of a full verification.
pub(super) fn sizes<const N: usize>(extent: Extent, short: &[[usize; N]], more: &[[usize; N]]) -> Vec<[usize; N]> {
    let more = if extent == Extent::Full { more } else { &[] };
    short.iter().chain(more).copied().collect()
}
