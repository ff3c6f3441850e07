//! Memory for results, used again instead of asked for again.
//!
//! A training step makes the same few hundred arrays every time. From the system's allocator each of them comes as
//! fresh pages, which the kernel zeroes at their first touch: that costs more than many of the operations themselves.
//! So an array that is let go waits here, by its length, for the next one of that length; lengths are rounded up a little, so that
//! batches of other lengths find what the last one left. Old values stay in it: whoever takes a [`Buffer`] writes all of it before
//! reading any.
//!
//! What waits is bounded, and lengths that nobody asks for any more (a validation's, another network's) go back to the allocator: after
//! many other arrays, or when there is no room for what is let go now, the longest unused first.

use std::collections::HashMap;
use std::mem::{self, MaybeUninit};
use std::ops::{Deref, DerefMut};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use burn::tensor::{AllocationProperty, Bytes, DType, Shape};
use burn_flex::{FlexTensor, Layout};
use burn_std::{AccessError, AccessPolicy, AllocationController};

/// Shorter arrays are not worth the look-up: an allocator keeps small blocks itself.
const SHORTEST: usize = 1 << 12;

/// Values that may wait at most: 1 GiB, in a page 64 MiB.
const MOST_WAITING: usize = if cfg!(target_family = "wasm") { 1 << 24 } else { 1 << 28 };

/// Arrays that are taken, of any length, before one that is not among them is given up: some tens of steps' worth.
const PATIENCE: u64 = 1 << 14;

/// Arrays of one length.
#[derive(Default)]
struct Shelf {
    arrays: Vec<Vec<f32>>,
    /// How many arrays had been taken in all when one of this length last was.
    last_taken: u64,
}

#[derive(Default)]
struct Waiting {
    by_length: HashMap<usize, Shelf>,
    values: usize,
    taken: u64,
}

impl Waiting {
    fn take(&mut self, length: usize) -> Option<Vec<f32>> {
        self.taken += 1;
        if self.taken.is_multiple_of(PATIENCE) {
            let since = self.taken - PATIENCE;
            self.give_up(|shelf| shelf.last_taken < since);
        }
        let shelf = self.by_length.entry(length).or_default();
        shelf.last_taken = self.taken;
        let found = shelf.arrays.pop();
        if found.is_some() {
            self.values -= length;
        }
        found
    }

    fn put(&mut self, array: Vec<f32>, most: usize) {
        let length = array.len();
        if length > most {
            return;
        }
        while self.values + length > most {
            let others = self.by_length.iter().filter(|(other, shelf)| **other != length && !shelf.arrays.is_empty());
            // The lengths that this one's owner needs now were taken after it.
            let Some((_, longest_unused)) = others.min_by_key(|(_, shelf)| shelf.last_taken) else { return };
            let unused_since = longest_unused.last_taken;
            self.give_up(|shelf| shelf.last_taken == unused_since);
        }
        self.values += length;
        self.by_length.entry(length).or_default().arrays.push(array);
    }

    fn give_up(&mut self, is_unused: impl Fn(&Shelf) -> bool) {
        self.by_length.retain(|_, shelf| !is_unused(shelf));
        self.values = self.by_length.iter().map(|(length, shelf)| length * shelf.arrays.len()).sum();
    }
}

static WAITING: LazyLock<Mutex<Waiting>> = LazyLock::new(Mutex::default);

fn waiting() -> MutexGuard<'static, Waiting> {
    WAITING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `length` and at most an eighth more: eight lengths between a power of two and the next.
fn rounded_up(length: usize) -> usize {
    length.next_multiple_of((length.next_power_of_two() / 16).max(1))
}

/// An array of f32 whose first values are of no meaning.
#[derive(Debug)]
pub(crate) struct Buffer {
    /// Of the rounded length.
    array: Vec<f32>,
    length: usize,
}

impl Buffer {
    pub(crate) fn new(length: usize) -> Self {
        let array = if length < SHORTEST {
            vec![0.0; length]
        } else {
            let rounded = rounded_up(length);
            waiting().take(rounded).unwrap_or_else(|| vec![0.0; rounded])
        };
        Self { array, length }
    }

    /// A tensor over this memory, which comes back here when the tensor is dropped.
    pub(crate) fn into_tensor<const D: usize>(self, shape: [usize; D]) -> FlexTensor {
        let shape = Shape::from(shape);
        assert_eq!(self.length, shape.num_elements());
        let bytes = mem::size_of_val(&*self);
        // SAFETY: all `bytes` bytes of the buffer are initialised: it is a Vec of f32 of that length or more.
        let data = unsafe { Bytes::from_controller(Box::new(Controller(self)), bytes) };
        FlexTensor::new(data, Layout::contiguous(shape), DType::F32)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let array = mem::take(&mut self.array);
        if array.len() >= SHORTEST {
            waiting().put(array, MOST_WAITING);
        }
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.array[..self.length]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.array[..self.length]
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
        assert_eq!(buffer.len(), length);
        let tensor = Tensor::<2>::from_primitive::<Flex>(buffer.into_tensor([3, 5077]));
        let copy = tensor.clone() + 1.0;
        drop(tensor);
        let a_little_shorter = Buffer::new(length - 100);
        assert_eq!((a_little_shorter.as_ptr(), a_little_shorter.len()), (address, length - 100));
        assert_eq!(copy.into_data().try_to_vec::<f32>().unwrap()[0], 1.0);
    }

    #[test]
    fn lengths_are_rounded_up_by_an_eighth_at_most() {
        for length in (1..5000).chain((1 << 20) - 3..(1 << 20) + 3) {
            let rounded = rounded_up(length);
            assert!(
                rounded >= length && (rounded - length) * 8 <= length && rounded_up(rounded) == rounded,
                "{length}"
            );
        }
    }

    #[test]
    fn what_waits_is_bounded_and_the_longest_unused_goes_first() {
        let (mut waiting, most) = (Waiting::default(), 100);
        for length in [40, 30, 20] {
            assert!(waiting.take(length).is_none());
            waiting.put(vec![0.0; length], most);
        }
        assert!(waiting.take(40).is_some());
        waiting.put(vec![0.0; 40], most);
        // 90 wait; of 40, 30 and 20 the 30 was asked for longest ago, then the 20.
        assert!(waiting.take(25).is_none());
        waiting.put(vec![0.0; 25], most);
        assert_eq!(waiting.values, 85);
        assert!(waiting.take(30).is_none(), "given up");
        waiting.put(vec![0.0; 30], most);
        assert_eq!(waiting.values, 95);
        assert!(waiting.take(20).is_none() && waiting.take(40).is_some());
        waiting.put(vec![0.0; 101], most);
        assert_eq!(waiting.values, 55, "what is larger than all there may be does not wait");
    }

    #[test]
    fn lengths_that_nobody_asks_for_any_more_are_given_up() {
        let (mut waiting, most) = (Waiting::default(), 1 << 20);
        for length in [5000, 6000] {
            waiting.take(length);
            waiting.put(vec![0.0; length], most);
        }
        for _ in 0..2 * PATIENCE {
            let array = waiting.take(6000).expect("always in use");
            waiting.put(array, most);
        }
        assert_eq!((waiting.values, waiting.by_length.len()), (6000, 1));
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
