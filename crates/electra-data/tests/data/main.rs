//! Tests of the whole crate, one binary.

// The dataset folder: what is built, and what is refused; opened again.
mod build;
mod datasets;
// Packing, masking and batches.
mod examples;
// Every file that is read, truncated and damaged.
mod faults;
// Which tokens are predicted, and what stands in their places.
mod masks;
// Formats, archives and their errors.
mod inputs;
// Tokenizers from elsewhere.
mod imports;
// Tokenizers of text that is not in Latin letters, and what a vocabulary cannot say.
mod scripts;
mod support;
// The corruption that no generator decides.
mod swaps;
// Ids against Hugging Face's and google's, and training a vocabulary.
mod text;
mod tokenizer;
