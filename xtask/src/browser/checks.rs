//! The checks of crates/electra-checks in a page: golden numbers and a small run, on WebGPU and on the CPU of the same module.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Content, show};
use crate::prerequisites;
use crate::stage::{cargo, root, run, target_dir};

/// How long the page may take; a quiet machine of two cores needs a minute or two.
const PATIENCE: Duration = Duration::from_secs(1200);

const PAGE: &str =
    "<!doctype html><meta charset=\"utf-8\"><title>checks</title><script type=\"module\" src=\"/checks.js\"></script>";
const SCRIPT: &str = include_str!("checks.js");

/// The folders of golden values that the page gets, and the files that it takes from each.
const FOLDERS: [&str; 2] = ["tiny_proj", "tiny_noproj"];

/// The example that holds the checks.
const MODULE: &str = "in_browser";

/// Builds the page's module and that of the checks for WebAssembly.
pub(crate) fn build() -> Result<(), String> {
    let target = ["build", "--release", "--locked", "--target", prerequisites::WEB_TARGET];
    let what = ["--package", "electra-web", "--package", "electra-checks", "--lib", "--example", MODULE];
    run(&mut cargo(&[&target[..], &what].concat()))
}

pub(super) fn check() -> Result<(), String> {
    build()?;
    let target = target_dir()?;
    let folder = target.join("browser");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let wasm = target.join(prerequisites::WEB_TARGET).join("release/examples").join(format!("{MODULE}.wasm"));
    let mut bindgen = std::process::Command::new(prerequisites::wasm_bindgen()?);
    run(bindgen.args(["--target", "web", "--no-typescript", "--out-dir"]).arg(&folder).arg(wasm))?;
    // What the page must find: the same code on the CPU, natively.
    let numbers = folder.join("native.json");
    let mut native = cargo(&["test", "--release", "--locked", "--quiet", "--test", "tests", "a_paused_run_from_text"]);
    run(native.env("ELECTRA_NANO_TO", &numbers))?;

    let fixtures = std::env::var_os("ELECTRA_FIXTURES").map_or_else(|| root().join("tests/fixtures"), PathBuf::from);
    let said = show(|path| content(&folder, &fixtures, path), PATIENCE)?;
    if said == "ok" { Ok(()) } else { Err(format!("in a page: {said}")) }
}

/// The page, its modules, and the golden values below `/fixtures/`.
fn content(folder: &Path, fixtures: &Path, path: &str) -> Content {
    let file = |path: PathBuf| std::fs::read(path).ok();
    if let Some(golden) = path.strip_prefix("/fixtures/") {
        let is_offered = FOLDERS.iter().any(|name| golden.starts_with(name)) && !golden.contains("..");
        return Some(("application/octet-stream", file(fixtures.join(golden)).filter(|_| is_offered)?));
    }
    let module = |suffix: &str| file(folder.join(format!("{MODULE}{suffix}")));
    let is_left_out = std::env::var_os("ELECTRA_NO_GPU").is_some_and(|value| value == "1");
    Some(match path {
        "/" => ("text/html", PAGE.into()),
        "/backends.json" => {
            ("application/json", if is_left_out { r#"["cpu"]"# } else { r#"["cpu", "webgpu"]"# }.into())
        }
        "/checks.js" => ("text/javascript", SCRIPT.into()),
        "/in_browser.js" => ("text/javascript", module(".js")?),
        "/in_browser_bg.wasm" => ("application/wasm", module("_bg.wasm")?),
        "/native.json" => ("application/json", file(folder.join("native.json"))?),
        _ => return None,
    })
}
