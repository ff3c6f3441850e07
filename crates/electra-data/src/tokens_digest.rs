//! The digest of a corpus's tokens.
//!
//! It is of tokens and not of the text, of which there are three times as many bytes: where the processor has no
//! instructions for SHA-256, digesting text took a third of the time of a build.

use sha2::{Digest, Sha256};

use crate::tokenizer::hex;

/// Makes [`crate::CorpusRecord::tokens_sha256`], which depends on text and tokenizer alone: not on files, their formats, shards or
/// jobs.
#[derive(Default)]
pub(crate) struct TokensDigest {
    hash: Sha256,
    has_lines: bool,
    separator_due: bool,
}

impl TokensDigest {
    /// Adds some lines, not empty, of one document, as [`push_line`] writes them.
    pub(crate) fn lines(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if std::mem::take(&mut self.separator_due) {
            self.hash.update([0; 4]);
        }
        self.hash.update(bytes);
        self.has_lines = true;
    }

    /// Documents without a line count as none.
    pub(crate) fn end_document(&mut self) {
        self.separator_due = self.has_lines;
    }

    pub(crate) fn finish(self) -> String {
        hex(&self.hash.finalize())
    }
}

/// Whether ids take 4 bytes instead of 2.
pub(crate) fn is_wide(vocab_size: usize) -> bool {
    vocab_size > 1 << 16
}

/// Writes a line for [`TokensDigest`]; one without tokens is none.
pub(crate) fn push_line(tokens: &[u32], wide: bool, bytes: &mut Vec<u8>) {
    if tokens.is_empty() {
        return;
    }
    bytes.extend((tokens.len() as u32).to_le_bytes());
    if wide {
        tokens.iter().for_each(|id| bytes.extend(id.to_le_bytes()));
    } else {
        tokens.iter().for_each(|&id| bytes.extend((id as u16).to_le_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_documents_are_told_apart() {
        let digest_of = |documents: &[&[&[u32]]], wide| {
            let mut digest = TokensDigest::default();
            digest.end_document();
            for document in documents {
                let mut bytes = Vec::new();
                document.iter().for_each(|line| push_line(line, wide, &mut bytes));
                digest.lines(&bytes);
                digest.lines(&[]);
                digest.end_document();
                digest.end_document();
            }
            digest.finish()
        };
        let expected = Sha256::digest(b"\x02\0\0\0\x07\0\x08\x01\x01\0\0\0\x09\0\0\0\0\0\x01\0\0\0\x07\0");
        assert_eq!(digest_of(&[&[&[7, 264], &[], &[9]], &[], &[&[7]]], false), hex(&expected));
        let other: [&[&[&[u32]]]; 4] =
            [&[&[&[7, 264, 9]], &[&[7]]], &[&[&[7, 264], &[9], &[7]]], &[&[&[7, 264]], &[&[9], &[7]]], &[&[&[7, 264]]]];
        for documents in other {
            assert_ne!(digest_of(documents, false), hex(&expected));
        }
        let expected = Sha256::digest(b"\x01\0\0\0\x07\0\x01\0");
        assert_eq!(digest_of(&[&[&[65_543]]], true), hex(&expected));
    }
}
