//! Every variant of the shaders in a browser's own compiler, which is stricter than naga: uniform control flow at barriers,
//! aliasing, the limits that WebGPU promises.
//!
//! The kernels' tests write the texts of all variants that they launch into a folder; a page with all of them says what the
//! compiler said.

use std::path::Path;
use std::time::Duration;

use super::show;
use crate::stage::{cargo, run, target_dir};

/// How long the browser may take for all shaders; a quiet machine of two cores needs half a minute.
const PATIENCE: Duration = Duration::from_secs(600);

const SCRIPT: &str = include_str!("shaders.js");

pub(super) fn check() -> Result<(), String> {
    let folder = target_dir()?.join("shaders");
    let unusable = |error: std::io::Error| format!("{}: {error}", folder.display());
    if folder.exists() {
        std::fs::remove_dir_all(&folder).map_err(unusable)?;
    }
    std::fs::create_dir_all(&folder).map_err(unusable)?;
    let mut tests =
        cargo(&["test", "--release", "--locked", "--quiet", "--package", "electra-kernels", "--lib", "gpu::"]);
    run(tests.env("ELECTRA_SHADERS_TO", &folder))?;
    let page = page(&folder).map_err(unusable)?;
    let verdict = show(|path| (path == "/").then(|| ("text/html", page.clone().into_bytes())), PATIENCE)?;
    eprintln!("{verdict}");
    let mut lines = verdict.lines();
    match (lines.next(), lines.count()) {
        (Some(first), 0) if !first.starts_with("failed") && !first.starts_with("0 ") => Ok(()),
        (_, wrong) => Err(format!("{wrong} shaders are not what the browser's compiler takes")),
    }
}

/// All shaders of `folder` and the script in one page.
fn page(folder: &Path) -> std::io::Result<String> {
    let mut paths: Vec<_> = std::fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    paths.sort_by_key(std::fs::DirEntry::file_name);
    let mut page = String::from("<!doctype html><meta charset=\"utf-8\"><title>shaders</title>\n");
    for path in paths {
        let (name, text) = (path.file_name(), std::fs::read_to_string(path.path())?);
        page.push_str(&format!("<script type=\"text/wgsl\" id=\"{}\">{text}</script>\n", name.to_string_lossy()));
    }
    page.push_str(&format!("<script type=\"module\">{SCRIPT}</script>\n"));
    Ok(page)
}
