//! The `electra` command.
//!
//! Everything that knows a terminal lives here: arguments (`command/`, one file per subcommand), colour and progress
//! (`terminal.rs`), error messages and exit codes (`exit.rs`). The other crates never print; they return values and
//! errors, or emit events, and the commands turn these into lines. So the same code runs in a browser.

// They panic where the stream takes nothing: `terminal.rs` has what to use instead.
#![deny(clippy::print_stdout, clippy::print_stderr, clippy::disallowed_macros)]
#![warn(missing_docs)]

mod brought_model;
mod command;
mod device_failure;
mod exit;
mod fine_tuning;
mod host_memory;
mod hub;
mod model_folder;
mod preparation;
mod signals;
mod task_files;
mod terminal;
mod training_display;
mod verification;

use std::process::ExitCode;

pub use exit::RunFailed;
pub use terminal::{Progress, Terminal, Unit};

/// Runs the command line of this process; the value is the process's exit code (`exit.rs` has the table).
pub fn main() -> ExitCode {
    silence_mesa();
    exit::install_panic_message();
    // Before clap parses, because clap's own messages are coloured too.
    terminal::apply_color_choice(std::env::args_os());
    let cli = match command::parse(terminal::clap_color_choice()) {
        Ok(cli) => cli,
        Err(error) => return exit::report_arguments(&error),
    };
    let terminal = Terminal::new(cli.global.quiet, cli.global.verbose);
    exit::report(command::run(cli, &terminal))
}

/// Switches off the layer with which Mesa reorders Vulkan devices by the wishes of a desktop session: without a session
/// it prints errors that look like ours, and adapters are ranked here anyway.
fn silence_mesa() {
    const SWITCH: &str = "NODEVICE_SELECT";
    if cfg!(target_os = "linux") && std::env::var_os(SWITCH).is_none() {
        // SAFETY: this is the first statement of the program, so no other thread reads the environment.
        unsafe { std::env::set_var(SWITCH, "1") };
    }
}
