//! How a command ends: one message and one exit code.
//!
//! | code | means | what a script does |
//! |---|---|---|
//! | 0 | done, or the reader of the output went away (`electra devices \| head -1`) | goes on |
//! | 1 | a run that began well had to stop, or `doctor --strict` found something wrong with it | looks at the run |
//! | 2 | wrong arguments or bad input | mends the command |
//! | 3 | a signal stopped the run, and everything is saved | resumes it |
//! | 4 | the device was lost, ran out of memory or refused its work | resumes it, perhaps elsewhere |
//! | 101 | a bug in Electra | reports it |
//!
//! Bad input is a message for a person and never a backtrace; a panic is a bug in Electra and says so. The code never
//! depends on whether a message could be printed.

use std::fmt;
use std::io;
use std::panic::PanicHookInfo;
use std::process::ExitCode;

use electra_kernels::DeviceFailure;

use crate::device_failure::remedy;
use crate::terminal::{ERROR_STYLE, say};

/// How a command ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Done,
    /// A signal stopped a run before its last step, after it had saved everything: `--resume` goes on.
    Stopped,
}

/// What began with good input and could not go on, for example a run whose loss stayed non-finite. The text is all that there
/// is to say: nothing is added to it.
///
/// Put it into the error chain (`anyhow::Error::context(RunFailed)`, or as the error itself) and the process ends
/// with exit code 1 in place of 2, so that a script can tell "fix the input" from "look at the run"; with 4 where a
/// device's failure is behind it.
#[derive(Debug)]
pub struct RunFailed(pub String);

impl fmt::Display for RunFailed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for RunFailed {}

/// What a device failed of, where that is what ended a command.
fn device_failure(error: &anyhow::Error) -> Option<&DeviceFailure> {
    error.chain().find_map(|cause| cause.downcast_ref::<DeviceFailure>())
}

/// Prints what a command returned and gives its exit code.
pub(crate) fn report(result: anyhow::Result<End>) -> ExitCode {
    let error = match result {
        Ok(End::Done) => return ExitCode::SUCCESS,
        Ok(End::Stopped) => return ExitCode::from(3),
        Err(error) if is_broken_pipe(&error) => return ExitCode::SUCCESS,
        Err(error) => error,
    };
    let mut text = message(&error);
    let failure = device_failure(&error);
    let has_failed = error.downcast_ref::<RunFailed>().is_some();
    if let Some(failure) = failure.filter(|_| !has_failed) {
        text = format!("{text}\n  {}", remedy(failure, None));
    }
    say(format_args!("{ERROR_STYLE}error:{ERROR_STYLE:#} {text}"));
    ExitCode::from(match failure {
        Some(_) => 4,
        None if has_failed => 1,
        None => 2,
    })
}

/// Prints what clap has to say: help and version, which are results, or what is wrong with the arguments.
pub(crate) fn report_arguments(error: &clap::Error) -> ExitCode {
    match error.print() {
        // clap's own texts on standard error are as best effort as ours.
        _ if error.use_stderr() => ExitCode::from(2),
        Ok(()) => ExitCode::SUCCESS,
        Err(unwritable) if unwritable.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(unwritable) => {
            say(format_args!(
                "{ERROR_STYLE}error:{ERROR_STYLE:#} standard output: cannot write the text: {unwritable}"
            ));
            ExitCode::from(2)
        }
    }
}

/// The whole chain as one message. A cause that the message already quotes is left out: many errors print their
/// source themselves.
fn message(error: &anyhow::Error) -> String {
    let mut message = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if message.is_empty() {
            message = cause;
        } else if !message.contains(&cause) {
            message.push_str(": ");
            message.push_str(&cause);
        }
    }
    // Remedies stand on lines of their own; indented, they read as one message with the first line.
    message.trim_end().replace('\n', "\n  ")
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Replaces Rust's panic text, which speaks to Electra's developers, by one that tells a user what to do with it.
pub(crate) fn install_panic_message() {
    let default_hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let text = panic_text(panic);
        let place = panic.location().map(|location| format!(" ({}:{})", location.file(), location.line()));
        say(format_args!(
            "{ERROR_STYLE}error:{ERROR_STYLE:#} this is a bug in Electra {}: {text}{}\n  \
             Please report it, with the command and this text.",
            env!("CARGO_PKG_VERSION"),
            place.unwrap_or_default(),
        ));
        if std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0") {
            default_hook(panic);
        } else {
            say("  RUST_BACKTRACE=1 shows the way there.");
        }
    }));
}

fn panic_text(panic: &PanicHookInfo<'_>) -> String {
    let payload = panic.payload();
    payload
        .downcast_ref::<&str>()
        .map(|text| text.to_string())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, anyhow};

    use super::*;

    #[test]
    fn the_chain_is_one_message_without_repetition() {
        let cause = io::Error::other("disk on fire");
        let error = Err::<(), _>(cause).context("shard 3: disk on fire").context("cannot build\nfree some room");
        assert_eq!(message(&error.unwrap_err()), "cannot build\n  free some room: shard 3: disk on fire");
    }

    #[test]
    fn a_closed_pipe_is_found_at_any_depth() {
        let error = anyhow::Error::new(io::Error::from(io::ErrorKind::BrokenPipe)).context("while writing the report");
        assert!(is_broken_pipe(&error));
        assert!(!is_broken_pipe(&anyhow!("something else")));
    }

    #[test]
    fn a_failed_run_is_told_apart_from_bad_input() {
        let failed = anyhow::Error::new(RunFailed("the loss is not a number".into()));
        assert_eq!(report(Err(failed.context("step 12"))), ExitCode::from(1));
        assert_eq!(report(Err(anyhow!("no such file"))), ExitCode::from(2));
        assert_eq!(report(Ok(End::Done)), ExitCode::SUCCESS);
        assert_eq!(report(Ok(End::Stopped)), ExitCode::from(3));
    }

    #[test]
    fn a_device_that_failed_has_a_code_of_its_own_at_any_depth() {
        let failure = || DeviceFailure::Lost("reset".into());
        let error = electra_train::Error::Device { doing: "step 3".into(), source: failure() };
        assert_eq!(message(&anyhow::Error::new(error)), "step 3: the device was lost (reset)");
        assert_eq!(report(Err(anyhow::Error::new(failure()).context("the verification"))), ExitCode::from(4));
        let error = electra_train::Error::Device { doing: "step 3".into(), source: failure() };
        let context = RunFailed("step 3: the device was lost (reset)".into());
        assert_eq!(report(Err(anyhow::Error::new(error).context(context))), ExitCode::from(4));
    }
}
