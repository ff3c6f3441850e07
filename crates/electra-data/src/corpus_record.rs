//! What may be said of a corpus anywhere, in a run's folder and in a model card: its name, its size and a digest of its
//! tokens, and nothing about the machine on which it lay.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A corpus by name, size and digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorpusRecord {
    /// Never a path.
    pub name: String,
    /// Bytes of text, lines without white space at their ends, held-out text included.
    pub text_bytes: u64,
    /// Tokens, held-out ones included.
    pub tokens: u64,
    /// Hex SHA-256 of the tokens, in the order of the text: for each line the number of its tokens (u32) and their ids (u16,
    /// or u32 where the vocabulary has more than 65,536 entries), little-endian, and a 0 (u32) between documents. `None`:
    /// built by an older version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_sha256: Option<String>,
}

impl fmt::Display for CorpusRecord {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {} bytes of text, {} tokens", self.name, self.text_bytes, self.tokens)?;
        match &self.tokens_sha256 {
            Some(sha256) => write!(out, ", sha256 of the tokens {sha256}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_without_a_digest_says_nothing_of_it() {
        let mut record = CorpusRecord { name: "books".into(), text_bytes: 12, tokens: 3, tokens_sha256: None };
        assert_eq!(record.to_string(), "books: 12 bytes of text, 3 tokens");
        record.tokens_sha256 = Some("ab12".into());
        assert_eq!(record.to_string(), "books: 12 bytes of text, 3 tokens, sha256 of the tokens ab12");
    }
}
