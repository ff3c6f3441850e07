//! Trusting a graphics adapter: its kernels are compared with the CPU's before it trains for the first time.
//!
//! What was found is remembered by adapter, driver and program, in the user's cache folder, so that it is done once.
//! Nothing depends on the memory: where it cannot be read or written, the check is done again.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use electra_kernels::device::{DeviceChoice, OpenDevice, adapters, open};
use electra_kernels::verify::{Check, Extent, switch_off_failed, verify};
use electra_kernels::{Kernel, set_enabled};

use crate::terminal::Terminal;

/// Opens the device that `choice` names, warns of what is to be known about it, and checks an adapter's kernels where
/// that has not been done yet.
///
/// # Errors
/// There is no such device, or it does not open.
pub fn open_checked(choice: DeviceChoice, terminal: &Terminal) -> anyhow::Result<OpenDevice> {
    let opened = open(choice)?;
    if let Some(warning) = &opened.warning {
        terminal.warn(warning);
    }
    check_once(&opened, terminal);
    Ok(opened)
}

/// Switches off the kernels that compute something else on this adapter than on the CPU, and says so.
fn check_once(opened: &OpenDevice, terminal: &Terminal) {
    if !opened.is_gpu {
        return;
    }
    let key = key_of(opened);
    let mut memory = read();
    let failed = match memory.get(&key) {
        Some(failed) => {
            failed.iter().for_each(|&kernel| set_enabled(kernel, false));
            failed.clone()
        }
        None => {
            terminal.note("Comparing the adapter's kernels with the CPU's, once for this adapter and driver");
            let checks = verify(&opened.device, Extent::Short, &mut |_| {});
            let failed = switch_off_failed(&checks);
            memory.insert(key, failed.clone());
            write(&memory);
            failed
        }
    };
    if !failed.is_empty() {
        let names: Vec<String> = failed.iter().map(Kernel::to_string).collect();
        terminal.warn(format_args!(
            "{} computes something else than the CPU in {}: these run as Burn's primitives, more slowly. Please report \
             what `electra devices --verify` prints",
            opened.description,
            names.join(", ")
        ));
    }
}

/// One line of a report.
pub fn line_of(check: &Check) -> String {
    let verdict = if check.passed() { "ok    " } else { "FAILED" };
    format!(
        "  {verdict} {:<52} error {:.1e} of {:.0e}, {:.2} s",
        check.case, check.error, check.tolerance, check.seconds
    )
}

/// Adapter, driver, and this very program: another build may have other kernels.
fn key_of(opened: &OpenDevice) -> String {
    let driver = adapters().into_iter().find(|adapter| opened.description.starts_with(&adapter.name));
    let driver = driver.map_or_else(String::new, |adapter| adapter.driver);
    let program = std::env::current_exe().and_then(std::fs::metadata).ok();
    let built = program.and_then(|file| {
        let seconds = file.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_secs();
        Some(format!("{} bytes of {seconds}", file.len()))
    });
    format!("{} | {driver} | {} | {}", opened.description, env!("CARGO_PKG_VERSION"), built.unwrap_or_default())
}

type Memory = BTreeMap<String, Vec<Kernel>>;

fn file() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = variable("XDG_CACHE_HOME").or_else(|| {
        if cfg!(windows) {
            variable("LOCALAPPDATA")
        } else if cfg!(target_os = "macos") {
            variable("HOME").map(|home| home.join("Library/Caches"))
        } else {
            variable("HOME").map(|home| home.join(".cache"))
        }
    });
    folder.map(|folder| folder.join("electra").join("verified-adapters.json"))
}

fn read() -> Memory {
    let text = file().and_then(|file| std::fs::read(file).ok());
    text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
}

fn write(memory: &Memory) {
    let Some(file) = file() else { return };
    let Some(folder) = file.parent() else { return };
    let text = serde_json::to_vec_pretty(memory).expect("names and lists are JSON");
    // Best effort: another process may do the same at this moment (whoever is later is right, too), and where nothing can
    // be kept kernels are compared again next time.
    let _ = std::fs::create_dir_all(folder).and_then(|()| electra_data::atomic::write(&file, &text));
}
