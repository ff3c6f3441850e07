//! Arrays of an adapter: operands with or without a place in a graph, new ones, and views of them.

use burn::backend::DispatchDevice;
use burn::tensor::{DType, Device, Int, Shape, Tensor};
use burn_wgpu::{CubeBackend, CubeTensor, into_contiguous};

use crate::autodiff::{self, Dense, Differentiable};

pub(crate) type Operand = autodiff::Operand<CubeBackend>;

impl Dense for CubeTensor {
    fn dense(self) -> Self {
        into_contiguous(self)
    }
}

/// Whether shaders can take this tensor.
pub(crate) fn is_gpu<const D: usize>(tensor: &Tensor<D>) -> bool {
    autodiff::is_f32_on(tensor, |device| matches!(device, DispatchDevice::Cube(_)))
}

/// The operand in a tensor on an adapter.
pub(crate) fn operand<const D: usize>(tensor: Tensor<D>) -> Operand {
    if tensor.is_autodiff() {
        Operand::Tracked(
            tensor.try_into_primitive::<Differentiable<CubeBackend>>().expect("the device is wgpu with autodiff"),
        )
    } else {
        Operand::Plain(tensor.try_into_primitive::<CubeBackend>().expect("the device is wgpu"))
    }
}

/// The values of a tensor that takes no gradient.
pub(crate) fn constant<const D: usize>(tensor: &Tensor<D>) -> CubeTensor {
    tensor.clone().inner().try_into_primitive::<CubeBackend>().expect("the device is wgpu").dense()
}

/// An array on an adapter, of which to ask what the adapter can do.
pub(crate) fn probe(device: &Device) -> CubeTensor {
    constant(&Tensor::<1>::zeros([1], device))
}

/// Values of 4 bytes that one array of `device` can have.
pub fn largest_array(device: &Device) -> usize {
    let device = device.clone().inner();
    match device.as_dispatch() {
        DispatchDevice::Cube(_) => probe(&device).client.properties().memory.max_page_size as usize / 4,
        _ => usize::MAX,
    }
}

/// Whether shaders on `device` can compute in half precision.
pub(crate) fn has_f16(device: &Device) -> bool {
    let device = device.clone().inner();
    let f16 = cubecl::ir::ElemType::Float(cubecl::ir::FloatKind::F16);
    matches!(device.as_dispatch(), DispatchDevice::Cube(_)) && probe(&device).client.properties().supports_type(f16)
}

/// Ids as i32.
pub(crate) fn ids<const D: usize>(tensor: &Tensor<D, Int>) -> CubeTensor {
    let tensor = tensor.clone().inner().cast(burn::tensor::IntDType::I32);
    tensor.try_into_primitive::<CubeBackend>().expect("the device is wgpu").dense()
}

/// An array of `shape` beside `like`, of the same type, whose values are of no meaning.
pub(crate) fn empty<const D: usize>(like: &CubeTensor, shape: [usize; D]) -> CubeTensor {
    empty_of(like, shape, DType::F32)
}

/// As [`empty`], of the shape of `like`.
pub(crate) fn empty_like(like: &CubeTensor) -> CubeTensor {
    let shape = like.meta.shape().clone();
    let flat = empty(like, [shape.num_elements()]);
    CubeTensor::new_contiguous(flat.client, flat.device, shape, flat.handle, flat.dtype)
}

/// As [`empty`], of 32-bit integers.
pub(crate) fn empty_ids<const D: usize>(like: &CubeTensor, shape: [usize; D]) -> CubeTensor {
    empty_of(like, shape, DType::I32)
}

fn empty_of<const D: usize>(like: &CubeTensor, shape: [usize; D], dtype: DType) -> CubeTensor {
    let elements = shape.iter().product::<usize>();
    #[cfg(all(test, not(target_family = "wasm")))]
    if let Some(handle) = super::instruments::poisoned(like, elements) {
        return CubeTensor::new_contiguous(like.client.clone(), like.device.clone(), Shape::from(shape), handle, dtype);
    }
    // An empty array has no memory to bind; its kernels are not launched.
    let handle = like.client.empty(4 * elements.max(1));
    CubeTensor::new_contiguous(like.client.clone(), like.device.clone(), Shape::from(shape), handle, dtype)
}

/// An array as a tensor of the public interface.
pub(crate) fn tensor<const D: usize>(array: CubeTensor) -> Tensor<D> {
    Tensor::from_primitive::<CubeBackend>(array)
}

/// An array of ids as a tensor of the public interface.
pub(crate) fn id_tensor<const D: usize>(array: CubeTensor) -> Tensor<D, Int> {
    Tensor::from_primitive::<CubeBackend>(array)
}

/// Rows `first..first + count` of a matrix, in place. They must begin where the adapter lets a binding begin.
pub(crate) fn rows(tensor: &CubeTensor, first: usize, count: usize) -> CubeTensor {
    let ([all, width], stride) = (matrix(tensor), stride(tensor));
    let mut view = view(tensor, first * stride, (all - first - count) * stride, [count, width]);
    view.meta.strides_mut()[0] = stride;
    view
}

/// The values of `tensor` but for so many at its start and end, in place.
pub(crate) fn view<const D: usize>(tensor: &CubeTensor, start: usize, end: usize, shape: [usize; D]) -> CubeTensor {
    let alignment = tensor.client.properties().memory.alignment as usize;
    assert!((4 * start).is_multiple_of(alignment), "a binding may not begin at value {start}");
    let handle = tensor.handle.clone().offset_start(4 * start as u64).offset_end(4 * end as u64);
    let (client, device) = (tensor.client.clone(), tensor.device.clone());
    CubeTensor::new_contiguous(client, device, Shape::from(shape), handle, tensor.dtype)
}

/// Arrays of one shape that lie one after another in memory, as one: `[3 * rows, …]`. `None` where they do not.
pub(crate) fn stacked(parts: [&CubeTensor; 3]) -> Option<CubeTensor> {
    let [first, _, last] = parts;
    let begin = |part: &CubeTensor| part.handle.offset_start.unwrap_or(0);
    let bytes = 4 * first.meta.shape().num_elements() as u64;
    let follows = |pair: &[&CubeTensor]| {
        pair[0].handle.memory.descriptor() == pair[1].handle.memory.descriptor()
            && begin(pair[1]) == begin(pair[0]) + bytes
            && pair[0].meta.shape() == pair[1].meta.shape()
    };
    if !parts.windows(2).all(follows) {
        return None;
    }
    let mut handle = first.handle.clone();
    handle.offset_end = last.handle.offset_end;
    let mut shape = first.meta.shape().clone();
    shape[0] *= 3;
    Some(CubeTensor::new_contiguous(first.client.clone(), first.device.clone(), shape, handle, first.dtype))
}

/// Columns `first..first + count` of a matrix, in place: rows lie as far apart as before. They must begin where the
/// adapter lets a binding begin.
pub(crate) fn columns(tensor: &CubeTensor, first: usize, count: usize) -> CubeTensor {
    let [rows, width] = matrix(tensor);
    if count == width {
        return tensor.clone();
    }
    // Up to the last row's end: behind the last row's columns nothing is bound.
    let mut view = view(tensor, first, width - first - count, [rows, count]);
    view.meta.strides_mut()[0] = width;
    view
}

/// How far apart the rows of a matrix lie.
pub(crate) fn stride(tensor: &CubeTensor) -> usize {
    tensor.meta.strides()[0]
}

/// Dimensions of a matrix.
pub(crate) fn matrix(tensor: &CubeTensor) -> [usize; 2] {
    let shape = tensor.meta.shape();
    [shape[0], shape[1]]
}

/// Whether the adapter is a program on the CPU: what is fast there (wide rows of one invocation, no barriers) is slow
/// on a card, and the other way round.
pub(crate) fn is_software(tensor: &CubeTensor) -> bool {
    #[cfg(all(test, not(target_family = "wasm")))]
    if super::instruments::AS_ON_A_CARD.get() {
        return false;
    }
    // A browser tells nothing of the card behind it, and hardly ever offers anything else.
    cfg!(not(target_family = "wasm")) && tensor.client.properties().identity.physical.is_none()
}

/// Turns that all loops of one invocation may make together on a software adapter: Mesa's llvmpipe leaves its loops
/// after 65,535, without a word.
pub(crate) const SOFTWARE_TURNS: usize = 60_000;
