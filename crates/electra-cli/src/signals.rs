//! Signals that ask a run to save and stop.
//!
//! SIGINT (Ctrl-C), SIGTERM, SIGHUP and SIGUSR1, which batch systems can send some time before they kill a job
//! (docs/SLURM.md). One that was ignored when the program started stays ignored: that is how `nohup` and a shell's
//! background jobs say that a run is to outlive its terminal. A second Ctrl-C ends the process at once.

use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::terminal::say;

static STOP: AtomicBool = AtomicBool::new(false);

/// The switch that such a signal sets. From the first call on, no signal ends the process by itself.
pub(crate) fn stop_switch() -> &'static AtomicBool {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(install);
    &STOP
}

/// Asks the run to stop; what to do instead of waiting stands in `impatient`.
fn ask_to_stop(impatient: &str) {
    if !STOP.swap(true, Ordering::SeqCst) {
        say(format_args!("stopping after this step and saving{impatient}"));
    }
}

const AGAIN: &str = "; press Ctrl-C again to stop at once";

#[cfg(unix)]
fn install() {
    use std::time::{Duration, Instant};

    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
    use signal_hook::iterator::Signals;
    use signal_hook::low_level::emulate_default_handler;

    /// Launchers pass Ctrl-C on to a process that has had it from the terminal already: that is one wish, not two.
    const SAME_PRESS: Duration = Duration::from_millis(300);

    let wanted = [SIGINT, SIGTERM, SIGHUP, SIGUSR1].into_iter().filter(|&signal| !is_ignored(signal));
    let mut signals = match Signals::new(wanted) {
        Ok(signals) => signals,
        Err(error) => return say(format_args!("signals will end the run without saving: {error}")),
    };
    std::thread::spawn(move || {
        let mut pressed: Option<Instant> = None;
        for signal in signals.forever() {
            if signal == SIGINT {
                if pressed.is_some_and(|first| first.elapsed() > SAME_PRESS) {
                    // As if there were no handler, so that a shell's loop ends too.
                    let _ = emulate_default_handler(signal);
                }
                pressed.get_or_insert_with(Instant::now);
            }
            ask_to_stop(if signal == SIGINT { AGAIN } else { "" });
        }
    });
}

#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    // SAFETY: all zeros is a value of this plain C struct, and with a null pointer for the new action the call does
    // nothing but fill it.
    unsafe {
        let mut current: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &mut current) == 0 && current.sa_sigaction == libc::SIG_IGN
    }
}

#[cfg(not(unix))]
fn install() {
    let installed = ctrlc::set_handler(|| {
        if STOP.load(Ordering::SeqCst) {
            std::process::exit(130);
        }
        ask_to_stop(AGAIN);
    });
    if let Err(error) = installed {
        say(format_args!("Ctrl-C will end the run without saving: {error}"));
    }
}
