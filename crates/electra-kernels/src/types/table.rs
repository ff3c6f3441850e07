//! A table of embeddings that may lie in pieces.
//!
//! An adapter binds 128 MiB at a time where it promises no more, and Burn's memory on it has no larger array: 50,000
//! words of 1,024 values are 200 MB. Whole rows go to each piece, so that looking up and scoring work on one at a time.

use burn::tensor::Tensor;

/// `[rows, width]`, in pieces of whole rows.
#[derive(Debug, Clone)]
pub struct Table {
    pieces: Vec<Tensor<2>>,
}

impl Table {
    /// The table whose rows are those of `pieces`, `[rows, width]` each, in order. All but the last must have a multiple
    /// of 64 rows.
    ///
    /// # Panics
    /// If there is none, or their widths differ, or their rows are as they must not be.
    pub fn new(pieces: Vec<Tensor<2>>) -> Self {
        assert!(!pieces.is_empty(), "a table has at least one piece");
        let width = pieces[0].dims()[1];
        for piece in &pieces {
            assert_eq!(piece.dims()[1], width, "the pieces of a table are of one width");
        }
        for piece in &pieces[..pieces.len() - 1] {
            assert!(piece.dims()[0].is_multiple_of(64), "a piece of {} rows is followed by another", piece.dims()[0]);
        }
        Self { pieces }
    }

    /// The tensors that it lies in, in the order of their rows.
    pub fn pieces(&self) -> &[Tensor<2>] {
        &self.pieces
    }

    /// Rows of all pieces.
    pub fn rows(&self) -> usize {
        self.pieces.iter().map(|piece| piece.dims()[0]).sum()
    }

    /// Values of a row.
    pub fn width(&self) -> usize {
        self.pieces[0].dims()[1]
    }

    /// Each piece with the number of its first row.
    pub(crate) fn numbered(&self) -> impl Iterator<Item = (usize, &Tensor<2>)> {
        self.pieces.iter().scan(0, |next, piece| {
            let first = *next;
            *next += piece.dims()[0];
            Some((first, piece))
        })
    }
}

impl From<Tensor<2>> for Table {
    fn from(whole: Tensor<2>) -> Self {
        Self { pieces: vec![whole] }
    }
}

impl From<&Self> for Table {
    fn from(table: &Self) -> Self {
        table.clone()
    }
}
