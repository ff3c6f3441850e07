//! What tests see of arrays and launches, and how they change them: poison and canaries, launches in pieces, the forms that
//! cards get, and a second run of every launch. Nothing here knows a device or an operation.

use std::cell::{Cell, RefCell};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::{DType, Shape};
use burn_wgpu::CubeTensor;

/// Whether new arrays are filled with NaN, so that a test sees what a kernel left unwritten.
static POISON: AtomicBool = AtomicBool::new(false);

/// From now on every new array is filled with NaN, and watched for what is written behind it.
pub(crate) fn poison() {
    POISON.store(true, Ordering::Relaxed);
}

/// Words behind every array of a test, which no kernel may touch.
const CANARIES: usize = 64;
const CANARY: u32 = 0xA5A5_5A5A;

thread_local! {
    static WATCHED: RefCell<Vec<(CubeTensor, usize)>> = const { RefCell::new(Vec::new()) };
}

/// An array of NaN with canaries behind it, where new arrays are to be watched.
pub(super) fn poisoned(like: &CubeTensor, elements: usize) -> Option<cubecl::server::Handle> {
    if !POISON.load(Ordering::Relaxed) {
        return None;
    }
    let mut bytes = f32::NAN.to_le_bytes().repeat(elements);
    bytes.extend(CANARY.to_le_bytes().repeat(CANARIES));
    let handle = like.client.create_from_slice(&bytes);
    let whole = CubeTensor::new_contiguous(
        like.client.clone(),
        like.device.clone(),
        Shape::from([elements + CANARIES]),
        handle.clone(),
        DType::F32,
    );
    WATCHED.with_borrow_mut(|watched| watched.push((whole, elements)));
    Some(handle)
}

/// Asserts that the canaries of all arrays since the last call are as they were.
pub(crate) fn assert_canaries(what: &str) {
    for (array, elements) in WATCHED.take() {
        let bytes = array.client.read_one(array.handle.clone()).expect("the device gives its results back");
        let canaries = bytes[4 * elements..].chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().unwrap()));
        let touched = canaries.take(CANARIES).filter(|&word| word != CANARY).count();
        assert_eq!(touched, 0, "{what}: words were written behind an array of {elements}");
    }
}

thread_local! {
    /// Dispatches into which every launch of this thread is divided.
    pub(super) static PIECES: Cell<Option<u32>> = const { Cell::new(None) };
}

/// Runs `body` with every launch of this thread divided into about so many dispatches, whatever its work.
pub(crate) fn divided<R>(pieces: u32, body: impl FnOnce() -> R) -> R {
    PIECES.set(Some(pieces));
    let result = body();
    PIECES.set(None);
    result
}

thread_local! {
    /// Whether this thread launches what it would on a card.
    pub(super) static AS_ON_A_CARD: Cell<bool> = const { Cell::new(false) };
}

/// Runs `body` with the forms of kernels that cards get, also where the adapter is a program.
pub(crate) fn as_on_a_card<R>(body: impl FnOnce() -> R) -> R {
    AS_ON_A_CARD.set(true);
    let result = body();
    AS_ON_A_CARD.set(false);
    result
}

/// A launch as it was before it ran.
pub(crate) struct Launched {
    pub(crate) buffers: Vec<Vec<u8>>,
    pub(crate) source: String,
    pub(crate) table: Vec<u8>,
    pub(crate) grid: [u32; 2],
}

/// What runs a launch once more, and gives what it leaves in the buffers.
pub(crate) type Replay = fn(&Launched) -> Vec<Vec<u8>>;

static REPLAY: OnceLock<Replay> = OnceLock::new();

/// From now on every launch is held against what `replay` makes of it.
pub(crate) fn repeat_launches(replay: Replay) {
    let _ = REPLAY.set(replay);
}

/// What is needed to repeat a launch; `None` where nobody asked for it.
pub(super) fn before(
    buffers: &[&CubeTensor],
    source: impl FnOnce() -> String,
    table: &[u64],
    grid: [u32; 2],
) -> Option<Launched> {
    REPLAY.get().map(|_| Launched {
        buffers: buffers.iter().map(|buffer| read(buffer)).collect(),
        source: source(),
        table: table.iter().flat_map(|word| word.to_le_bytes()).collect(),
        grid,
    })
}

/// Repeats a launch with checks, and compares every array with what the launch itself left.
///
/// # Panics
/// If one differs.
pub(super) fn after(name: &str, launched: Option<Launched>, buffers: &[&CubeTensor]) {
    let (Some(launched), Some(replay)) = (launched, REPLAY.get()) else { return };
    let found: Vec<Vec<u8>> = buffers.iter().map(|buffer| read(buffer)).collect();
    let expected = replay(&launched);
    for (binding, (found, expected)) in found.iter().zip(&expected).enumerate() {
        // Bound twice, an array is two here.
        let shared = buffers.iter().enumerate().any(|(other, buffer)| {
            other != binding && buffer.handle.memory.descriptor() == buffers[binding].handle.memory.descriptor()
        });
        assert!(shared || found == expected, "{name}: binding {binding} differs where accesses are confined to arrays");
    }
}

/// The array's values, without what lies behind it, but with what lies between rows that are apart.
fn read(buffer: &CubeTensor) -> Vec<u8> {
    let bytes = buffer.client.read_one(buffer.handle.clone()).expect("the device gives its results back");
    let (shape, strides) = (buffer.meta.shape(), buffer.meta.strides());
    let last: usize = shape.iter().zip(strides.iter()).map(|(length, stride)| length.saturating_sub(1) * stride).sum();
    bytes[..4 * (last + 1)].to_vec()
}
