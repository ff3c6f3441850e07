//! What may be said of a corpus anywhere, in a run's folder and in a model card: its name, its size and a digest of its
//! text, and nothing about the machine on which it lay.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::tokenizer::hex;

/// A corpus by name, size and digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorpusRecord {
    /// Never a path.
    pub name: String,
    /// Bytes of text, lines without white space at their ends, held-out text included.
    pub text_bytes: u64,
    /// Tokens, held-out ones included.
    pub tokens: u64,
    /// Hex SHA-256 of the text: each line without white space at its ends and with a line end, a blank line between
    /// documents. For a text file of that form it is what `sha256sum` prints. `None`: built by an older version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_sha256: Option<String>,
}

impl fmt::Display for CorpusRecord {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {} bytes of text, {} tokens", self.name, self.text_bytes, self.tokens)?;
        match &self.text_sha256 {
            Some(sha256) => write!(out, ", sha256 of the text {sha256}"),
            None => Ok(()),
        }
    }
}

/// Makes [`CorpusRecord::text_sha256`], which depends on the text alone: not on files, their formats, or jobs.
#[derive(Default)]
pub(crate) struct TextDigest {
    hash: Sha256,
    has_lines: bool,
    separator_due: bool,
}

impl TextDigest {
    pub(crate) fn line(&mut self, line: &str) {
        if std::mem::take(&mut self.separator_due) {
            self.hash.update("\n");
        }
        self.hash.update(line);
        self.hash.update("\n");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_a_tidy_text_is_that_of_its_file() {
        let mut digest = TextDigest::default();
        digest.end_document();
        digest.line("one");
        digest.line("two");
        digest.end_document();
        digest.end_document();
        digest.line("three");
        digest.end_document();
        assert_eq!(digest.finish(), hex(&Sha256::digest("one\ntwo\n\nthree\n")));
    }

    #[test]
    fn a_record_without_a_digest_says_nothing_of_it() {
        let mut record = CorpusRecord { name: "books".into(), text_bytes: 12, tokens: 3, text_sha256: None };
        assert_eq!(record.to_string(), "books: 12 bytes of text, 3 tokens");
        record.text_sha256 = Some("ab12".into());
        assert_eq!(record.to_string(), "books: 12 bytes of text, 3 tokens, sha256 of the text ab12");
    }
}
