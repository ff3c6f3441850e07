//! The networks of the page (web/public/models), for who wants to see what they do before training any.

use std::io::Read;

use electra_data::FilesInMemory;
use flate2::read::GzDecoder;

/// What it is called.
pub(crate) const NAME: &str = "electra-mini (web/public/models/README.md)";

/// A file of the page's model, as the page fetches it.
macro_rules! packed {
    ($path:literal) => {
        include_bytes!(concat!("../../../web/public/models/", $path, ".gz")).as_slice()
    };
}

/// The folder of its network `kind`, "discriminator" or "generator". Both read by one tokenizer.
pub(crate) fn files(kind: &str) -> FilesInMemory {
    let (config, weights) = match kind {
        "generator" => (packed!("generator/config.json"), packed!("generator/model.safetensors")),
        _ => (packed!("discriminator/config.json"), packed!("discriminator/model.safetensors")),
    };
    let tokenizer = packed!("discriminator/tokenizer.json");
    [("config.json", config), ("tokenizer.json", tokenizer), ("model.safetensors", weights)]
        .into_iter()
        .map(|(name, bytes)| (name.to_owned(), unpacked(bytes)))
        .collect()
}

fn unpacked(bytes: &[u8]) -> Vec<u8> {
    let mut unpacked = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut unpacked).expect("it was packed by web/scripts/pack-model.mjs");
    unpacked
}
