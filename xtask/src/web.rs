//! `cargo xtask web`: the page's module and the page itself, into web/dist, a folder that any static host serves; and their tests.
//!
//! Without `--release` the module is that of the tests, which is built already where they ran, and large. With it every crate is
//! compiled for download (the profile `page`), all as one, and wasm-opt makes it smaller still.

use std::path::PathBuf;
use std::process::Command;

use crate::prerequisites;
use crate::stage::{cargo, root, run, target_dir};

/// The profile of a module that is downloaded.
const PROFILE: &str = "page";

/// What every browser with WebAssembly's vectors has, and the compiler makes use of; wasm-opt takes nothing else for granted.
const WASM_FEATURES: [&str; 7] = [
    "--enable-simd",
    "--enable-bulk-memory",
    "--enable-nontrapping-float-to-int",
    "--enable-sign-ext",
    "--enable-mutable-globals",
    "--enable-reference-types",
    "--enable-multivalue",
];

/// Builds the page.
pub(crate) fn build(is_release: bool) -> Result<(), String> {
    prerequisites::install(&|name| name == "assembly")?;
    run(&mut npm(&["ci"]))?;
    assemble(is_release)
}

/// The page's tests: of its parts, then in a browser. What a module that computes can show is tested with the module itself, the rest
/// with the stand-in for it, which breaks, loses its device and draws as it is told.
pub(crate) fn test() -> Result<(), String> {
    run(&mut npm(&["ci"]))?;
    run(&mut npm(&["run", "unit"]))?;
    let chromium = prerequisites::chromium().ok_or(prerequisites::NO_CHROMIUM)?;
    run(npm(&["run", "browser", "--", "--grep", "@stand-in"]).env("CHROMIUM", &chromium))?;
    assemble(false)?;
    run(npm(&["run", "engine"]).env("CHROMIUM", &chromium))
}

/// The module, its glue and the page around them; npm's packages are there.
fn assemble(is_release: bool) -> Result<(), String> {
    let module = module(is_release)?;
    let folder = web().join("src/engine/wasm");
    let mut bindgen = Command::new(prerequisites::wasm_bindgen()?);
    run(bindgen.args(["--target", "web", "--out-name", "electra_web", "--out-dir"]).arg(&folder).arg(module))?;
    if is_release {
        optimize(&folder.join("electra_web_bg.wasm"))?;
    }
    run(&mut npm(&["run", "build"]))
}

/// The module as the compiler makes it.
fn module(is_release: bool) -> Result<PathBuf, String> {
    let profile = if is_release { PROFILE } else { "release" };
    let mut command = if is_release {
        // As a library for JavaScript alone: one that Rust may link, too, is not optimised as a whole.
        let one = ["rustc", "--locked", "--package", "electra-web", "--lib", "--crate-type", "cdylib"];
        cargo(&[&one[..], &["--profile", profile, "--target", prerequisites::WEB_TARGET]].concat())
    } else {
        // Named together as the tests do, so that both are the same build.
        let both =
            ["build", "--locked", "--release", "--package", "electra-web", "--package", "electra-checks", "--lib"];
        cargo(&[&both[..], &["--target", prerequisites::WEB_TARGET]].concat())
    };
    run(&mut command)?;
    Ok(target_dir()?.join(prerequisites::WEB_TARGET).join(profile).join("electra_web.wasm"))
}

fn optimize(module: &std::path::Path) -> Result<(), String> {
    let program = web().join("node_modules/.bin").join(if cfg!(windows) { "wasm-opt.cmd" } else { "wasm-opt" });
    let mut command = Command::new(program);
    command.args(["-O3", "--strip-debug", "--strip-producers"]).args(WASM_FEATURES);
    run(command.arg("--output").arg(module).arg(module))?;
    let bytes = std::fs::metadata(module).map_err(|error| format!("{}: {error}", module.display()))?.len();
    eprintln!("{}: {:.1} MB", module.display(), bytes as f64 / 1e6);
    Ok(())
}

fn npm(arguments: &[&str]) -> Command {
    let mut command = Command::new(prerequisites::NPM);
    command.args(arguments).current_dir(web());
    command
}

fn web() -> PathBuf {
    root().join("web")
}
