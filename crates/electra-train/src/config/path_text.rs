//! A path as text: as it is, or, where its bytes are no UTF-8, as a `file:` URL with those bytes in percent signs.
//!
//! Most systems take any bytes for a name, and TOML takes text alone.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serializer};

const SCHEME: &str = "file:";

pub(super) fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    match path.to_str() {
        Some(text) => serializer.serialize_str(text),
        None => serializer.serialize_str(&encoded(path.as_os_str().as_encoded_bytes())),
    }
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    let text = String::deserialize(deserializer)?;
    let bytes = text.strip_prefix(SCHEME).map(|rest| decoded(rest.strip_prefix("//").unwrap_or(rest)));
    Ok(bytes.map_or_else(|| PathBuf::from(&text), path_of))
}

fn encoded(bytes: &[u8]) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    let character = |&byte: &u8| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    // A URL has two slashes before a path that begins at the root.
    let root = if bytes.first() == Some(&b'/') { "//" } else { "" };
    format!("{SCHEME}{root}{}", bytes.iter().map(character).collect::<String>())
}

fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let value = digits.filter(|_| first == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(value.unwrap_or(first));
        rest = if value.is_some() { &after[2..] } else { after };
    }
    bytes
}

#[cfg(unix)]
fn path_of(bytes: Vec<u8>) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    std::ffi::OsString::from_vec(bytes).into()
}

#[cfg(not(unix))]
fn path_of(bytes: Vec<u8>) -> PathBuf {
    String::from_utf8_lossy(&bytes).into_owned().into()
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use crate::config::{RunConfig, resolve};

    #[test]
    fn any_path_comes_back_from_run_toml() {
        for (bytes, text) in [
            (&b"data"[..], "\"data\""),
            (b"/a b/50%/d\xc3\xa9", "\"/a b/50%/d\u{e9}\""),
            (b"/caf\xe9/50%", "\"file:///caf%E9/50%25\""),
            (b"caf\xe9", "\"file:caf%E9\""),
            (b"\xff\xfe\n", "\"file:%FF%FE%0A\""),
        ] {
            let mut config = RunConfig::default();
            config.data.dir = std::ffi::OsString::from_vec(bytes.to_vec()).into();
            let toml = config.to_toml();
            assert!(toml.contains(&format!("dir = {text}")), "{toml}");
            assert_eq!(resolve(None, Some(("run.toml", &toml)), &[]).unwrap().data.dir, config.data.dir);
            assert!(config.settings().is_empty() || !config.settings().contains_key("data.dir"));
        }
    }
}
