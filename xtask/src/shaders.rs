//! A rule of shaders/README.md, held against the shaders' texts: workgroup memory is written in whole elements.
//!
//! Texts are looked at as they are written, with every branch that some define would leave out; what stands behind pointers,
//! the kernels' tests find in what they launch (`gpu/translate.rs`).

use std::path::{Path, PathBuf};

use crate::stage::root;

/// Looks at every text of `shaders/`.
pub(crate) fn check() -> Result<(), String> {
    let mut found = Vec::new();
    let texts = texts(&root().join("shaders")).map_err(|error| format!("shaders: {error}"))?;
    if texts.is_empty() {
        return Err("there is no shader to look at".to_owned());
    }
    for path in texts {
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let name = path.strip_prefix(root()).unwrap_or(&path).display().to_string();
        found.extend(partial_writes(&text).into_iter().map(|line| format!("{name}:{line}")));
    }
    if found.is_empty() {
        return Ok(());
    }
    Err(format!("parts of vectors are written in workgroup memory (shaders/README.md): {}", found.join(", ")))
}

fn texts(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(texts(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "wgsl") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Numbers of the lines that write to more than an element of a workgroup array of vectors, or to a part of a vector there.
fn partial_writes(text: &str) -> Vec<usize> {
    let mut of_vectors = Vec::new();
    for line in text.lines().map(code) {
        let Some(declared) = line.strip_prefix("var<workgroup>") else { continue };
        let Some((name, of)) = declared.split_once(':') else { continue };
        if of.contains("vec") || of.contains("mat") {
            of_vectors.push((name.to_owned(), usize::from(of.starts_with("array<"))));
        }
    }
    let is_partial = |line: &String| {
        line.split([';', '{', '}']).filter_map(written).any(|written| {
            of_vectors.iter().any(|(name, elements)| accesses(written, name).is_some_and(|count| count > *elements))
        })
    };
    text.lines().map(code).zip(1..).filter(|(line, _)| is_partial(line)).map(|(_, number)| number).collect()
}

/// A line without blanks and comment, and with a number where the launch puts one.
fn code(line: &str) -> String {
    let mut code = String::new();
    let mut rest = line.split("//").next().unwrap_or_default();
    while let Some((before, after)) = rest.split_once("{{") {
        code.push_str(before);
        code.push('0');
        rest = after.split_once("}}").map_or("", |(_, after)| after);
    }
    code.push_str(rest);
    code.replace(' ', "")
}

/// What stands to the left of an assignment.
fn written(statement: &str) -> Option<&str> {
    let at = statement.find('=')?;
    let is_comparison = statement[at + 1..].starts_with('=') || statement[..at].ends_with(['!', '<', '>']);
    (!is_comparison).then(|| statement[..at].trim_end_matches(['+', '-', '*', '/', '%', '&', '|', '^']))
}

/// How many indices and components follow `name` at the beginning of `target`; `None` where it is another variable.
fn accesses(target: &str, name: &str) -> Option<usize> {
    let rest = target.strip_prefix(name)?;
    if rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
        return None;
    }
    let (mut depth, mut count) = (0, 0);
    for c in rest.chars() {
        match c {
            '[' if depth == 0 => (depth, count) = (1, count + 1),
            '[' => depth += 1,
            ']' => depth -= 1,
            '.' if depth == 0 => count += 1,
            _ => {}
        }
    }
    Some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_to_parts_of_vectors_are_found_in_every_branch() {
        let text = "\
var<workgroup> fours: array<vec4<Staged>, 256>;
var<workgroup> singles: array<f32, {{WORKGROUP}}>;
var<workgroup> one: vec2<u32>;
fn main() {
    //#if MODE == 2
    fours[a_depth * 16u + a_row / 4u][a_row % 4u] = Staged(value);
    //#else
    fours[at[{{i}}u]].x += 1.0;
    //#end
    fours[lane] = vec4<Staged>(singles[lane]); // fours[lane].x = 1.0
    if (fours[lane].x == 1.0) { one.y = 2u; }
    one = vec2<u32>(1u);
    singles[lane] = fours[lane][2];
    var c = fours[lane].y;
    fours_of_mine[lane].x = c;
}";
        assert_eq!(partial_writes(text), [6, 8, 11]);
    }

    #[test]
    fn the_shaders_keep_the_rule() {
        assert_eq!(check(), Ok(()));
    }
}
