//! Running commands, timing stages and telling how they ended.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// What one stage did.
pub(crate) struct Stage {
    pub name: &'static str,
    pub time: Duration,
    /// The failure, where there was one.
    pub outcome: Result<(), String>,
}

/// Runs `body` as the stage `name`, under a heading.
pub(crate) fn time(name: &'static str, body: impl FnOnce() -> Result<(), String>) -> Stage {
    eprintln!("\n=== {name}");
    let started = Instant::now();
    let outcome = body();
    if let Err(reason) = &outcome {
        eprintln!("{name} failed: {reason}");
    }
    Stage { name, time: started.elapsed(), outcome }
}

/// Prints the table of stages and the last line; the exit code says whether all went well.
pub(crate) fn finish(stages: Vec<Stage>) -> ExitCode {
    finish_with(stages, &[])
}

/// As [`finish`], with lines between the table and the last one.
pub(crate) fn finish_with(stages: Vec<Stage>, notes: &[String]) -> ExitCode {
    eprintln!("\n{:<15} {:>9}  result", "stage", "time");
    for stage in &stages {
        let seconds = stage.time.as_secs();
        let result = stage.outcome.as_ref().map_or_else(|reason| format!("FAILED: {reason}"), |()| "ok".to_owned());
        eprintln!("{:<15} {:>5}m {:02}s  {result}", stage.name, seconds / 60, seconds % 60);
    }
    for note in notes {
        eprintln!("{note}");
    }
    let failed: Vec<&str> = stages.iter().filter(|stage| stage.outcome.is_err()).map(|stage| stage.name).collect();
    if failed.is_empty() {
        eprintln!("\nall {} stages passed", stages.len());
        ExitCode::SUCCESS
    } else {
        eprintln!("\n{} of {} stages failed: {}", failed.len(), stages.len(), failed.join(", "));
        ExitCode::FAILURE
    }
}

/// A cargo command in the repository's root.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    // CARGO is the very cargo that started this program, so the toolchain is the same.
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command
}

/// Runs `command` with its output on the terminal; the error quotes the command.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let line = command_line(command);
    eprintln!("$ {line}");
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{line}` ended with {status}")),
        Err(error) => Err(format!("`{line}` did not start: {error}")),
    }
}

fn command_line(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_stem().unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// The repository's root: of the checkout that cargo runs this in, which may be another than the one it was built in where they share a
/// target folder.
pub(crate) fn root() -> &'static Path {
    static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
        let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        Path::new(&package).parent().expect("xtask lies in the repository").to_owned()
    });
    &ROOT
}

/// The folder that this very program was built into: `<target>/release/xtask`.
pub(crate) fn target_dir() -> Result<PathBuf, String> {
    let program = std::env::current_exe().map_err(|error| format!("where is this program? {error}"))?;
    let folder = program.ancestors().nth(2).ok_or("this program does not lie in a target folder")?;
    Ok(folder.to_owned())
}
