//! The repository's own commands, run as `cargo xtask COMMAND`.
//!
//! Written in Rust so that they run wherever Electra builds, and without dependencies so that they start at once: this
//! crate must never be the reason for a long build.

mod browser;
mod features;
mod imports;
mod platforms;
mod prerequisites;
mod shaders;
mod skipped;
mod soak;
mod stage;
mod structure;
mod test;
mod web;

use std::process::ExitCode;

const HELP: &str = "\
Usage: cargo xtask COMMAND

Commands:
  test [STAGE...]   run every check and test, or the named stages; installs what it needs or says what is missing
  web [--release]   build the page into web/dist; with --release its module is made for download, which takes long
  check-platforms   type-check Electra for Windows and macOS, from any machine
  soak [--kills N] [--seed N]
                    kill, stop and starve runs of a small network (200 kills), and compare with an undisturbed one

Environment:
  CARGO_TARGET_DIR=DIR    where builds go (default: target)
  ELECTRA_NO_GPU=1        tests that need a graphics adapter are left out; otherwise they fail where there is none, a
                          software one included
  ELECTRA_FIXTURES=DIR    where golden values are read from (default: tests/fixtures)";

fn main() -> ExitCode {
    // The stand-in comes first: build scripts call it with a C compiler's arguments.
    if platforms::is_compiler_stand_in() {
        return platforms::stand_in_for_a_compiler();
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let names: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match names.as_slice() {
        ["test", stages @ ..] => test::run(stages),
        ["web"] => stage::finish(vec![stage::time("page", || web::build(false))]),
        ["web", "--release"] => stage::finish(vec![stage::time("page", || web::build(true))]),
        ["check-platforms"] => stage::finish(vec![stage::time("platforms", platforms::check)]),
        ["soak", options @ ..] => stage::finish(vec![stage::time("soak", || soak_program(options))]),
        ["help" | "--help" | "-h"] => {
            println!("{HELP}");
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("{HELP}");
            ExitCode::from(2)
        }
    }
}

fn soak_program(options: &[&str]) -> Result<(), String> {
    let (mut kills, mut seed) = (200, 1);
    for option in options.chunks(2) {
        let number = option.get(1).and_then(|number| number.parse::<u64>().ok());
        match (option[0], number) {
            ("--kills", Some(number)) => kills = number as u32,
            ("--seed", Some(number)) => seed = number,
            _ => return Err(format!("{}: soak takes --kills N and --seed N", option.join(" "))),
        }
    }
    stage::run(&mut stage::cargo(&["build", "--release", "--locked"]))?;
    let target = stage::target_dir()?;
    let folder = target.join("soak");
    // What an earlier one left to look at.
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let program = target.join("release").join(format!("electra{}", std::env::consts::EXE_SUFFIX));
    eprintln!("{kills} kills, seed {seed}, in {}", folder.display());
    eprintln!("{}", soak::soak(&program, &folder, kills, seed)?);
    Ok(())
}
