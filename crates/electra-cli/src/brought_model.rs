//! The networks of the page (web/public/models), for who wants to see what they do before training any.

use std::io::Read;

use electra_data::FilesInMemory;
use flate2::read::GzDecoder;

/// What it is called.
pub(crate) const NAME: &str = "electra-mini (web/public/models/README.md)";

/// A file of the page's model, gzipped, with its name in the folder of its network.
macro_rules! files {
    ($kind:literal) => {
        [
            ("config.json", &include_bytes!(concat!("../../../web/public/models/", $kind, "/config.json.gz"))[..]),
            ("tokenizer.json", include_bytes!(concat!("../../../web/public/models/", $kind, "/tokenizer.json.gz"))),
            ("model.safetensors", include_bytes!(concat!("../../../web/public/models/", $kind, "/model.safetensors.gz"))),
        ]
    };
}

/// The folder of its network `kind`, "discriminator" or "generator".
pub(crate) fn files(kind: &str) -> FilesInMemory {
    let packed = if kind == "generator" { files!("generator") } else { files!("discriminator") };
    packed.into_iter().map(|(name, bytes)| (name.to_owned(), unpacked(bytes))).collect()
}

fn unpacked(bytes: &[u8]) -> Vec<u8> {
    let mut unpacked = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut unpacked).expect("it was packed by web/scripts/pack-model.mjs");
    unpacked
}
