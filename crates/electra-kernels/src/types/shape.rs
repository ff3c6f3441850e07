//! Shape checks that name their dimensions. A wrong shape is a mistake in our code, so it panics.

/// Asserts that `tensor` (named `what`) has the dimensions `expected`.
///
/// # Panics
/// With `what`, the dimensions found and the ones expected.
#[track_caller]
pub(crate) fn expect<const D: usize>(what: &str, found: [usize; D], expected: [usize; D]) {
    assert!(found == expected, "{what} has shape {found:?}, but {expected:?} is needed");
}
