//! Hashes of files as the Hub gives them.

use std::fs::File;
use std::io::{self, Read};

use anyhow::Context;
use sha2::Digest;

/// Whether `text` is a hash of so many digits.
pub(super) fn is_hash(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The hash of a file as the Hub gives it.
pub(super) enum Hash {
    /// Of weights.
    Sha256(sha2::Sha256),
    /// Of small files, which lie in git itself.
    Git(sha1::Sha1),
}

impl Hash {
    /// Of the kind that `etag` is; git's begins with the file's length.
    pub(super) fn new(etag: &str, length: Option<u64>) -> anyhow::Result<Self> {
        if is_hash(etag, 64) {
            return Ok(Self::Sha256(sha2::Sha256::new()));
        }
        let length =
            length.filter(|_| is_hash(etag, 40)).with_context(|| format!("\"{etag}\" is no hash that is known"))?;
        Ok(Self::Git(sha1::Sha1::new_with_prefix(format!("blob {length}\0"))))
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hash) => hash.update(bytes),
            Self::Git(hash) => hash.update(bytes),
        }
    }

    /// Adds what is left of `file`.
    pub(super) fn add(&mut self, file: &mut File) -> io::Result<()> {
        let mut buffer = vec![0; 1 << 20];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(()),
                count => self.update(&buffer[..count]),
            }
        }
    }

    pub(super) fn finish(self) -> String {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        match self {
            Self::Sha256(hash) => hex(&hash.finalize()),
            Self::Git(hash) => hex(&hash.finalize()),
        }
    }
}
