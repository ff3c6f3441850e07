//! Memory for results, used again instead of asked for again.
//!
//! A training step makes the same few hundred arrays every time. From the system's allocator each of them comes as
//! fresh pages, which the kernel zeroes at their first touch: that costs more than many of the operations themselves.
//! So an array that is let go waits here, by its length, for the next one of that length. Its old values stay in it:
//! whoever takes a [`Buffer`] writes all of it before reading any.

use std::collections::HashMap;
use std::mem::{self, MaybeUninit};
use std::ops::{Deref, DerefMut};
use std::sync::{LazyLock, Mutex, PoisonError};

use burn::tensor::{AllocationProperty, Bytes, DType, Shape};
use burn_flex::{FlexTensor, Layout};
use burn_std::{AccessError, AccessPolicy, AllocationController};

/// Shorter arrays are not worth the look-up: an allocator keeps small blocks itself.
const SHORTEST: usize = 1 << 12;

/// What may wait at most. Beyond it memory goes back to the allocator.
const MOST_WAITING: usize = if cfg!(target_family = "wasm") { 1 << 24 } else { 1 << 28 };

#[derive(Default)]
struct Waiting {
    by_length: HashMap<usize, Vec<Vec<f32>>>,
    values: usize,
}

static WAITING: LazyLock<Mutex<Waiting>> = LazyLock::new(Mutex::default);

/// An array of f32 whose first values are of no meaning.
#[derive(Debug)]
pub(crate) struct Buffer(Vec<f32>);

impl Buffer {
    pub(crate) fn new(length: usize) -> Self {
        if length < SHORTEST {
            return Self(vec![0.0; length]);
        }
        let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
        let found = waiting.by_length.get_mut(&length).and_then(Vec::pop);
        if found.is_some() {
            waiting.values -= length;
        }
        drop(waiting);
        Self(found.unwrap_or_else(|| vec![0.0; length]))
    }

    /// A tensor over this memory, which comes back here when the tensor is dropped.
    pub(crate) fn into_tensor<const D: usize>(self, shape: [usize; D]) -> FlexTensor {
        let shape = Shape::from(shape);
        assert_eq!(self.0.len(), shape.num_elements());
        let bytes = mem::size_of_val(self.0.as_slice());
        // SAFETY: all `bytes` bytes of the buffer are initialised: it is a Vec of f32 of that length.
        let data = unsafe { Bytes::from_controller(Box::new(Controller(self)), bytes) };
        FlexTensor::new(data, Layout::contiguous(shape), DType::F32)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let values = mem::take(&mut self.0);
        if values.len() < SHORTEST {
            return;
        }
        let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.values + values.len() <= MOST_WAITING {
            waiting.values += values.len();
            waiting.by_length.entry(values.len()).or_default().push(values);
        }
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.0
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.0
    }
}

/// How Burn's bytes reach a buffer.
struct Controller(Buffer);

impl AllocationController for Controller {
    fn alloc_align(&self) -> usize {
        mem::align_of::<f32>()
    }

    fn property(&self) -> AllocationProperty {
        AllocationProperty::Other
    }

    unsafe fn memory_mut(&mut self, _policy: AccessPolicy) -> Result<&mut [MaybeUninit<u8>], AccessError> {
        let bytes = mem::size_of_val(&*self.0);
        // SAFETY: the same memory as bytes; the caller promises to write initialised values only.
        Ok(unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), bytes) })
    }

    fn memory(&self, _policy: AccessPolicy) -> Result<&[MaybeUninit<u8>], AccessError> {
        // SAFETY: the same memory as bytes.
        Ok(unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), mem::size_of_val(&*self.0)) })
    }
}

#[cfg(test)]
mod tests {
    use burn::{backend::Flex, tensor::Tensor};

    use super::*;

    #[test]
    fn memory_of_a_dropped_tensor_is_used_again() {
        // A length that no other test uses: tests run side by side.
        let length = 3 * 5077;
        let buffer = Buffer::new(length);
        let address = buffer.as_ptr();
        let tensor = Tensor::<2>::from_primitive::<Flex>(buffer.into_tensor([3, 5077]));
        let copy = tensor.clone() + 1.0;
        drop(tensor);
        assert_eq!(Buffer::new(length).as_ptr(), address);
        assert_eq!(copy.into_data().try_to_vec::<f32>().unwrap()[0], 1.0);
    }

    #[test]
    fn two_buffers_never_share_memory() {
        let mut buffers: Vec<Buffer> = (0..4).map(|_| Buffer::new(7919)).collect();
        for (index, buffer) in buffers.iter_mut().enumerate() {
            buffer.fill(index as f32);
        }
        assert!(buffers.iter().enumerate().all(|(index, buffer)| buffer.iter().all(|&x| x == index as f32)));
    }
}
