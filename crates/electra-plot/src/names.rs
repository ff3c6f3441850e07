//! What runs are called in a picture: the end of their paths, as long as it takes to tell them apart.

use std::path::{Component, Path};

/// A name for each path: its last part, with those before it where two would be called the same; a path that comes twice is numbered.
pub fn distinct_names<P: AsRef<Path>>(paths: &[P]) -> Vec<String> {
    let parts: Vec<Vec<String>> = paths.iter().map(|path| parts(path.as_ref())).collect();
    let longest = parts.iter().map(Vec::len).max().unwrap_or(0);
    let tail = |parts: &[String], length: usize| parts[parts.len().saturating_sub(length)..].join("/");
    let name = |at: usize| {
        let is_alone = |length: &usize| {
            let own = tail(&parts[at], *length);
            parts.iter().enumerate().all(|(other, parts)| other == at || tail(parts, *length) != own)
        };
        match (1..=longest).find(is_alone) {
            Some(length) => tail(&parts[at], length),
            None => {
                let before = parts[..at].iter().filter(|other| **other == parts[at]).count();
                let own = tail(&parts[at], 1);
                if before == 0 { own } else { format!("{own} ({})", before + 1) }
            }
        }
    };
    (0..paths.len()).map(name).collect()
}

fn parts(path: &Path) -> Vec<String> {
    let part = |part: Component<'_>| match part {
        Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
        other => Some(other.as_os_str().to_string_lossy().into_owned()),
    };
    let parts: Vec<String> = path.components().filter_map(part).collect();
    if parts.is_empty() { vec![path.display().to_string()] } else { parts }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_short_as_they_can_be_and_all_differ() {
        assert_eq!(distinct_names(&["runs/rtd", "runs/mlm/"]), ["rtd", "mlm"]);
        assert_eq!(distinct_names(&["a/run", "b/run", "c/other"]), ["a/run", "b/run", "other"]);
        assert_eq!(distinct_names(&["run", "b/run"]), ["run", "b/run"]);
        assert_eq!(distinct_names(&["x/run", "x/run", "/"]), ["run", "run (2)", "/"]);
        assert_eq!(distinct_names::<&str>(&[]), [""; 0]);
    }
}
