//! Running the `electra` program.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

/// How one run of the program ended.
#[derive(Debug)]
pub(crate) struct Run {
    /// `None` where a signal ended it.
    pub exit_code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    /// Fails unless the run ended with exit code 0.
    #[track_caller]
    pub(crate) fn expect_success(self) -> Self {
        assert_eq!(self.exit_code, Some(0), "{self:#?}");
        self
    }

    /// Fails unless the run ended as bad input must: exit code 2, nothing on standard output, one message that holds
    /// every one of `parts`, and no word of a panic.
    #[track_caller]
    pub(crate) fn expect_bad_input(self, parts: &[&str]) -> Self {
        assert_eq!(self.exit_code, Some(2), "{self:#?}");
        assert_eq!(self.stdout, "", "{self:#?}");
        assert_eq!(self.stderr.matches("error: ").count(), 1, "one message: {self:#?}");
        for part in parts {
            assert!(self.stderr.contains(part), "no {part:?} in {self:#?}");
        }
        for word in ["panicked", "backtrace", "this is a bug"] {
            assert!(!self.stderr.contains(word), "{word:?} in {self:#?}");
        }
        self
    }
}

/// The `electra` program, in an environment that does not depend on who runs the tests.
pub(crate) fn electra<Argument: AsRef<OsStr>>(arguments: impl IntoIterator<Item = Argument>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_electra"));
    command.args(arguments).stdin(Stdio::null());
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "RUST_BACKTRACE"] {
        command.env_remove(name);
    }
    command
}

/// Runs the program to its end.
pub(crate) fn run<Argument: AsRef<OsStr>>(arguments: impl IntoIterator<Item = Argument>) -> Run {
    let output = electra(arguments).output().expect("the program starts");
    Run {
        exit_code: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("standard output is UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("standard error is UTF-8"),
    }
}
