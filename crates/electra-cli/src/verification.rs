//! Trusting a graphics adapter: its kernels are compared with the CPU's before it trains for the first time.
//!
//! What was found is remembered by adapter, driver and program, in the user's cache folder, so that it is done once; `electra
//! devices --verify` does it again and remembers that. Only wrong numbers are remembered: a kernel that gave none may give some
//! another time. Nothing depends on the memory: where it cannot be read or written, the check is done again.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, UNIX_EPOCH};

use electra_kernels::device::{AdapterInfo, DeviceChoice, OpenDevice, open};
use electra_kernels::verify::{Check, Extent, Progress, kernels_of, switch_off_failed, verify};
use electra_kernels::{DeviceFailure, Kernel, set_enabled};

use crate::terminal::Terminal;

/// After how long a case that goes on is named: its shaders are being compiled.
const SILENCE: Duration = Duration::from_secs(5);

/// Opens the device that `choice` names, warns of what is to be known about it, and checks an adapter's kernels where
/// that has not been done yet.
///
/// # Errors
/// There is no such device, it does not open, or it fails for good while it is checked.
pub(crate) fn open_checked(choice: DeviceChoice, terminal: &Terminal) -> anyhow::Result<OpenDevice> {
    let opened = open(choice)?;
    if let Some(warning) = &opened.warning {
        terminal.warn(warning);
    }
    check_once(&opened, terminal)?;
    Ok(opened)
}

/// Switches off the kernels that compute something else on this adapter than on the CPU, and says so.
fn check_once(opened: &OpenDevice, terminal: &Terminal) -> Result<(), DeviceFailure> {
    let Some(adapter) = &opened.adapter else { return Ok(()) };
    let known = read().remove(&key_of(adapter));
    let failed = match known {
        Some(failed) => {
            failed.iter().for_each(|&kernel| set_enabled(&opened.device, kernel, false));
            failed
        }
        None => {
            terminal.note("Comparing the adapter's kernels with the CPU's, once for this adapter and driver");
            let checks = verify_watched(opened, Extent::Short, terminal, &mut |_| {})?;
            remember(adapter, &checks);
            switch_off_failed(&opened.device, &checks)
        }
    };
    if !failed.is_empty() {
        let names: Vec<String> = failed.iter().map(Kernel::to_string).collect();
        terminal.warn(format_args!(
            "{} computes something else than the CPU, or nothing, in {}: these run as Burn's primitives, more slowly. Please \
             report what `electra devices --verify` prints",
            opened.description,
            names.join(", ")
        ));
    }
    Ok(())
}

/// Compares an adapter's kernels with the CPU's, calling `done` after each case; a case that goes on for long is named on
/// standard error.
///
/// # Errors
/// The device failed for good.
pub(crate) fn verify_watched(
    opened: &OpenDevice,
    extent: Extent,
    terminal: &Terminal,
    done: &mut dyn FnMut(&Check),
) -> Result<Vec<Check>, DeviceFailure> {
    let watch = Watch::start(*terminal);
    verify(&opened.device, extent, &mut |progress| match progress {
        Progress::Begins(case) => watch.begins(case),
        Progress::Ends(check) => {
            watch.ends();
            done(check);
        }
    })
}

/// Names what goes on for long, from a thread of its own: the one that compiles has no time.
struct Watch {
    cases: Option<Sender<Option<String>>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    fn start(terminal: Terminal) -> Self {
        let (cases, heard) = channel::<Option<String>>();
        let watch = move || {
            let mut current: Option<(String, Instant)> = None;
            let mut silence = SILENCE;
            loop {
                match heard.recv_timeout(silence) {
                    Ok(case) => {
                        current = case.map(|case| (case, Instant::now()));
                        silence = SILENCE;
                    }
                    Err(RecvTimeoutError::Timeout) => {
                        // Less and less often: it says nothing new.
                        silence *= 2;
                        if let Some((case, since)) = &current {
                            terminal.note(format_args!(
                                "  still at {case}, for {:.0} s: its shaders are compiled, once, which takes a software \
                                 adapter long",
                                since.elapsed().as_secs_f64()
                            ));
                        }
                    }
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        };
        Self { cases: Some(cases), thread: Some(std::thread::spawn(watch)) }
    }

    fn begins(&self, case: &str) {
        self.say(Some(case.to_owned()));
    }

    fn ends(&self) {
        self.say(None);
    }

    fn say(&self, case: Option<String>) {
        if let Some(cases) = &self.cases {
            // It listens until this is dropped.
            let _ = cases.send(case);
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.cases = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One line of a report.
pub(crate) fn line_of(check: &Check) -> String {
    let verdict = if check.passed() { "ok    " } else { "FAILED" };
    let Check { case, error, tolerance, seconds, failure, .. } = check;
    match failure {
        None => format!("  {verdict} {case:<60} error {error:.1e} of {tolerance:.0e}, {seconds:.2} s"),
        Some(failure) => format!("  {verdict} {case:<60} no answer: {failure}"),
    }
}

/// Keeps what `checks` say of an adapter for the next time: the kernels that compute something else, and nothing where one gave
/// no answer.
pub(crate) fn remember(adapter: &AdapterInfo, checks: &[Check]) {
    let mut memory = read();
    let is_answered = checks.iter().all(|check| check.failure.is_none());
    let before = memory.remove(&key_of(adapter));
    if is_answered {
        memory.insert(key_of(adapter), kernels_of(checks, Check::differs));
    } else if before.is_none() {
        return;
    }
    write(&memory);
}

/// Adapter, driver, and this very program: another build may have other kernels.
fn key_of(adapter: &AdapterInfo) -> String {
    let program = std::env::current_exe().and_then(std::fs::metadata).ok();
    let built = program.and_then(|file| {
        let seconds = file.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_secs();
        Some(format!("{} bytes of {seconds}", file.len()))
    });
    let AdapterInfo { name, backend, kind, driver, .. } = adapter;
    let built = built.unwrap_or_default();
    format!("{name} ({backend}, {kind}) | {driver} | {} | {built}", env!("CARGO_PKG_VERSION"))
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
